"""The faults of a chaos run: what each breaks, for how long, and how it is mended."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import FINAL, State
from orchestrator.errors import TransitionError
from orchestrator.services.decide import cancel, retry
from orchestrator.services.halt import halt, resume
from tests.chaos.evidence import lines
from tests.chaos.ground import push_from_outside
from tests.chaos.record import Span
from tests.chaos.site import kill, pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from tests.chaos.ground import Ground
    from tests.chaos.record import Record
    from tests.chaos.site import Site, Station

HALT_BOUND = 1.5
"""Seconds after the command of a halt in which every agent is dead: a second, and what it takes to poll."""

WHO = "chaos"
_LOOK = 0.02

Detail = dict[str, Any]


class Faults:
    """Breaks a site, one fault after the other, and writes down what it did.

    Args:
        site: What is broken.
        grounds: Where tasks are worked on.
        random: Seeded: which kinds, which victims, how long.
        record: Where it is written down.
    """

    def __init__(self, site: Site, grounds: Sequence[Ground], random: Random, record: Record) -> None:
        self._site = site
        self._grounds = grounds
        self._random = random
        self._record = record
        self.kinds: dict[str, Callable[[], Detail | None]] = {
            "agent": self._agent,
            "pool": self._pool,
            "worker": self._worker,
            "host": self._host,
            "freeze": self._freeze,
            "heart": self._heart,
            "control": lambda: self._restart("control"),
            "beat": lambda: self._restart("beat"),
            "redis_kill": lambda: self._redis_kill(0.0, 1.5),
            "redis_gone": lambda: self._redis_kill(4.0, 7.0),
            "redis_stop": lambda: self._redis_stop(0.2, 0.5),
            "redis_stop_long": lambda: self._redis_stop(1.2, 1.8),
            "link_short": lambda: self._link("cut", 0.2, 0.5),
            "link_long": lambda: self._link("cut", 1.5, 2.5),
            "link_severed": lambda: self._link("sever", 0.1, 2.0),
            "link_slow": lambda: self._link("slow", 1.0, 2.0),
            "halt": lambda: self._halt(HALT_BOUND),
            "halt_cut_off": self._halt_cut_off,
            "halt_narrow": self._halt_narrow,
            "cancel": self._cancel,
            "retry": self._retry,
            "push": self._push,
        }

    def schedule(self, kinds: Sequence[str]) -> Iterator[tuple[float, str]]:
        """Seconds to wait and the fault that follows, for ever: every kind once, in an order by lot, then again."""
        while True:
            deck = list(kinds)
            self._random.shuffle(deck)
            for kind in deck:
                yield self._random.uniform(0.5, 2.0), kind

    def strike(self, kind: str) -> None:
        """Let one fault happen, from its begin to its mending, and write it down."""
        span = Span()
        detail = self.kinds[kind]()
        if detail is not None:
            self._record.add("faults", kind=kind, **{**span.ended(), **detail})

    def _station(self) -> Station:
        return self._random.choice(self._site.stations)

    def _seconds(self, low: float, high: float) -> float:
        """A part of a lease, or several."""
        return self._random.uniform(low, high) * self._site.lease_seconds

    def _agent(self) -> Detail | None:
        living = set(self._site.commands())
        told = [line for file in sorted((self._site.root / "agents").glob("*.jsonl")) for line in lines(file)]
        ended = {line["pid"] for line in told if line["what"] == "end"}
        victims = sorted({(line["pid"], line["task"]) for line in told if line["pid"] in living - ended})
        if not victims:
            return None
        pid, task = self._random.choice(victims)
        span = Span()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return {"pid": pid, "task": task, **span.ended()}

    def _pool(self) -> Detail | None:
        station = self._station()
        children = pool(station.worker)
        if not children:
            return None
        self._random.choice(children).kill()
        return {"host": station.name}

    def _worker(self) -> Detail:
        station = self._station()
        kill(station.worker)
        return self._back(station)

    def _host(self) -> Detail:
        station = self._station()
        station.crash()
        return self._back(station)

    def _back(self, station: Station) -> Detail:
        time.sleep(self._seconds(0.0, 2.5))
        station.worker.start()
        return {"host": station.name}

    def _freeze(self) -> Detail:
        station = self._station()
        station.send(signal.SIGSTOP)
        station.send(signal.SIGSTOP)  # once more, for what was started meanwhile
        time.sleep(self._seconds(1.5, 2.5))
        station.send(signal.SIGCONT)
        return {"host": station.name}

    def _heart(self) -> Detail:
        """Stop only what renews leases: the agents go on, and have to be stopped in time by those who can."""
        station = self._station()
        os.kill(station.worker.pid, signal.SIGSTOP)
        time.sleep(self._seconds(1.5, 2.5))
        os.kill(station.worker.pid, signal.SIGCONT)
        return {"host": station.name}

    def _restart(self, name: str) -> Detail:
        worker = self._site.control if name == "control" else self._site.beat
        kill(worker)
        time.sleep(self._seconds(0.0, 0.5))
        worker.start()
        return {}

    def _redis_kill(self, low: float, high: float) -> Detail:
        self._site.server.kill()
        time.sleep(self._seconds(low, high))
        self._site.server.start()
        return {}

    def _redis_stop(self, low: float, high: float) -> Detail:
        server = self._site.server
        server.send(signal.SIGSTOP)
        time.sleep(self._seconds(low, high))
        server.send(signal.SIGCONT)
        return {}

    def _link(self, how: str, low: float, high: float) -> Detail:
        station = self._station()
        match how:
            case "cut":
                station.link.cut()
            case "sever":
                station.link.sever()
            case _:
                station.link.slow(self._random.uniform(0.05, 0.25))
        time.sleep(self._seconds(low, high))
        station.link.heal()
        return {"host": station.name}

    def _halt(self, bound: float) -> Detail:
        floor = self._site.floor
        asked = time.monotonic()
        halt(floor, Reach.FLEET, "", why="drill", who=WHO)
        halted = time.monotonic()
        dead: float | None = None
        while time.monotonic() < halted + bound:
            if dead is None and not self._site.commands():
                dead = time.monotonic() - asked
            time.sleep(_LOOK)
        alive = self._site.commands()
        after = time.monotonic() - halted
        for station in self._site.stations:
            station.link.heal()
        time.sleep(self._random.uniform(0.0, 1.0))
        seen = {"halted": halted, "at": halted + bound, "until": time.monotonic(), "after": after}
        self._record.add("scans", **seen, alive=alive, dead_after=dead)
        resume(floor, [], who=WHO)
        return {"dead_after": dead}

    def _halt_cut_off(self) -> Detail:
        """Halt while a host cannot hear it: its own agents are dead within a lease; it obeys when it is back."""
        station = self._station()
        station.link.cut()
        return {"host": station.name, **self._halt(self._site.lease_seconds)}

    def _halt_narrow(self) -> Detail | None:
        floor = self._site.floor
        running = floor.store.tasks([State.RUNNING, State.QUEUED])
        if not running:
            return None
        task = self._random.choice(running)
        choices = [
            (Reach.TASK, task.id),
            (Reach.REPOSITORY, task.repository),
            (Reach.BLUEPRINT, task.blueprint),
            (Reach.HOST, self._station().name),
        ]
        placed = halt(floor, *self._random.choice(choices), why="drill", who=WHO)
        time.sleep(self._random.uniform(0.5, 2.5))
        resume(floor, [placed.key], who=WHO)
        return {"key": placed.key}

    def _cancel(self) -> Detail | None:
        return self._decide(cancel, [state for state in State if state not in FINAL])

    def _retry(self) -> Detail | None:
        return self._decide(retry, [State.ESCALATED])

    def _decide(self, verb: Callable[..., object], states: Sequence[State]) -> Detail | None:
        tasks = self._site.floor.store.tasks(states)
        if not tasks:
            return None
        task = self._random.choice(tasks)
        try:
            verb(self._site.floor, task.id, who=WHO)
        except TransitionError:
            return None  # it has moved on meanwhile
        return {"task": task.id}

    def _push(self) -> Detail | None:
        grounds = [ground for ground in self._grounds if ground.outsider]
        if not grounds:
            return None
        ground = self._random.choice(grounds)
        aside = self._random.random() < 0.5
        path = "outside.txt" if aside else self._random.choice(ground.universe)
        made = push_from_outside(ground, path, f"outside {time.monotonic_ns()}")
        if made is None:
            return None
        self._record.add("outside", repository=ground.repository.id, commit=made)
        return {"repository": ground.repository.id}
