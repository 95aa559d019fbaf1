"""Choosing: the name, the labels, the title, the default, and ties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.catalog import Catalog
from blueprints.errors import BlueprintError, ChoiceError
from tests.unit.blueprints.samples import CODEMOD, blueprint_text

LIBRARY = ["bug-fix", "codemod", "dependency-update", "docs", "new-endpoint"]


def catalog(**matches: str) -> Catalog:
    return Catalog({}).with_repository({f"{name}.yaml": blueprint_text(name, match) for name, match in matches.items()})


def chosen(of: Catalog, *labels: str, title: str = "", name: str | None = None, default: str | None = None) -> str:
    return of.choose(name=name, labels=labels, title=title, default=default).name


def test_the_library_has_the_blueprints_that_are_promised() -> None:
    entries = Catalog.builtin().entries
    assert list(entries) == LIBRARY
    for name, entry in entries.items():
        assert entry.built_in
        assert entry.blueprint.description
        assert entry.file.endswith(f"{name}.yaml")
        assert any(step.gate and step.verify for step in entry.blueprint.steps)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("fix: crash on an empty file", "bug-fix"),
        ("Fix(parser)!: crash", "bug-fix"),
        ("chore(deps): move to 2.0", "dependency-update"),
        ("build(deps-dev): move to 2.0", "dependency-update"),
        ("Bump requests from 2.31 to 2.32", "dependency-update"),
        ("Add a users endpoint", "new-endpoint"),
        ("docs: explain scopes", "docs"),
        ("codemod: rename Foo", "codemod"),
        ("Fix the docs of the new endpoint", "other"),
        ("", "other"),
    ],
)
def test_the_library_is_chosen_by_title(title: str, name: str) -> None:
    of = Catalog.builtin().with_repository({"o.yaml": blueprint_text("other")})
    assert chosen(of, title=title, default="other") == name


@given(st.text(max_size=60) | st.from_regex(r"(fix|docs|codemod|add a|bump)[: (].{0,30}(endpoint|:)"))
def test_no_title_fits_two_blueprints_of_the_library(title: str) -> None:
    assert chosen(Catalog.builtin(), title=title, default="docs") in LIBRARY


def test_a_repositorys_blueprint_takes_the_place_of_a_built_in_one() -> None:
    of = Catalog.builtin().with_repository({".shopfloor/blueprints/codemod.yaml": CODEMOD})
    assert list(of.entries) == LIBRARY
    assert not of.entries["codemod"].built_in
    assert of.get("codemod").description == "one mechanical edit, checked by the tests"
    assert Catalog.builtin().entries["codemod"].built_in, "the library itself is left as it was"


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(BlueprintError, match=r"b\.yaml: key 'name': 'x' is declared by a\.yaml too"):
        Catalog({}).with_repository({"a.yaml": blueprint_text("x"), "b.yaml": blueprint_text("x")})


def test_an_explicit_name_beats_everything() -> None:
    of = catalog(one="{labels: [a], title: t}", two="{}")
    assert chosen(of, "a", title="t", name="two") == "two"


def test_an_unknown_name_lists_the_names_and_the_nearest() -> None:
    with pytest.raises(ChoiceError) as caught:
        chosen(Catalog.builtin(), name="codmod")
    assert str(caught.value) == (
        "There is no blueprint named 'codmod'. "
        "Choose 'codemod' (the nearest of bug-fix, codemod, dependency-update, docs, new-endpoint)."
    )


def test_all_labels_of_a_blueprint_must_be_there_and_the_most_win() -> None:
    of = catalog(one="{labels: [a]}", both="{labels: [a, B]}", other="{labels: [c]}")
    assert chosen(of, "a") == "one"
    assert chosen(of, "A", "b") == "both"
    assert chosen(of, "a", "b", "c") == "both"


def test_a_label_beats_a_title() -> None:
    assert chosen(catalog(label="{labels: [a]}", title="{title: fix}"), "a", title="fix it") == "label"


def test_a_blueprint_with_both_fits_by_either_and_wins_by_both() -> None:
    of = catalog(both="{labels: [a], title: fix}", label="{labels: [a]}", other="{labels: [b]}")
    assert chosen(of, "a", title="fix it") == "both"
    assert chosen(of, title="fix it") == "both"
    assert chosen(of, "b", title="fix it") == "other"


def test_a_tie_is_an_error_that_names_the_tied() -> None:
    of = catalog(one="{labels: [a]}", two="{labels: [b]}", three="{title: x}")
    with pytest.raises(ChoiceError) as caught:
        chosen(of, "a", "b", default="three")
    assert str(caught.value) == ("The blueprints 'one', 'two' fit this task equally. Choose one with --blueprint NAME.")


def test_of_equals_the_repositorys_own_beats_the_built_in() -> None:
    of = Catalog.builtin().with_repository({"f.yaml": blueprint_text("ours", "{labels: [bug]}")})
    assert chosen(of, "bug") == "ours"
    assert chosen(of, "bug", title="fix: it") == "bug-fix", "a title that fits as well is more specific"


def test_the_default_is_for_tasks_that_nothing_fits() -> None:
    of = catalog(one="{labels: [a]}", two="{}")
    assert chosen(of, "z", default="two") == "two"
    assert chosen(of, "a", default="two") == "one"
    with pytest.raises(ChoiceError, match="no default"):
        chosen(of, "z")
    with pytest.raises(ChoiceError, match=r"default blueprint 'too' does not exist.*'two'"):
        chosen(of, "z", default="too")


@given(
    st.dictionaries(st.sampled_from("pqrs"), st.frozensets(st.sampled_from("abc"), max_size=3), min_size=1),
    st.frozensets(st.sampled_from("abc")),
)
def test_the_choice_is_the_only_one_with_the_most_labels(
    declared: dict[str, frozenset[str]], labels: frozenset[str]
) -> None:
    of = catalog(**{name: f"{{labels: [{', '.join(sorted(own))}]}}" for name, own in declared.items()})
    sizes = {name: len(own) for name, own in declared.items() if own and own <= labels}
    best = [name for name, size in sizes.items() if size == max(sizes.values())]
    if len(best) == 1:
        assert chosen(of, *labels) == best[0]
    else:
        with pytest.raises(ChoiceError):
            chosen(of, *labels)
