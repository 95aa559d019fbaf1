"""What a host may do to a task while it holds it: every call names the fence, and a stale one changes nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from blueprints.model import Blueprint, Tier
from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE
from orchestrator.domain.review import Touched, inspect, tier_of
from orchestrator.domain.rounds import PUBLISH, Onward, after_step, broken, escalated, requeued
from orchestrator.domain.task import Cause, Change, Note, Reason, ReasonCode, State, StepRun, StepState, Task
from orchestrator.errors import NotFoundError
from orchestrator.services.floor import Move
from orchestrator.store import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blueprints.model import Step
    from orchestrator.domain.rounds import StepEnd
    from orchestrator.services.floor import Floor
    from orchestrator.store import Store

DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)


def held(floor: Floor, task_id: str, fence: int) -> Task | None:
    """The task, if this fence still holds it as a running attempt; else None."""
    try:
        task = floor.store.task(task_id)
    except NotFoundError:
        return None
    return task if _holds(task, fence) else None


def blueprint_of(floor: Floor, task: Task) -> Blueprint:
    """The blueprint that the task was submitted under."""
    return _blueprint(floor.store, task.blueprint_digest)  # type: ignore[arg-type] # a store is hashed by identity


@lru_cache(maxsize=256)
def _blueprint(store: Store, digest: str) -> Blueprint:
    """A blueprint by its digest: what a digest names never changes."""
    return Blueprint.model_validate_json(store.blueprint(digest))


def started(floor: Floor, task_id: str, fence: int, *, base: str, head: str, rules: str, branch: str) -> Task | None:
    """Note that the workspace stands, at which base and checkpoint.

    A repeat, after steps of this attempt have run, moves nothing back: it gives the task as it stands.
    """
    task = held(floor, task_id, fence)
    if task and any(run.attempt == task.attempt for run in task.steps):
        return task

    def decide(task: Task) -> Move | None:
        if any(run.attempt == task.attempt for run in task.steps):
            return None
        return Move(task.noted(base=base, head=head, rules=rules, branch=branch), Note.STARTED)

    return _while_held(floor, task_id, fence, decide)


def step_started(floor: Floor, task_id: str, fence: int, round_number: int, step: Step) -> Task | None:
    """Note that a step begins; None where it is not the one that is next, or runs already (a message came twice)."""

    def decide(task: Task) -> Move | None:
        runs = any(run.state is StepState.RUNNING for run in task.steps)
        if runs or (task.round, task.next_step) != (round_number, step.name):
            return None
        run = StepRun(
            name=step.name,
            kind=step.kind,
            round=task.round,
            attempt=task.attempt,
            host=task.host or "",
            state=StepState.RUNNING,
            started_at=floor.clock(),
        )
        return Move(task.noted(steps=(*task.steps, run)), Note.STEP_STARTED, step=step.name)

    return _while_held(floor, task_id, fence, decide)


def step_ended(floor: Floor, task_id: str, fence: int, step: Step, end: StepEnd) -> tuple[Task | None, Onward]:
    """Commit what follows from the end of a step; STOP where the attempt is over, was not ours, or told us before."""
    onward = Onward.STOP

    def decide(task: Task) -> Move | None:
        nonlocal onward
        if not any(run.name == step.name and run.state is StepState.RUNNING for run in task.steps):
            return None
        course = after_step(task, blueprint_of(floor, task), step, end, floor.clock())
        onward = course.onward
        wakes = (DISPATCH_NOW,) if course.task.state is not State.RUNNING else ()
        return Move(course.task, course.what, wakes, step=step.name, exit_code=end.exit_code)

    task = _while_held(floor, task_id, fence, decide)
    return (task, onward) if task else (None, Onward.STOP)


def inspected(floor: Floor, task_id: str, fence: int, touched: Sequence[Touched]) -> Tier | None:
    """Hold a finished diff against the task's scope and limits; escalate what is refused.

    Returns:
        Who must accept the change; None where it was refused, steps are still ahead, or the attempt was not ours any
        more.
    """
    task = held(floor, task_id, fence)
    if task is None or task.next_step != PUBLISH:
        return None
    reason = inspect(task, touched)
    if reason is None:
        return tier_of(blueprint_of(floor, task).review.tier, touched)
    failed(floor, task_id, fence, reason)
    return None


def published(floor: Floor, task_id: str, fence: int, change: Change) -> Task | None:
    """Note that the branch was pushed and the change opened; an `auto` change is accepted at once."""
    now = floor.clock()

    def decide(task: Task) -> Move | None:
        if task.next_step != PUBLISH:
            return None
        waits = Reason(
            code=ReasonCode.AWAITING_APPROVAL,
            text=f"waits for a person: `shopfloor approve {task_id}` or `shopfloor reject {task_id}`.",
        )
        after = task.moved(
            Cause.PUBLISHED,
            State.REVIEW,
            change=change,
            published_head=task.head,
            change_opened_at=task.change_opened_at or now,
            reason=None if change.tier is Tier.AUTO else waits,
            feedback=None,
        )
        return Move(after, Cause.PUBLISHED, (DISPATCH_NOW,))

    task = _while_held(floor, task_id, fence, decide)
    return (accept_auto(floor, task_id) or task) if task else None


def accept_auto(floor: Floor, task_id: str) -> Task | None:
    """Put a change that needs nobody's word on the train; None where it is not in review, or waits for a person."""

    def decide(task: Task) -> Move | None:
        if task.state is not State.REVIEW or task.change is None or task.change.tier is not Tier.AUTO:
            return None
        return accepted(floor, task, who="tier auto")

    return floor.change(task_id, decide)


def accepted(floor: Floor, task: Task, *, who: str) -> Move:
    """The move that puts a reviewed change on the train.

    Raises:
        TransitionError: the task is not in review.
    """
    reason = Reason(code=ReasonCode.MERGE_QUEUE, text="waits for its turn on the merge train.")
    after = task.moved(Cause.APPROVED, State.MERGING, merging_at=floor.clock(), reason=reason)
    return Move(after, Cause.APPROVED, (Wake(MERGE, (task.repository,), CONTROL_QUEUE),), who=who)


def failed(floor: Floor, task_id: str, fence: int, reason: Reason) -> Task | None:
    """Hand a held task to a person."""
    return _while_held(
        floor,
        task_id,
        fence,
        lambda task: Move(escalated(task, reason, floor.clock()), Cause.ESCALATED, (DISPATCH_NOW,)),
    )


def gave_up(floor: Floor, task_id: str, fence: int, why: str) -> Task | None:
    """Give a held task back after a failure that is not its own."""

    def decide(task: Task) -> Move:
        course = broken(task, why, floor.clock())
        return Move(course.task, course.what, (DISPATCH_NOW,), text=why)

    return _while_held(floor, task_id, fence, decide)


def halted(floor: Floor, task_id: str, fence: int, why: str) -> Task | None:
    """Give a held task back because a halt stopped it between two steps."""

    def decide(task: Task) -> Move:
        reason = Reason(code=ReasonCode.HALTED, text=f"the attempt was stopped: {why}.")
        return Move(requeued(task, Cause.HALTED, reason, floor.clock()).task, Cause.HALTED)

    return _while_held(floor, task_id, fence, decide)


def _holds(task: Task, fence: int) -> bool:
    return task.state is State.RUNNING and task.fence == fence


def _while_held(floor: Floor, task_id: str, fence: int, decide: Callable[[Task], Move | None]) -> Task | None:
    return floor.change(task_id, lambda task: decide(task) if _holds(task, fence) else None)
