"""Mend what was lost: leases that ran out, messages not sent, hosts that vanished, dependencies that landed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.courier import CONTROL_QUEUE, MERGE, VERIFY, VERIFY_QUEUE
from orchestrator.domain.rounds import broken, escalated
from orchestrator.domain.task import Cause, Reason, ReasonCode, State
from orchestrator.errors import StaleError
from orchestrator.services.attempt import accept_auto
from orchestrator.services.dispatch import dispatch
from orchestrator.services.floor import Move
from orchestrator.store import Holder, Wake

if TYPE_CHECKING:
    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor
    from orchestrator.store import Lease


def reconcile(floor: Floor) -> None:
    """One pass over everything that may have been lost. Any number may run at once; a repeat changes nothing."""
    for lease in floor.store.expired():
        match lease.kind:
            case Holder.TASK:
                _reap(floor, lease)
            case Holder.TRAIN:
                _verify_again(floor, lease)
            case Holder.HOST:
                floor.store.remove_host(lease.id)
    for task in floor.store.tasks([State.WAITING]):
        unblock(floor, task.id)
    for task in floor.store.tasks([State.REVIEW]):
        accept_auto(floor, task.id)  # its host may have died between opening the change and accepting it
    floor.send(floor.store.due())
    dispatch(floor)
    merging = {task.repository for task in floor.store.tasks([State.MERGING])}
    floor.send([Wake(MERGE, (each,), CONTROL_QUEUE) for each in sorted(merging)])


def unblock(floor: Floor, task_id: str) -> Task | None:
    """Queue a waiting task whose dependencies have all landed; escalate one that waits for a cancelled task."""

    def decide(task: Task) -> Move | None:
        if task.state is not State.WAITING:
            return None
        states = {each: floor.store.task(each).state for each in task.depends_on}
        gone = [each for each, state in states.items() if state is State.CANCELLED]
        now = floor.clock()
        if gone:
            reason = Reason(code=ReasonCode.DEPENDENCY_CANCELLED, text=f"depends on {gone[0]}, which was cancelled.")
            return Move(escalated(task, reason, now), Cause.ESCALATED)
        ahead = [each for each, state in states.items() if state is not State.MERGED]
        if not ahead:
            return Move(task.moved(Cause.UNBLOCKED, State.QUEUED, reason=None, queued_at=now), Cause.UNBLOCKED)
        return None

    return floor.change(task_id, decide)


def _reap(floor: Floor, lease: Lease) -> None:
    """Take a task back from a host that stopped renewing."""

    def decide(task: Task) -> Move | None:
        if task.state is not State.RUNNING or task.fence != lease.fence:
            return None
        text = f"host {task.host} was lost (its lease ran out)"
        course = broken(task, text, floor.clock())
        return Move(course.task, course.what, text=text, expired_only=True)

    try:
        floor.change(lease.id, decide)
    except StaleError:
        return  # the host renewed after all, and keeps it


def _verify_again(floor: Floor, lease: Lease) -> None:
    """Let another host verify a candidate whose host was lost."""
    repository = floor.store.repository(lease.id)
    train = floor.store.train(repository)
    candidate = train.candidate
    if candidate is None or candidate.fence != lease.fence or candidate.host is None:
        return
    again = candidate.model_copy(update={"host": None, "verify_started_at": None})
    wakes = (Wake(VERIFY, (repository.id, candidate.fence), VERIFY_QUEUE),)
    try:
        floor.store.commit_train(train.noted(again), wakes=wakes)
    except StaleError:
        return  # the train has moved on by itself
    floor.send(wakes)
