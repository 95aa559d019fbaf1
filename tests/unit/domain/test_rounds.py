"""Rounds: what follows from each end of a step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.rounds import (
    BACKOFF_FIRST,
    BACKOFF_LONGEST,
    INFRA_FAILURES_MAX,
    Course,
    How,
    Onward,
    after_step,
    backoff,
    broken,
)
from orchestrator.domain.task import Cause, Feedback, Meter, Note, ReasonCode, State, StepRun, StepState, Task
from tests.helpers.attempts import BASE, BLUEPRINT, at, ended
from tests.helpers.tasks import NOW

MOVED = "1" * 40
FAILURE = Feedback(step="test", exit_code=1, log="red")
REASONS = ReasonCode


def told(step: str) -> Feedback:
    return Feedback(step=step, exit_code=1, log="red")


def running(task: Task) -> Task:
    """The task while its next step runs."""
    step = BLUEPRINT.step(task.next_step)
    run = StepRun(
        name=step.name,
        kind=step.kind,
        round=task.round,
        attempt=1,
        host="h1",
        state=StepState.RUNNING,
        started_at=NOW,
    )
    return task.model_copy(update={"steps": (*task.steps, run)})


def end_of(task: Task, how: How, **changes: Any) -> Course:  # noqa: ANN401 - the fields' own types
    return after_step(running(task), BLUEPRINT, BLUEPRINT.step(task.next_step), ended(how, **changes), NOW)


def summary(course: Course) -> tuple[State, ReasonCode | None, Onward, str, int]:
    task = course.task
    return task.state, task.reason.code if task.reason else None, course.onward, task.next_step, task.round


GOES_ON = (State.RUNNING, None, Onward.NEXT)
AGAIN = (State.RUNNING, None, Onward.AGAIN)


def gives_up(code: ReasonCode) -> tuple[State, ReasonCode, Onward]:
    return State.ESCALATED, code, Onward.STOP


def goes_back(code: ReasonCode) -> tuple[State, ReasonCode, Onward]:
    return State.QUEUED, code, Onward.STOP


@pytest.mark.parametrize(
    ("task", "how", "head", "expected"),
    [
        # passed
        (at("setup"), How.PASSED, BASE, (*GOES_ON, "edit", 1)),
        (at("edit"), How.PASSED, MOVED, (*GOES_ON, "polish", 1)),
        (at("edit"), How.PASSED, BASE, (*GOES_ON, "polish", 1)),
        (at("lint"), How.PASSED, BASE, (*GOES_ON, "test", 1)),
        (at("test", round=3), How.PASSED, BASE, (*GOES_ON, "publish", 3)),
        (at("edit", round=2, feedback=FAILURE), How.PASSED, MOVED, (*GOES_ON, "polish", 2)),
        (at("edit", round=2, feedback=FAILURE), How.PASSED, BASE, (*gives_up(REASONS.NO_PROGRESS), "edit", 2)),
        (at("edit", feedback=told("merge")), How.PASSED, BASE, (*gives_up(REASONS.NO_PROGRESS), "edit", 1)),
        (at("edit", round=2, feedback=told("review")), How.PASSED, BASE, (*gives_up(REASONS.NO_PROGRESS), "edit", 2)),
        # the agent behind the one that has to mend it may have nothing to do
        (at("polish", round=2, feedback=FAILURE), How.PASSED, BASE, (*GOES_ON, "lint", 2)),
        # an agent that failed itself had perhaps done its work: gates judge it
        (at("edit", round=2, feedback=told("edit")), How.PASSED, BASE, (*GOES_ON, "polish", 2)),
        # failed
        (at("setup"), How.FAILED, BASE, (*gives_up(REASONS.STEP_FAILED), "setup", 1)),
        (at("test"), How.FAILED, BASE, (*AGAIN, "edit", 2)),
        (at("test", round=2), How.FAILED, BASE, (*AGAIN, "edit", 3)),
        (at("test", round=3), How.FAILED, BASE, (*gives_up(REASONS.ROUNDS_EXHAUSTED), "test", 3)),
        (at("edit"), How.FAILED, BASE, (*AGAIN, "edit", 2)),
        (at("polish"), How.FAILED, BASE, (*AGAIN, "polish", 2)),
        (at("edit", round=2, feedback=told("edit")), How.FAILED, MOVED, (*AGAIN, "edit", 3)),
        (at("edit", round=2, feedback=told("edit")), How.FAILED, BASE, (*gives_up(REASONS.AGENT_FAILED), "edit", 2)),
        (at("edit", round=2, feedback=FAILURE), How.FAILED, BASE, (*AGAIN, "edit", 3)),
        (at("edit", round=3), How.FAILED, MOVED, (*gives_up(REASONS.AGENT_FAILED), "edit", 3)),
        # stopped by a limit
        (at("edit"), How.TIMED_OUT, BASE, (*gives_up(REASONS.STEP_TIMEOUT), "edit", 1)),
        (at("test"), How.TIMED_OUT, BASE, (*gives_up(REASONS.STEP_TIMEOUT), "test", 1)),
        (at("edit", minutes=Meter.of(1)), How.TIMED_OUT, BASE, (*gives_up(REASONS.TIME_EXCEEDED), "edit", 1)),
        (at("edit"), How.OVER_BUDGET, BASE, (*gives_up(REASONS.BUDGET_EXCEEDED), "edit", 1)),
        # not begun
        (at("edit"), How.NOT_STARTED, BASE, (*gives_up(REASONS.AGENT_MISSING), "edit", 1)),
        (at("test"), How.NOT_STARTED, BASE, (*gives_up(REASONS.STEP_FAILED), "test", 1)),
        # not its own
        (at("edit", round=2), How.HALTED, BASE, (*goes_back(REASONS.HALTED), "edit", 2)),
        (at("test", round=2), How.BROKEN, BASE, (*goes_back(REASONS.HOST_LOST), "test", 2)),
        (at("edit", infra_failures=5), How.BROKEN, BASE, (*gives_up(REASONS.INFRA_ERROR), "edit", 1)),
    ],
)
def test_what_follows_from_the_end_of_a_step(
    task: Task, how: How, head: str, expected: tuple[State, ReasonCode | None, Onward, str, int]
) -> None:
    course = end_of(task, how, head=head)
    assert summary(course) == expected
    assert course.task.version == task.version + 1


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("name", ["setup", "edit", "test"])
def test_every_end_books_what_it_cost_and_closes_its_run(how: How, name: str) -> None:
    task = end_of(at(name), how).task
    assert (task.tokens.spent, task.minutes.spent, task.cost_usd) == (100, 1, 0.5)
    assert task.steps[-1].ended_at == NOW
    closed = {How.PASSED: StepState.PASSED, How.HALTED: StepState.STOPPED}.get(how, StepState.FAILED)
    assert task.steps[-1].state is closed


def test_the_log_of_a_failed_gate_is_the_feedback_of_the_next_round() -> None:
    course = end_of(at("test"), How.FAILED, log="one test is red", exit_code=2)
    assert course.task.feedback == Feedback(step="test", exit_code=2, log="one test is red")
    assert course.what is Note.ROUND_STARTED


@pytest.mark.parametrize(("name", "left"), [("test", None), ("lint", FAILURE), ("polish", FAILURE), ("setup", FAILURE)])
def test_feedback_is_kept_until_the_step_that_gave_it_passes(name: str, left: Feedback | None) -> None:
    assert end_of(at(name, round=2, feedback=FAILURE), How.PASSED, head=MOVED).task.feedback == left


def test_an_agent_that_passes_after_it_failed_leaves_no_feedback_of_itself() -> None:
    assert end_of(at("edit", round=2, feedback=told("edit")), How.PASSED).task.feedback is None


def test_the_checkpoint_is_kept_where_a_step_made_no_new_one() -> None:
    task = at("test", head=MOVED, checkpoint="refs/kept")
    assert end_of(task, How.HALTED, head=MOVED).task.checkpoint == "refs/kept"
    assert end_of(task, How.PASSED, head=MOVED, checkpoint="refs/new").task.checkpoint == "refs/new"


def test_work_given_back_is_on_no_host_and_keeps_its_place() -> None:
    course = end_of(at("edit", round=2, head=MOVED, checkpoint="refs/kept"), How.HALTED, head=MOVED)
    task = course.task
    assert (task.host, task.head, task.checkpoint, task.queued_at) == (None, MOVED, "refs/kept", NOW)
    assert course.what is Cause.HALTED


def test_an_escalated_task_has_ended_and_says_why() -> None:
    task = end_of(at("edit"), How.OVER_BUDGET, why="900 of 800 tokens are used.").task
    assert (task.host, task.ended_at) == (None, NOW)
    assert task.reason is not None
    assert task.reason.text == "step edit was killed: 900 of 800 tokens are used."


def test_failures_of_hosts_are_counted_until_a_step_passes() -> None:
    task = at("edit", infra_failures=3, retry_at=NOW, avoid_host="h2")
    assert end_of(task, How.BROKEN).task.infra_failures == 4
    passed = end_of(task, How.PASSED).task
    assert (passed.infra_failures, passed.retry_at, passed.avoid_host) == (0, None, None)


def test_failures_of_hosts_are_bounded() -> None:
    task = at("edit")
    for failures in range(1, INFRA_FAILURES_MAX + 1):
        course = broken(task, "the disk is full", NOW)
        assert (course.task.state, course.task.infra_failures) == (State.QUEUED, failures)
        assert course.task.avoid_host == "h1"
        task = course.task.moved(Cause.CLAIMED, State.RUNNING, host="h1")
    course = broken(task, "the disk is full", NOW)
    assert course.what is Cause.ESCALATED
    assert course.task.reason is not None
    assert course.task.reason.text == "the disk is full (failure 6 in a row)"


def test_the_wait_after_a_failure_doubles_is_spread_and_is_capped() -> None:
    for failures in range(1, 12):
        step = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** (failures - 1))
        waits = {backoff(f"T{number}", failures) for number in range(30)}
        assert all(step / 2 <= wait <= step for wait in waits)
        assert len(waits) > 20
    assert broken(at("edit"), "lost", NOW).task.retry_at == NOW + backoff("T1", 1)
    assert timedelta(0) < backoff("T1", 1) <= BACKOFF_FIRST
