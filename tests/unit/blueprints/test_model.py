"""What makes a blueprint, and what it answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from blueprints.model import AgentCall, Blueprint, Limits, Match, Review, Step, StepKind, Tier

EDIT = Step(name="edit", agent=AgentCall(prompt="go"))
POLISH = Step(name="polish", agent=AgentCall(prompt="go on"))


def gate(name: str, on_fail: str | None = None) -> Step:
    return Step(name=name, run="true", gate=True, on_fail=on_fail)


def blueprint(*steps: Step) -> Blueprint:
    return Blueprint(name="b", steps=steps)


def test_a_gate_without_on_fail_goes_back_to_the_nearest_earlier_agent_step() -> None:
    made = blueprint(EDIT, gate("one"), POLISH, gate("two"), gate("three", "edit"))
    assert [step.on_fail for step in made.steps] == [None, "edit", None, "polish", "edit"]


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((gate("test"), EDIT), "no agent step before it"),
        ((EDIT, gate("test", "polish"), POLISH), "'polish' is no earlier agent step"),
        ((EDIT, gate("lint"), gate("test", "lint")), "'lint' is no earlier agent step"),
        ((EDIT, gate("test", "test")), "'test' is no earlier agent step"),
        ((EDIT, EDIT), "name of an earlier step"),
        ((), "at least 1"),
    ],
)
def test_steps_that_do_not_connect_are_refused(steps: tuple[Step, ...], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        blueprint(*steps)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "none of agent, run and verify"),
        ({"agent": {"prompt": "p"}, "run": "x"}, "has agent and run"),
        ({"verify": True, "run": "x"}, "has run and verify"),
        ({"agent": {"prompt": "p"}, "gate": True}, "an agent step cannot be a gate"),
        ({"run": "x", "on_fail": "edit"}, "the step is no gate"),
        ({"run": "x", "minutes": 0}, "greater than 0"),
        ({"run": "x", "minutes": float("nan")}, "finite"),
        ({"run": " "}, "pattern"),
        ({"run": "a\0b"}, "pattern"),
        ({"run": "x", "name": "publish"}, "reserved"),
        ({"run": "x", "name": "-x"}, "pattern"),
        ({"run": "x", "name": "x\n"}, "pattern"),
        ({"run": "x", "name": "a" * 41}, "pattern"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused(keys: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Step.model_validate({"name": "s", **keys})


def test_the_repositorys_verify_command_is_a_run_step_and_may_be_a_gate() -> None:
    step = Step(name="check", verify=True, gate=True)
    assert step.kind is StepKind.RUN
    assert blueprint(EDIT, step).step("check").on_fail == "edit"
    assert EDIT.kind is StepKind.AGENT


def test_steps_are_found_by_name_with_all_behind_them() -> None:
    made = blueprint(EDIT, gate("one"), gate("two"))
    assert made.step("one").name == "one"
    assert [step.name for step in made.steps_from("one")] == ["one", "two"]
    with pytest.raises(KeyError, match="three"):
        made.steps_from("three")


def test_a_blueprint_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(blueprint(EDIT), "rounds", 5)  # noqa: B010 - the assignment is what a type checker would refuse


def test_a_title_cannot_stall_the_pattern_that_is_sought_in_it() -> None:
    assert not Match(title=r"^(a+)+$").has_title("a" * 100_000 + "b")


def test_labels_are_matched_all_together_and_in_any_case() -> None:
    match = Match(labels=("Bug", "api"))
    assert match.has_labels(frozenset({"bug", "api", "more"}))
    assert not match.has_labels(frozenset({"bug"}))
    assert not Match().has_labels(frozenset({"bug"}))
    with pytest.raises(ValidationError, match="there already"):
        Match(labels=("Bug", "bug"))


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True).filter(
    lambda name: name not in {"prepare", "publish", "merge"}
)
MINUTES = st.floats(min_value=0.01, max_value=1440)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@st.composite
def blueprints(draw: st.DrawFn) -> Blueprint:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    steps = [Step(name=names[0], agent=AgentCall(name=draw(NAMES), prompt=draw(TEXT) + "!"))]
    for name in names[1:]:
        back = draw(st.none() | st.just(names[0]))
        steps.append(Step(name=name, run=f": {name}", gate=True, on_fail=back, minutes=draw(st.none() | MINUTES)))
    return Blueprint(
        name=draw(NAMES),
        description=draw(TEXT),
        match=Match(labels=tuple(draw(st.lists(NAMES, unique=True, max_size=3)))),
        limits=Limits(minutes=draw(MINUTES), tokens=draw(st.integers(1, 10**9))),
        rounds=draw(st.integers(1, 20)),
        steps=tuple(steps),
        review=Review(tier=draw(st.sampled_from(Tier))),
    )


@given(blueprints())
def test_a_trip_through_json_gives_an_equal_blueprint_with_an_equal_digest(made: Blueprint) -> None:
    back = Blueprint.model_validate_json(made.model_dump_json())
    assert back == made
    assert back.digest() == made.digest()


@given(blueprints(), blueprints())
def test_digests_are_equal_exactly_where_blueprints_are(one: Blueprint, other: Blueprint) -> None:
    assert (one.digest() == other.digest()) == (one == other)


def test_a_default_and_the_same_value_written_out_have_one_digest() -> None:
    out = Blueprint(name="b", steps=(EDIT,), limits=Limits(minutes=60, tokens=1_000_000, diff_lines=2_000), rounds=3)
    assert out.digest() == blueprint(EDIT).digest()
