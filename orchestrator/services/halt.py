"""The kill switch: halt and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE, message_id
from orchestrator.domain.halt import Halt, Reach
from orchestrator.domain.rounds import PUBLISH
from orchestrator.domain.task import Event, State
from orchestrator.errors import InputError, NotFoundError
from orchestrator.services.attempt import blueprint_of
from orchestrator.store import Wake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor


def halt(floor: Floor, reach: Reach, name: str, *, why: str, who: str) -> Halt:
    """Stop everything within reach until it is lifted.

    Durable first, then told to every host by publish, then Celery's revoke broadcast to all workers. Hosts act on
    whichever they see first.

    Raises:
        InputError: a name is missing, or one was given for the fleet.
        NotFoundError: there is no such task or repository.
    """
    if (reach is Reach.FLEET) == bool(name):
        raise InputError(
            f"A halt of reach {reach} {'takes no name' if name else 'needs a name'}.",
            "Name the repository, blueprint, host or task; nothing for the fleet.",
        )
    if reach is Reach.TASK:
        floor.store.task(name)
    if reach is Reach.REPOSITORY:
        floor.store.repository(name)
    now = floor.clock()
    of = f"{reach} {name}".rstrip()
    event = Event(at=now, task=name if reach is Reach.TASK else None, type="halt", who=who, text=f"{of}: {why}")
    wanted = Halt(epoch=0, reach=reach, name=name, why=why, who=who, at=now)
    placed = floor.store.add_halt(wanted, event)
    stopped = [task for task in floor.store.tasks([State.RUNNING]) if placed.stops(task, task.host)]
    floor.courier.revoke([each for task in stopped for each in _messages(floor, task)])
    return placed


def resume(floor: Floor, keys: Sequence[str], *, who: str) -> list[Halt]:
    """Lift halts by key, or all of them where none is named; work goes on from its checkpoints.

    Raises:
        NotFoundError: no such halt is in force.
    """
    inforce = {each.key for each in floor.store.halts()}
    unknown = [key for key in keys if key not in inforce]
    if unknown:
        listed = ", ".join(sorted(inforce)) or "none"
        raise NotFoundError(f"No halt '{unknown[0]}' is in force.", f"In force: {listed}.")
    event = Event(at=floor.clock(), task=None, type="resume", who=who, text=", ".join(keys) or "all")
    lifted = floor.store.lift_halts(list(keys), event)
    merges = tuple(Wake(MERGE, (each.id,), CONTROL_QUEUE) for each in floor.store.repositories())
    floor.send((Wake(DISPATCH, (), CONTROL_QUEUE), *merges))
    return lifted


def _messages(floor: Floor, task: Task) -> list[str]:
    """The ids of every message that the attempt's chain may still hold."""
    fence = task.fence or 0
    names = [*(step.name for step in blueprint_of(floor, task).steps), PUBLISH]
    rounds = range(task.round, task.rounds_max + 1)
    first = message_id(task.id, fence, 0, "prepare")
    return [first, *(message_id(task.id, fence, number, name) for number in rounds for name in names)]
