"""A fleet of several hosts on one machine, each behind a link of its own, whose every part can be broken and mended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from orchestrator.bootstrap import open_floor
from orchestrator.config import settings
from tests.chaos.link import Link
from tests.helpers.fleet import Worker
from tests.helpers.servers import RedisServer
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.services.floor import Floor

_PARTED = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
_READY_SECONDS = 90.0


class Server(RedisServer):
    """A Redis server that can be stopped and let go on."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._child is not None, "the server does not run"
        self._child.send_signal(number)


class Station:
    """One host: its worker, its directories and its link.

    Args:
        root: The run's directory.
        name: The host's.
        server: The fleet's Redis.
        slots: How many attempts at once.
        told: Variables that all hosts share.
    """

    def __init__(self, root: Path, name: str, server: Server, slots: int, told: Mapping[str, str]) -> None:
        self.name = name
        self.link = Link(lambda: server.port).start()
        own = {
            "SHOPFLOOR_HOST": name,
            "CHAOS_HOST": name,
            "SHOPFLOOR_SLOTS": str(slots),
            "SHOPFLOOR_STATE": str(root / name),
            "SHOPFLOOR_REDIS_URL": server.url.replace(f":{server.port}/", f":{self.link.port}/"),
        }
        words = ("worker", "-Q", f"host.{name},verify", "-P", "prefork", "-c", str(slots + 1), "-n", f"host@{name}")
        self.worker = Worker(name, root, (*words, *_PARTED), {**told, **own})

    def processes(self) -> list[psutil.Process]:
        """All of it: the worker, its pool, its reapers, its agents and what these started."""
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.worker.pid)
            return [main, *main.children(recursive=True)]
        return []

    def crash(self) -> None:
        """Kill all of it at once, as a host that loses power."""
        processes = self.processes()
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.suspend()
        for each in {*processes, *self.processes()}:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        kill(self.worker)

    def send(self, number: signal.Signals) -> None:
        """Send all of it a signal."""
        for each in self.processes():
            with suppress(ProcessLookupError):
                os.kill(each.pid, number)


def pool(worker: Worker) -> list[psutil.Process]:
    """The processes of a worker that carry out its messages; those that are just dying are left out."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(worker.pid).children():
            with suppress(psutil.NoSuchProcess):
                found += [child] if any("celery" in word for word in child.cmdline()) else []
    return found


def kill(worker: Worker) -> None:
    """Kill a worker and its pool; what they started has to notice by itself."""
    if worker.is_running():
        for each in (psutil.Process(worker.pid), *pool(worker)):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        eventually(lambda: not worker.is_running(), f"{worker.name} is dead")
    worker.kill()


class Site:
    """A fleet with its Redis server, control worker, beat and hosts.

    Args:
        root: The run's directory.
        hosts: How many.
        slots: Attempts at once on each host.
        lease_seconds: How long a lease lasts.
    """

    def __init__(self, root: Path, hosts: int, *, slots: int, lease_seconds: float) -> None:
        self.root = root
        self.lease_seconds = lease_seconds
        for folder in ("agents", "verified"):
            (root / folder).mkdir(parents=True)
        self.server = Server(root / "redis")
        self.server.start()
        told = {
            "SHOPFLOOR_REDIS_URL": self.server.url,
            "SHOPFLOOR_LEASE_SECONDS": str(lease_seconds),
            "SHOPFLOOR_LOG_FORMAT": "json",
            "CHAOS_LOG": str(root / "agents"),
        }
        control = {**told, "SHOPFLOOR_HOST": "control", "SHOPFLOOR_STATE": str(root / "control")}
        words = ("worker", "-Q", "control", "-P", "prefork", "-c", "2", "-n", "control@site", *_PARTED)
        self.control = Worker("control", root, words, control)
        schedule = ("beat", "--schedule", str(root / "beat.schedule"), "--pidfile", "")
        self.beat = Worker("beat", root, schedule, {**told, "SHOPFLOOR_HOST": "beat"})
        self.stations = [Station(root, f"h{n + 1}", self.server, slots, told) for n in range(hosts)]
        client = {**told, "SHOPFLOOR_HOST": "client", "SHOPFLOOR_STATE": str(root / "client"), "HOME": str(root)}
        self.floor: Floor = open_floor(settings(client))

    def start(self) -> Site:
        """Start all of it and wait until every host is listed."""
        for worker in self.workers():
            worker.start()
        for worker in self.workers():
            if worker is not self.beat:
                worker.await_ready()
        eventually(lambda: len(self.floor.store.hosts()) == len(self.stations), "all hosts", _READY_SECONDS)
        return self

    def workers(self) -> list[Worker]:
        """Every worker and the beat."""
        return [self.control, self.beat, *(station.worker for station in self.stations)]

    def mend(self) -> None:
        """Start what does not run, heal every link, let everything go on."""
        for station in self.stations:
            station.link.heal()
            station.send(signal.SIGCONT)
        for worker in self.workers():
            if not worker.is_running():
                kill(worker)
                worker.start()

    def commands(self) -> list[int]:
        """Every process on the machine that any command of this site's hosts started, whatever became of its parents.

        They are told by their environment: the home of each is a scratch directory beneath a host's state.
        """
        mark = f"HOME={self.root}/".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # gone meanwhile, or another user's
                words = (place / "environ").read_bytes().split(b"\0")
                homes = [word for word in words if word.startswith(mark) and b"/scratch/" in word]
                if homes:
                    found.append(int(place.name))
        return found

    def stop(self) -> None:
        """End all of it at once."""
        for station in self.stations:
            station.send(signal.SIGCONT)
            station.crash()
            station.link.stop()
        kill(self.control)
        kill(self.beat)
        self.server.kill()
