"""Hand queued work to hosts: choose from a snapshot, then claim one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.courier import PREPARE, host_queue
from orchestrator.domain.fleet import Plan, Snapshot, choose
from orchestrator.domain.task import Cause, State
from orchestrator.services.floor import Move
from orchestrator.store import Claim, Commit, Wake

if TYPE_CHECKING:
    from orchestrator.domain.fleet import Host
    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor


def plan(floor: Floor) -> Plan:
    """What would be placed where right now, and why the rest would not."""
    store = floor.store
    return choose(
        Snapshot(
            queued=store.tasks([State.QUEUED]),
            holdings=store.holdings(),
            hosts=store.hosts(),
            busy=store.busy(),
            halts=store.halts(),
            now=floor.clock(),
        )
    )


def dispatch(floor: Floor) -> int:
    """Claim what the plan places; returns how many attempts were granted.

    A claim that is refused is left for the next dispatch: the snapshot was old. Any number of these may run at once.
    """
    return sum(_claim(floor, task, host) for task, host in plan(floor).placements)


def _claim(floor: Floor, task: Task, host: Host) -> bool:
    fence = floor.store.next_fence()
    now = floor.clock()
    after = task.moved(
        Cause.CLAIMED,
        State.RUNNING,
        fence=fence,
        host=host.name,
        attempt=task.attempt + 1,
        round=max(task.round, 1),
        attempt_started_at=now,
        started_at=task.started_at or now,
        reason=None,
    )
    wakes = (Wake(PREPARE, (task.id, fence), host_queue(host.name)),)
    move = Move(after, Cause.CLAIMED, wakes)
    commit = Commit(task, after, floor.event(task, move), wakes)
    if floor.store.claim(Claim(commit, host, floor.lease_seconds)) is not None:
        return False
    floor.send(wakes)
    return True
