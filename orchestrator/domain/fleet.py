"""Which queued task goes to which host next, and why the others do not: one pure choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.halt import Halt, Reach, halt_of
from orchestrator.domain.rounds import BACKOFF_LONGEST
from orchestrator.domain.scope import Scope
from orchestrator.domain.task import Reason, ReasonCode, Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESERVE_AFTER = timedelta(minutes=10)
"""A task that has waited this long for its scope keeps younger tasks from overtaking it there."""

AGE_STEP = timedelta(minutes=30)
"""A queued task gains one priority for each of these that it has waited, so that none starves."""


class Host(Frozen):
    """A machine with worker processes, as its own heartbeat tells."""

    name: str
    slots: int
    capabilities: tuple[str, ...] = ()
    version: str = ""
    sandbox: str = "none"
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A scope that a task holds."""

    task: str
    repository: str
    scope: Scope
    title: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the choice is made from; `busy` counts the slots taken on each live host."""

    queued: Sequence[Task]
    holdings: Sequence[Holding]
    hosts: Sequence[Host]
    busy: Mapping[str, int]
    halts: Sequence[Halt]
    now: datetime


@dataclass(slots=True)
class Plan:
    """Placements in the order to claim them, and a reason for each task that is not placed."""

    placements: list[tuple[Task, Host]] = field(default_factory=list)
    reasons: dict[str, Reason] = field(default_factory=dict)


_INTERRUPTED = frozenset({ReasonCode.HOST_LOST, ReasonCode.HALTED})


def rank(task: Task, now: datetime) -> tuple[float, datetime, str]:
    """The order of the queue: what was interrupted, then priority (0 is first) less what age has earned, then age.

    A task that lost its host holds its scope, and left the slot that it asks for: it goes on before anything begins.
    """
    since = task.queued_at or task.created_at
    if task.reason and task.reason.code in _INTERRUPTED:
        return (-inf, since, task.id.zfill(12))
    earned = max(timedelta(0), now - since) // AGE_STEP
    return (task.priority - earned, since, task.id.zfill(12))


def choose(snapshot: Snapshot) -> Plan:
    """Choose placements for as many queued tasks as may run at once."""
    plan = Plan()
    taken: list[Holding] = list(snapshot.holdings)
    reserved: list[Holding] = []
    free = {host.name: host.slots - snapshot.busy.get(host.name, 0) for host in snapshot.hosts}
    for task in sorted(snapshot.queued, key=lambda each: rank(each, snapshot.now)):
        wanted = Holding(task.id, task.repository, Scope.of(task.scope), task.title)
        blocked = _halted(task, snapshot) or _backing_off(task, snapshot) or _scope_held(wanted, taken, reserved)
        if blocked:
            plan.reasons[task.id] = blocked
            since = task.queued_at or task.created_at
            waited_long = blocked.code is ReasonCode.SCOPE_BUSY and snapshot.now - since >= RESERVE_AFTER
            if waited_long and _able(task, _open_hosts(task, snapshot)):
                reserved.append(wanted)  # never for a task that no host could take: it would only stand in the way
            continue
        host, why = _host_for(task, snapshot, free)
        if host is None:
            plan.reasons[task.id] = why
            continue
        free[host.name] -= 1
        taken.append(wanted)
        plan.placements.append((task, host))
        plan.reasons[task.id] = Reason(
            code=ReasonCode.NEXT, text=f"is placed on host {host.name} at the next dispatch."
        )
    return plan


def _halted(task: Task, snapshot: Snapshot) -> Reason | None:
    wide = [halt for halt in snapshot.halts if halt.reach is not Reach.HOST]
    halt = halt_of(wide, task, None)
    return Reason(code=ReasonCode.HALT, text=f"{halt.sentence()}.") if halt else None


def _backing_off(task: Task, snapshot: Snapshot) -> Reason | None:
    """Whether the task still waits after a failure that was not its own; a clock that jumped makes no wait longer."""
    ahead = task.retry_at - snapshot.now if task.retry_at else timedelta(0)
    if not timedelta(0) < ahead <= BACKOFF_LONGEST:
        return None
    text = f"waits {ahead.total_seconds():.0f} s more after failure {task.infra_failures} that was not its own."
    return Reason(code=ReasonCode.BACKOFF, text=text)


def _scope_held(wanted: Holding, taken: Sequence[Holding], reserved: Sequence[Holding]) -> Reason | None:
    for code, holdings in ((ReasonCode.SCOPE_BUSY, taken), (ReasonCode.SCOPE_RESERVED, reserved)):
        for held in holdings:
            if held.task == wanted.task or held.repository != wanted.repository or not held.scope.meets(wanted.scope):
                continue
            verb = "is held" if code is ReasonCode.SCOPE_BUSY else "is reserved, after a long wait,"
            return Reason(
                code=code,
                text=f"its scope {', '.join(wanted.scope.patterns)} meets {', '.join(held.scope.patterns)}, "
                f"which {verb} by {held.task}.",
            )
    return None


def _host_for(task: Task, snapshot: Snapshot, free: Mapping[str, int]) -> tuple[Host | None, Reason]:
    """The least loaded host that may and can take the task; else why there is none."""
    if not snapshot.hosts:
        return None, Reason(code=ReasonCode.NO_HOST, text="no host is connected; start one with `shopfloor up`.")
    open_hosts = _open_hosts(task, snapshot)
    if not open_hosts:
        return None, Reason(code=ReasonCode.HALT, text="every connected host is halted.")
    able = _able(task, open_hosts)
    if not able:
        needs = ", ".join(task.needs)
        return None, Reason(code=ReasonCode.NO_CAPABILITY, text=f"no connected host has all of what it needs: {needs}.")
    with_room = [host for host in able if free[host.name] > 0]
    if not with_room:
        slots = sum(host.slots for host in able)
        return None, Reason(
            code=ReasonCode.NO_SLOT, text=f"all {slots} slots of the hosts that could take it are busy."
        )
    best = max(with_room, key=lambda host: (host.name != task.avoid_host, free[host.name], host.name))
    return best, Reason(code=ReasonCode.NEXT, text="")


def _open_hosts(task: Task, snapshot: Snapshot) -> list[Host]:
    return [host for host in snapshot.hosts if not halt_of(snapshot.halts, task, host.name)]


def _able(task: Task, hosts: Sequence[Host]) -> list[Host]:
    return [host for host in hosts if set(task.needs) <= set(host.capabilities)]
