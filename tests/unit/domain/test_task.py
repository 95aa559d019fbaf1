"""Tasks: the table of transitions, versions, meters, and circles of dependencies."""

from __future__ import annotations

from itertools import pairwise, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.task import (
    FINAL,
    TRANSITIONS,
    Cause,
    Meter,
    State,
    Task,
    check_transition,
    find_cycle,
    holds_scope,
    holds_slot,
)
from orchestrator.errors import TransitionError
from tests.helpers.tasks import make_task

ALLOWED = {(row.source, row.cause, row.target) for row in TRANSITIONS}
MOVES = list(product([None, *State], Cause, State))


@pytest.mark.parametrize("source", [None, *State])
def test_a_move_is_allowed_exactly_where_the_table_has_it(source: State | None) -> None:
    for move in (move for move in MOVES if move[0] is source):
        if move in ALLOWED:
            check_transition(*move)
            continue
        with pytest.raises(TransitionError):
            check_transition(*move)


@pytest.mark.parametrize("source", [None, *State])
def test_a_refusal_names_the_state_and_what_is_allowed_from_there(source: State | None) -> None:
    refused = next(move for move in MOVES if move[0] is source and move not in ALLOWED)
    with pytest.raises(TransitionError) as caught:
        check_transition(*refused)
    allowed = sorted({row.cause.value for row in TRANSITIONS if row.source is source})
    assert str(source or "not there yet") in caught.value.message
    assert caught.value.remedy == f"From there it allows: {', '.join(allowed) or 'nothing'}."


def test_a_refusal_names_the_task() -> None:
    with pytest.raises(TransitionError, match=r"^T7 is queued, and cannot become merging by 'approved'\."):
        check_transition(State.QUEUED, Cause.APPROVED, State.MERGING, "T7")


def test_nothing_leaves_a_final_state_and_something_every_other() -> None:
    left = {row.source for row in TRANSITIONS}
    assert left == {None, *State} - FINAL


def test_the_table_has_no_row_twice_and_a_meaning_for_each() -> None:
    assert len(ALLOWED) == len(TRANSITIONS)
    assert all(row.meaning for row in TRANSITIONS)


def test_every_state_can_be_reached_and_every_cause_is_of_use() -> None:
    reached: set[State | None] = {None}
    for _ in State:
        reached |= {row.target for row in TRANSITIONS if row.source in reached}
    assert reached == {None, *State}
    assert {row.cause for row in TRANSITIONS} == set(Cause)


def test_a_scope_is_held_until_the_end_and_a_slot_while_running() -> None:
    released = {state for state in State if not holds_scope(state)}
    assert released == {State.MERGED, State.CANCELLED, State.ESCALATED}
    assert [state for state in State if holds_slot(state)] == [State.RUNNING]


def test_a_move_gives_the_next_version_and_leaves_the_task_as_it_was() -> None:
    task = make_task(version=4)
    after = task.moved(Cause.CLAIMED, State.RUNNING, host="h1")
    assert (after.state, after.host, after.version) == (State.RUNNING, "h1", 5)
    assert (task.state, task.host, task.version) == (State.QUEUED, None, 4)


def test_a_note_gives_the_next_version_in_the_same_state() -> None:
    after = make_task(version=4).noted(head="abc")
    assert (after.state, after.head, after.version) == (State.QUEUED, "abc", 5)


def test_a_move_that_is_not_allowed_is_refused_by_the_task_too() -> None:
    with pytest.raises(TransitionError, match=r"queued.*merged.*landed"):
        make_task().moved(Cause.LANDED, State.MERGED)


def test_progress_is_told_from_the_first_round_on() -> None:
    assert [make_task(round=number).progress for number in (0, 2)] == ["", "round 2/3"]


def test_a_task_is_the_same_after_a_trip_through_json() -> None:
    task = make_task(title="ü 🦊", scope=("a", "b/**"), round=1)
    assert Task.model_validate_json(task.model_dump_json()) == task


def test_a_meter_has_never_less_than_nothing_left() -> None:
    meter = Meter.of(10).used(4)
    assert (meter.left, meter.used(7).left, meter.used(7).spent) == (6, 0, 11)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=20), st.floats(min_value=0.001, max_value=1e6))
def test_a_renewed_meter_has_its_whole_allowance_again(amounts: list[float], allowance: float) -> None:
    meter = Meter.of(allowance)
    for amount in amounts:
        used = meter.used(amount)
        assert used.spent >= meter.spent
        meter = used
    assert meter.renewed().left == pytest.approx(allowance)
    assert (meter.renewed().spent, meter.renewed().allowance) == (meter.spent, allowance)


def test_a_circle_is_told_in_the_order_of_dependence() -> None:
    cycle = find_cycle({"a": ("b",), "b": ("c", "x"), "c": ("a",), "d": ("a",)})
    assert cycle is not None
    assert cycle[0] == cycle[-1]
    assert set(pairwise(cycle)) == {("a", "b"), ("b", "c"), ("c", "a")}


def test_a_task_that_depends_on_itself_is_a_circle() -> None:
    assert find_cycle({"a": ("a",)}) == ("a", "a")


def test_dependencies_that_lead_out_are_no_circle() -> None:
    assert find_cycle({"a": ("T1", "b"), "b": ("T1",)}) is None
    assert find_cycle({}) is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("abcdx"), max_size=4).map(tuple)))
def test_a_circle_is_found_exactly_where_no_order_satisfies_all(edges: dict[str, tuple[str, ...]]) -> None:
    orders = permutations(edges)
    possible = any(
        all(each not in edges or order.index(each) < order.index(task) for task in order for each in edges[task])
        for order in orders
    )
    cycle = find_cycle(edges)
    assert (cycle is None) == possible
    if cycle:
        assert all(later in edges[earlier] for earlier, later in pairwise(cycle))
