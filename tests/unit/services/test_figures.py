"""Figures: counted from the tasks that ended within the window."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Meter, Reason, ReasonCode, State, Task
from orchestrator.services.figures import figures, percentile
from orchestrator.services.halt import halt
from tests.helpers.attempts import change_of
from tests.helpers.clocks import START
from tests.helpers.tasks import make_task, submit

if TYPE_CHECKING:
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock

EXHAUSTED = Reason(code=ReasonCode.ROUNDS_EXHAUSTED, text="still red.")


def ended(floor: Floor, number: int, state: State, minute: float, **changes: Any) -> Task:  # noqa: ANN401 - the fields' own types
    """A task that was submitted at the start and ended so many minutes later."""
    times = {"created_at": START, "ended_at": START + timedelta(minutes=minute)}
    return submit(floor.store, id=f"T{number}", state=state, **times | changes)


def test_of_nothing_the_rates_are_null_and_the_counts_zero(floor: Floor) -> None:
    found = figures(floor)
    assert (found.merged, found.merged_per_hour, found.queue_depth, found.running) == (0, 0.0, 0, 0)
    assert (found.slots, found.hosts, found.halted) == (4, 1, False)
    assert found.tasks == dict.fromkeys(State, 0)
    rates = (found.success_rate, found.acceptance_rate, found.rounds_exhausted_rate)
    costs = (found.time_to_change_p50, found.time_to_change_p95, found.cost_per_merged_usd, found.tokens_per_merged)
    assert {*rates, *costs} == {None}


def test_rates_are_of_the_tasks_that_ended(floor: Floor, clock: Clock) -> None:
    change = change_of(make_task())
    ended(floor, 1, State.MERGED, 10, change=change, cost_usd=1.0, tokens=Meter(budget=9, spent=300, allowance=9))
    ended(floor, 2, State.MERGED, 20, change=change, cost_usd=2.0)
    ended(floor, 3, State.ESCALATED, 30, reason=EXHAUSTED, cost_usd=3.0)
    ended(floor, 4, State.CANCELLED, 40, change=change)
    submit(floor.store, id="T5")
    submit(floor.store, id="T6", state=State.WAITING)
    clock.pass_by(minutes=60)
    found = figures(floor)
    assert (found.success_rate, found.rounds_exhausted_rate, found.acceptance_rate) == (0.5, 0.25, 0.6667)
    assert (found.merged, found.merged_per_hour, found.queue_depth) == (2, 2.0, 2)
    assert (found.cost_per_merged_usd, found.tokens_per_merged) == (3.0, 150.0)
    assert (found.tasks[State.MERGED], found.tasks[State.QUEUED]) == (2, 1)


def test_only_the_window_counts(floor: Floor, clock: Clock) -> None:
    ended(floor, 1, State.MERGED, 0)
    ended(floor, 2, State.MERGED, 61)
    clock.pass_by(minutes=121)
    assert figures(floor, timedelta(hours=1)).merged == 1
    assert figures(floor, timedelta(hours=1)).window_hours == 1
    assert figures(floor).merged == 2


def test_the_rate_of_a_fleet_that_has_just_begun_is_not_overdrawn(floor: Floor, clock: Clock) -> None:
    ended(floor, 1, State.MERGED, 0)
    assert figures(floor).merged_per_hour == 60
    clock.pass_by(minutes=30)
    assert figures(floor).merged_per_hour == 2


def test_the_time_to_a_change_is_from_submission_to_its_opening(floor: Floor, clock: Clock) -> None:
    for number in range(1, 12):
        opened = START + timedelta(seconds=number)
        submit(floor.store, id=f"T{number}", state=State.REVIEW, created_at=START, change_opened_at=opened)
    clock.pass_by(minutes=1)
    found = figures(floor)
    assert (found.time_to_change_p50, found.time_to_change_p95) == (6.0, 10.5)


def test_a_halt_in_force_is_told(floor: Floor) -> None:
    halt(floor, Reach.HOST, "h1", why="a test", who="ann")
    assert figures(floor).halted


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([7.0], 95, 7.0), ([1.0, 3.0], 50, 2.0), ([3.0, 1.0, 2.0], 50, 2.0), ([0.0, 10.0], 95, 9.5)],
)
def test_a_percentile_lies_between_the_values_around_it(
    values: list[float], percent: int, expected: float | None
) -> None:
    assert percentile(values, percent) == expected
