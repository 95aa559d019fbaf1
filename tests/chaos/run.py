"""One chaos run: waves of tasks, one fault after the other, until every task has ended or a bound has passed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from orchestrator.domain.task import FINAL, State
from orchestrator.services.submit import submit
from tests.chaos.faults import WHO, Faults
from tests.chaos.ground import break_ground, submission
from tests.chaos.record import Record
from tests.chaos.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.ground import Ground

_WAVES = 4
_CALM = 0.6  # part of the time after which nothing more is broken
_LOOK = 0.2


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a run is to be; the same values give the same tasks and the same faults in the same order.

    Attributes:
        tasks: How many, over all repositories.
        hosts: How many hosts.
        seed: Of tasks and faults.
        faults: Which kinds; none for all.
        minutes: The bound: what has not ended by then is lost.
        strikes: How many faults at most; none for as many as there is time for.
        slots: Attempts at once on each host.
        lease_seconds: How long a lease lasts.
        seconds: The longest that an agent works.
    """

    tasks: int
    hosts: int
    seed: int
    faults: tuple[str, ...] = ()
    minutes: float = 10
    strikes: int | None = None
    slots: int = 3
    lease_seconds: float = 3.0
    seconds: float = 3.0


class Run:
    """A run in a directory of its own.

    Args:
        root: The directory; must not exist.
        wanted: What it is to be.
    """

    def __init__(self, root: Path, wanted: Wanted) -> None:
        self._wanted = wanted
        self._root = root
        self._site = Site(root, wanted.hosts, slots=wanted.slots, lease_seconds=wanted.lease_seconds)
        self._record = Record(root)
        self._grounds = self._break_grounds()
        self._tasks = Random(f"{wanted.seed} tasks")  # noqa: S311 - to be repeated, not to be secret
        lot = Random(f"{wanted.seed} faults")  # noqa: S311 - as above
        self._faults = Faults(self._site, self._grounds, lot, self._record)
        self._ids: dict[str, list[str]] = {}

    def go(self) -> None:
        """Run it to its end, and leave the evidence in the directory."""
        try:
            self._site.start()
            began = time.monotonic()
            self._storm(began)
            self._site.mend()
            while not self._ended() and time.monotonic() - began < 60 * self._wanted.minutes:
                time.sleep(_LOOK)
            self._close(time.monotonic() - began)
        finally:
            self._site.stop()

    def _storm(self, began: float) -> None:
        """Submit and break, until all has ended or it is time to let the rest end in peace."""
        wanted = self._wanted
        until = began + 60 * wanted.minutes * _CALM
        schedule = self._faults.schedule(wanted.faults or tuple(self._faults.kinds))
        waves = _parts(wanted.tasks, min(_WAVES, wanted.tasks))
        struck = 0
        while time.monotonic() < until and not (not waves and self._ended()):
            if waves and struck % 3 == 0:
                self._submit(waves.pop(0))
            if wanted.strikes is not None and struck >= wanted.strikes:
                break
            gap, kind = next(schedule)
            time.sleep(gap)
            self._faults.strike(kind)
            struck += 1
        for wave in waves:
            self._submit(wave)

    def _submit(self, count: int) -> None:
        by_ground = [self._tasks.randrange(len(self._grounds)) for _ in range(count)]
        for number, ground in enumerate(self._grounds):
            older = self._ids.setdefault(ground.repository.id, [])
            chosen = [
                submission(self._tasks, ground, older, seconds=self._wanted.seconds)
                for _ in range(by_ground.count(number))
            ]
            if not chosen:
                continue
            made = submit(self._site.floor, ground.repository, chosen, who=WHO)
            for asked, task in zip(chosen, made, strict=True):
                self._record.add(
                    "tasks",
                    id=task.id,
                    repository=task.repository,
                    blueprint=task.blueprint,
                    scope=asked.scope,
                    paths=json.loads(asked.body)["paths"],
                    depends_on=asked.depends_on,
                )
                older.append(task.id)

    def _ended(self) -> bool:
        open_states = [state for state in State if state not in FINAL and state is not State.ESCALATED]
        return not self._site.floor.store.tasks(open_states)

    def _break_grounds(self) -> list[Ground]:
        count = min(3, 1 + self._wanted.tasks // 20)
        folders = max(4, self._wanted.tasks // (4 * count))
        grounds = [break_ground(self._root, f"r{n}", folders, bare=n != 1) for n in range(count)]
        for ground in grounds:
            self._site.floor.store.add_repository(ground.repository)
        return grounds

    def _close(self, seconds: float) -> None:
        self._record.close(
            self._site.server.url,
            seed=self._wanted.seed,
            lease_seconds=self._wanted.lease_seconds,
            seconds=seconds,
            repositories={ground.repository.id: ground.path for ground in self._grounds},
            universe=sorted({path for ground in self._grounds for path in ground.universe}),
        )


def _parts(total: int, count: int) -> list[int]:
    """A number as so many nearly equal parts."""
    return [total // count + (number < total % count) for number in range(count)]
