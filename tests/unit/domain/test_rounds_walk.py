"""Rounds, walked: whatever befalls the steps of a task, its rounds are bounded and nothing is done twice."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.rounds import PUBLISH, How, StepEnd, after_step
from orchestrator.domain.task import Cause, State, StepRun, StepState, Task
from tests.helpers.attempts import BLUEPRINT, at, ended
from tests.helpers.tasks import NOW

ROUNDS = 3
LONGEST = ROUNDS * len(BLUEPRINT.steps)
OWN = [How.PASSED, How.PASSED, How.PASSED, How.FAILED, How.FAILED]
HEADS = st.sampled_from(["1", "2", "3", "4"])
ENDS = st.builds(
    ended,
    how=st.sampled_from([*OWN, How.HALTED, How.BROKEN]),
    head=HEADS,
    tokens=st.integers(0, 500),
    minutes=st.floats(0, 3),
    cost_usd=st.floats(0, 1),
)
OWN_ENDS = st.builds(ended, how=st.sampled_from(OWN), head=HEADS)


def start(task: Task, number: int) -> Task:
    """The task while its next step runs, claimed anew where it had been given back."""
    if task.state is State.QUEUED:
        changes = {"round": max(task.round, 1), "attempt": task.attempt + 1, "host": "h1"}
        task = task.moved(Cause.CLAIMED, State.RUNNING, **changes)
    step = BLUEPRINT.step(task.next_step)
    run = StepRun(
        name=step.name,
        kind=step.kind,
        round=task.round,
        attempt=task.attempt,
        host="h1",
        state=StepState.RUNNING,
        started_at=NOW + timedelta(seconds=number),
    )
    return task.noted(steps=(*task.steps, run))


@settings(deadline=None)
@given(st.lists(ENDS, max_size=40))
def test_rounds_are_bounded_costs_only_grow_and_no_finished_step_is_repeated(ends: list[StepEnd]) -> None:
    task = at("setup", rounds_max=ROUNDS)
    finished: set[tuple[int, str]] = set()
    for number, end in enumerate(ends):
        if task.state not in {State.RUNNING, State.QUEUED} or task.next_step == PUBLISH:
            break
        before = start(task, number)
        place = (before.round, before.next_step)
        assert place not in finished
        task = after_step(before, BLUEPRINT, BLUEPRINT.step(before.next_step), end, NOW).task
        if end.how in {How.PASSED, How.FAILED}:
            finished.add(place)
        assert 1 <= task.round <= ROUNDS
        assert before.round <= task.round <= before.round + 1
        assert task.version == before.version + 1
        assert task.tokens.spent >= before.tokens.spent
        assert task.minutes.spent >= before.minutes.spent
        assert task.cost_usd >= before.cost_usd
        assert all(run.state is not StepState.RUNNING for run in task.steps)
        assert len(task.steps) == number + 1


@settings(deadline=None)
@given(st.lists(OWN_ENDS, min_size=LONGEST, max_size=LONGEST))
def test_a_task_whose_hosts_do_not_fail_ends_within_its_rounds(ends: list[StepEnd]) -> None:
    task = at("setup", rounds_max=ROUNDS)
    for number, end in enumerate(ends):
        if task.state is not State.RUNNING or task.next_step == PUBLISH:
            break
        before = start(task, number)
        task = after_step(before, BLUEPRINT, BLUEPRINT.step(before.next_step), end, NOW).task
    assert task.state is State.ESCALATED or task.next_step == PUBLISH
