"""Blueprint files: the sample parses, and each mistake is named by file, line and key."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.errors import BlueprintError
from blueprints.model import Tier
from blueprints.parse import parse_blueprint
from tests.unit.blueprints.samples import CODEMOD, POLICY

GUIDE = Path(__file__).parents[3] / "docs" / "blueprints.md"


def refused(text: str | bytes, file: str = "codemod.yaml") -> BlueprintError:
    with pytest.raises(BlueprintError) as caught:
        parse_blueprint(text, file)
    return caught.value


def test_the_sample_blueprint_parses_as_it_is() -> None:
    parsed = parse_blueprint(CODEMOD, "codemod.yaml")
    assert parsed.name == "codemod"
    assert [step.name for step in parsed.steps] == ["edit", "lint", "test"]
    assert (parsed.limits.minutes, parsed.limits.tokens, parsed.limits.diff_lines) == (20, 200_000, 2000)
    assert parsed.step("test").run == "python -m pytest -q"
    assert parsed.review.tier is Tier.AUTO
    assert parsed.match.has_title("a CodeMod")


@pytest.mark.parametrize(
    ("good", "bad", "line", "key", "says"),
    [
        ("rounds", "rouns", 6, "rouns", "'rounds'"),
        ("steps:", "step:", 7, "step", "'steps'"),
        ("tokens:", "token:", 5, "limits.token", "'tokens'"),
        ("prompt:", "promt:", 8, "steps[0].agent.promt", "'prompt'"),
        ("rounds: 3", "rounds: '3'", 6, "rounds", "is '3'; expected a whole number from 1 to 20"),
        ("rounds: 3", "rounds: 3.0", 6, "rounds", "is 3.0"),
        ("rounds: 3", "rounds: true", 6, "rounds", "is true"),
        ("rounds: 3", "rounds: 21", 6, "rounds", "from 1 to 20"),
        ("rounds: 3", "rounds:", 6, "rounds", "is empty"),
        ("gate: true, on_fail: edit, minutes: 5", "gate: 'true'", 9, "steps[1].gate", "true or false"),
        ("minutes: 5", "minutes: -1", 9, "steps[1].minutes", "above 0"),
        ("minutes: 20", "minutes: 1e9", 5, "limits.minutes", "at most 1440"),
        ("name: codemod\n", "name: Code Mod\n", 1, "name", "lower-case"),
        ("name: codemod\n", "", 1, "name", "is missing"),
        ('"ruff check ."', "true", 9, "steps[1].run", "a shell command"),
        ("name: lint, ", "", 9, "steps[1].name", "is missing"),
        ("name: lint", "name: edit", 9, "steps[1].name", "name of an earlier step"),
        ("name: lint", "name: prepare", 9, "steps[1].name", "reserved"),
        ("edit, minutes: 5", "edti, minutes: 5", 9, "steps[1].on_fail", "'edti' is no earlier agent step"),
        ("gate: true, on_fail: edit, minutes: 5", "on_fail: edit", 9, "steps[1].on_fail", "no gate"),
        ('run: "ruff check ."', "run: x, verify: true", 9, "steps[1]", "run and verify"),
        ("tier: auto", "tier: robot", 11, "review.tier", "auto or human"),
        ("review: {tier: auto}", "review: auto", 11, "review", "a mapping with tier"),
        ("[codemod]", "codemod", 3, "match.labels", "a list"),
        ("[codemod]", "[codemod, 5]", 3, "match.labels[1]", "is 5"),
        ("(?i)codemod", "(?i", 3, "match.title", "regular expression"),
        ("(?i)codemod", "a" * 201, 3, "match.title", "a text of 201 characters"),
        ("needs: []", "needs: ['a b']", 4, "needs[0]", "is 'a b'"),
        ("task.title", "task.titel", 8, "steps[0].agent.prompt", "unknown variable 'task.titel'"),
        ("{{ feedback }}", "{{ feedback", 8, "steps[0].agent.prompt", "syntax error"),
    ],
)
def test_a_mistake_is_named_by_line_and_key(good: str, bad: str, line: int, key: str, says: str) -> None:
    assert good in CODEMOD
    error = refused(CODEMOD.replace(good, bad, 1))
    assert (error.line, error.key) == (line, key)
    assert says in f"{error.message}; expected {error.expected}"
    assert str(error) == f"codemod.yaml:{line}: key '{key}': {error.message}; expected {error.expected}"


@pytest.mark.parametrize(("text", "what"), [("", "is empty"), ("[]", "is an empty list"), ("hello", "is 'hello'")])
def test_a_file_that_is_no_mapping_is_refused(text: str, what: str) -> None:
    assert f"the file {what}; expected a mapping with the keys name, description" in str(refused(text))


def test_a_mistake_in_a_literal_block_is_named_by_its_own_line() -> None:
    text = "name: x\nsteps:\n  - name: edit\n    agent:\n      prompt: |\n        one\n        two\n        {{ nam }}\n"
    assert refused(text).line == 8
    assert refused(text.replace("|", ">")).line == 5, "folded lines are not the file's"


def test_the_sample_is_refused_without_any_one_of_its_braces() -> None:
    for place, character in enumerate(CODEMOD.split("steps:")[0]):
        if character in "{}[]":
            assert refused(CODEMOD[:place] + CODEMOD[place + 1 :]).line is not None


def test_an_error_survives_pickling() -> None:
    error = refused("name: 5")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes


def test_the_errors_in_the_guide_are_as_printed() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    file = ".shopfloor/blueprints/codemod.yaml"
    for good, bad in [
        ("rounds: 3", "rouns: 3"),
        ("on_fail: edit, minutes: 5", "on_fail: edti, minutes: 5"),
        ("minutes: 10", "minutes: 0"),
        ("task.title", "task.titel"),
        ("[codemod]", "&labels [codemod]"),
    ]:
        assert str(refused(CODEMOD.replace(good, bad), file)) in guide


def test_the_examples_in_the_guide_parse() -> None:
    blocks = [part.split("```")[0] for part in GUIDE.read_text(encoding="utf-8").split("```yaml\n")[1:]]
    parsed = [parse_blueprint(block, "guide") for block in blocks if block.startswith("name:")]
    assert len(parsed) >= 2
    assert POLICY in blocks


@given(st.integers(0, len(CODEMOD) - 1), st.sampled_from("{}[]:,\"'|&*!?\n\t \u00e9x0"))
def test_one_wrong_character_gives_a_blueprint_or_one_blueprint_error(place: int, wrong: str) -> None:
    try:
        parse_blueprint(CODEMOD[:place] + wrong + CODEMOD[place + 1 :], "f")
    except BlueprintError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
