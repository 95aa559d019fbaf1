"""What follows from the end of a step: the next step, another round, or a person (SPEC.md, section Rounds)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.domain.task import Cause, Feedback, Note, Reason, ReasonCode, State, StepRun, StepState, Task

if TYPE_CHECKING:
    from datetime import datetime

    from blueprints.model import Blueprint, Step

PUBLISH = "publish"
"""The step behind every blueprint's own: diff checked, branch pushed, change opened."""


class How(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"  # its command ended with another exit code than 0
    TIMED_OUT = "timed_out"
    OVER_BUDGET = "over_budget"
    NOT_STARTED = "not_started"  # its command does not exist, or its prompt cannot be made
    HALTED = "halted"
    BROKEN = "broken"  # the host's own fault: disk full, git failed


@dataclass(frozen=True, slots=True)
class StepEnd:
    """The end of one run of a step, as the host saw it.

    `head` is the checkpoint after it; `log` the bounded end of its output; `minutes` the wall clock; `why` a sentence
    for every end but a plain exit.
    """

    how: How
    exit_code: int | None
    head: str
    checkpoint: str | None
    log: str
    minutes: float
    tokens: int = 0
    cost_usd: float = 0.0
    why: str = ""


class Onward(StrEnum):
    """What the attempt does next."""

    NEXT = "next"
    AGAIN = "again"  # back to an agent step, in a new round
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Course:
    """The task after a step has ended, what that was, and what the attempt does next."""

    task: Task
    what: Cause | Note
    onward: Onward


def after_step(  # noqa: PLR0911 - one return for each way that a step ends
    task: Task, blueprint: Blueprint, step: Step, end: StepEnd, now: datetime
) -> Course:
    """Decide what follows. Pure: the caller commits the task and carries out the rest."""
    before = task
    task = _recorded(task, step, end, now)
    match end.how:
        case How.HALTED:
            why = Reason(code=ReasonCode.HALTED, text=f"the attempt was stopped: {end.why}.")
            return requeued(task, Cause.HALTED, why, now)
        case How.BROKEN:
            return broken(task, f"step {step.name} failed on host {task.host}: {end.why}", now)
        case How.TIMED_OUT:
            over_all = task.minutes.left <= 0
            code = ReasonCode.TIME_EXCEEDED if over_all else ReasonCode.STEP_TIMEOUT
            return _escalated(task, code, f"step {step.name} was killed: {end.why}", now)
        case How.OVER_BUDGET:
            return _escalated(task, ReasonCode.BUDGET_EXCEEDED, f"step {step.name} was killed: {end.why}", now)
        case How.NOT_STARTED:
            code = ReasonCode.AGENT_MISSING if step.agent else ReasonCode.STEP_FAILED
            return _escalated(task, code, f"step {step.name} could not start: {end.why}", now)
        case How.FAILED:
            return _failed(before, task, step, end, now)
        case How.PASSED:
            return _passed(before, task, blueprint, step, now)


def requeued(task: Task, cause: Cause, reason: Reason, now: datetime) -> Course:
    """Send a running task back to the queue; it goes on from its checkpoint under a new fence."""
    back = task.moved(cause, State.QUEUED, reason=reason, host=None, queued_at=now, steps=closed(task, now))
    return Course(back, cause, Onward.STOP)


INFRA_FAILURES_MAX = 5
"""Failures in a row that are not a task's own, before a person is asked."""

BACKOFF_FIRST = timedelta(seconds=0.5)
BACKOFF_LONGEST = timedelta(seconds=60)


def backoff(task_id: str, failures: int) -> timedelta:
    """How long a task waits after so many failures in a row that were not its own: doubling, capped, and spread.

    Args:
        task_id: Spreads tasks that failed together: each waits between half and all of the step (full jitter would
            let the first retry be at once; see Brooker, "Exponential backoff and jitter").
        failures: From 1.
    """
    step = min(BACKOFF_LONGEST, BACKOFF_FIRST * float(2 ** (failures - 1)))
    spread = zlib.crc32(f"{task_id}:{failures}".encode()) / 2**32
    return step * (0.5 + spread / 2)


def broken(task: Task, text: str, now: datetime) -> Course:
    """Send a task back after a failure that is not its own; after a bound of these, to a person."""
    failures = task.infra_failures + 1
    if failures > INFRA_FAILURES_MAX:
        return _escalated(task, ReasonCode.INFRA_ERROR, f"{text} (failure {failures} in a row)", now)
    reason = Reason(code=ReasonCode.HOST_LOST, text=f"{text}; it goes on from its checkpoint.")
    course = requeued(task, Cause.LEASE_EXPIRED, reason, now)
    later = {
        "infra_failures": failures,
        "retry_at": now + backoff(task.id, failures),
        "avoid_host": task.host,
    }
    return Course(course.task.model_copy(update=later), course.what, course.onward)


def _recorded(task: Task, step: Step, end: StepEnd, now: datetime) -> Task:
    """The task with the run of the step closed and what it cost booked (not yet a new version)."""
    state = {How.PASSED: StepState.PASSED, How.HALTED: StepState.STOPPED}.get(end.how, StepState.FAILED)
    runs = list(task.steps)
    for number in range(len(runs) - 1, -1, -1):
        if runs[number].name == step.name and runs[number].state is StepState.RUNNING:
            changes = {"state": state, "exit_code": end.exit_code, "ended_at": now}
            runs[number] = runs[number].model_copy(update=changes)
            break
    return task.model_copy(
        update={
            "steps": tuple(runs),
            "head": end.head,
            "checkpoint": end.checkpoint or task.checkpoint,
            "tokens": task.tokens.used(end.tokens),
            "minutes": task.minutes.used(end.minutes),
            "cost_usd": round(task.cost_usd + end.cost_usd, 6),
        }
    )


def _passed(before: Task, task: Task, blueprint: Blueprint, step: Step, now: datetime) -> Course:
    if task.feedback and task.head == before.head and _answers(step, task.feedback, blueprint):
        text = f"step {step.name} changed nothing after step {task.feedback.step} had failed."
        return _escalated(task, ReasonCode.NO_PROGRESS, text, now)
    behind = blueprint.steps_from(step.name)[1:]
    following = behind[0].name if behind else PUBLISH
    feedback = None if task.feedback and task.feedback.step == step.name else task.feedback
    onward = task.noted(
        next_step=following, feedback=feedback, infra_failures=0, retry_at=None, avoid_host=None, reason=None
    )
    return Course(onward, Note.STEP_ENDED, Onward.NEXT)


def _answers(step: Step, feedback: Feedback, blueprint: Blueprint) -> bool:
    """Whether it is this step that has to mend what failed: the agent step that the failure sent the work back to.

    An agent step further on may well have nothing to change; and an agent that failed itself, and now passes, is judged
    by the gates behind it.
    """
    if step.agent is None or feedback.step == step.name:
        return False
    goals = {each.name: each.on_fail for each in blueprint.steps if each.gate}
    first = next(each.name for each in blueprint.steps if each.agent)
    return goals.get(feedback.step, first) == step.name


def _failed(before: Task, task: Task, step: Step, end: StepEnd, now: datetime) -> Course:
    """A failed gate, or an agent that gave up, starts another round; a failed plain step is a person's."""
    goal = step.name if step.agent else step.on_fail
    if goal is None:
        text = f"step {step.name} ended with exit code {end.exit_code}; it is no gate, so there is no other round."
        return _escalated(task, ReasonCode.STEP_FAILED, text, now)
    told = Feedback(step=step.name, exit_code=end.exit_code, log=end.log)
    task = task.model_copy(update={"feedback": told})
    if step.agent and before.feedback and before.feedback.step == step.name and task.head == before.head:
        text = f"its agent ended with exit code {end.exit_code} twice and changed nothing in between."
        return _escalated(task, ReasonCode.AGENT_FAILED, text, now)
    if task.round >= task.rounds_max:
        code = ReasonCode.AGENT_FAILED if step.agent else ReasonCode.ROUNDS_EXHAUSTED
        text = (
            f"step {step.name} still fails (exit code {end.exit_code}) after {task.round} of {task.rounds_max} rounds."
        )
        return _escalated(task, code, text, now)
    again = task.noted(round=task.round + 1, next_step=goal)
    return Course(again, Note.ROUND_STARTED, Onward.AGAIN)


def _escalated(task: Task, code: ReasonCode, text: str, now: datetime) -> Course:
    return Course(escalated(task, Reason(code=code, text=text), now), Cause.ESCALATED, Onward.STOP)


def escalated(task: Task, reason: Reason, now: datetime) -> Task:
    """The task, handed to a person."""
    return task.moved(Cause.ESCALATED, State.ESCALATED, reason=reason, host=None, ended_at=now, steps=closed(task, now))


def closed(task: Task, now: datetime) -> tuple[StepRun, ...]:
    """Its runs when the attempt is over: none is left running."""
    return tuple(
        run.model_copy(update={"state": StepState.STOPPED, "ended_at": now}) if run.state is StepState.RUNNING else run
        for run in task.steps
    )
