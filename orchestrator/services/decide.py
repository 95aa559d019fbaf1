"""What a person decides about a task: approve, reject, retry, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE
from orchestrator.domain.rounds import closed, escalated
from orchestrator.domain.task import Cause, Feedback, Reason, ReasonCode, State, Task
from orchestrator.services.attempt import accepted, blueprint_of
from orchestrator.services.floor import Move
from orchestrator.store import Wake

if TYPE_CHECKING:
    from orchestrator.services.floor import Floor

_DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)

_WORK_REFUSED = frozenset(
    {ReasonCode.SCOPE_VIOLATION, ReasonCode.DIFF_TOO_LARGE, ReasonCode.CONFLICT, ReasonCode.NO_CHANGES}
)
"""Reasons after which a retry starts from the target's tip: going on from the same work would end the same way."""


def approve(floor: Floor, task_id: str, *, who: str) -> Task:
    """Accept a change that waits for a person.

    Raises:
        TransitionError: the task is not in review.
    """
    return floor.decide(task_id, lambda task: accepted(floor, task, who=who))


def reject(floor: Floor, task_id: str, why: str, *, who: str) -> Task:
    """Send a change back with the reviewer's words as feedback; after the last round, to a person.

    Raises:
        TransitionError: the task is not in review.
    """

    def decide(task: Task) -> Move:
        told = task.model_copy(update={"feedback": Feedback(step="review", exit_code=None, log=why)})
        reason = Reason(code=ReasonCode.REJECTED, text=f"rejected by {who}: {why}")
        if task.state is State.REVIEW and task.round >= task.rounds_max:
            return Move(escalated(told, reason, floor.clock()), Cause.ESCALATED, (_DISPATCH_NOW,), who=who, text=why)
        first = first_agent_step(floor, task)
        after = told.moved(
            Cause.CHANGES_REQUESTED,
            State.QUEUED,
            reason=reason,
            round=task.round + 1,
            next_step=first,
            host=None,
            queued_at=floor.clock(),
        )
        return Move(after, Cause.CHANGES_REQUESTED, (_DISPATCH_NOW,), who=who, text=why)

    return floor.decide(task_id, decide)


def retry(floor: Floor, task_id: str, *, who: str) -> Task:
    """Give an escalated task its rounds and limits anew; it goes on where it stopped, unless its work was refused.

    Raises:
        TransitionError: the task is not escalated.
    """

    def decide(task: Task) -> Move:
        now = floor.clock()
        code = task.reason.code if task.reason else None
        again: dict[str, str | None] = {}
        if code in _WORK_REFUSED:
            again = {"base": None, "head": None, "checkpoint": None, "next_step": _first_step(floor, task)}
        if code is ReasonCode.REJECTED:  # it stopped behind its last step; the reviewer's words are for an agent
            again = {"next_step": first_agent_step(floor, task)}
        after = task.moved(
            Cause.RETRIED,
            State.QUEUED,
            **again,
            reason=None,
            round=0,
            reworks=0,
            infra_failures=0,
            retry_at=None,
            avoid_host=None,
            tokens=task.tokens.renewed(),
            minutes=task.minutes.renewed(),
            queued_at=now,
            ended_at=None,
        )
        return Move(after, Cause.RETRIED, (_DISPATCH_NOW,), who=who)

    return floor.decide(task_id, decide)


def cancel(floor: Floor, task_id: str, *, who: str) -> Task:
    """Give a task up: its agent is killed, its scope given back; its work stays under its refs.

    Raises:
        TransitionError: the task has ended already.
    """

    def decide(task: Task) -> Move:
        now = floor.clock()
        reason = Reason(code=ReasonCode.CANCELLED, text=f"cancelled by {who}.")
        change = task.change.model_copy(update={"state": "closed"}) if task.change else None
        after = task.moved(
            Cause.CANCELLED,
            State.CANCELLED,
            reason=reason,
            change=change,
            host=None,
            ended_at=now,
            steps=closed(task, now),
        )
        return Move(after, Cause.CANCELLED, (_DISPATCH_NOW, Wake(MERGE, (task.repository,), CONTROL_QUEUE)), who=who)

    task = floor.decide(task_id, decide)
    floor.store.nudge()
    return task


def _first_step(floor: Floor, task: Task) -> str:
    return blueprint_of(floor, task).steps[0].name


def first_agent_step(floor: Floor, task: Task) -> str:
    """Where a rework begins: the first agent step, or the first step of a blueprint that has none."""
    steps = blueprint_of(floor, task).steps
    return next((step.name for step in steps if step.agent), steps[0].name)
