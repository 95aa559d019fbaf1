"""The contestants of the benchmark: Shopfloor, and bare Celery chains; each lands tasks and says when they landed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import redis

from orchestrator.bootstrap import open_floor
from orchestrator.config import inherited_environment, settings
from orchestrator.courier import CONTROL_QUEUE, VERIFY_QUEUE, host_queue
from orchestrator.domain.repository import Repository
from orchestrator.domain.task import Cause
from orchestrator.services.submit import Submission, submit
from tests.bench import bare
from tests.bench.overhead_workers import Workers
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.services.floor import Floor

SLOTS = 4
_CONTROL = 2
_WAIT = 3.0  # seconds of one blocking read
_LONGEST = 300.0  # seconds until a task that has not landed is an error
_HOST = "bench"


class Contestant(Protocol):
    """Something that lands tasks."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    @property
    def workers(self) -> Workers:
        """Its processes."""
        ...

    def submit(self, files: Sequence[str]) -> None:
        """Ask for one task for each file, to append a line to it."""
        ...

    def wait(self, count: int) -> None:
        """Block until so many tasks of those that were asked for have landed."""
        ...

    def stop(self) -> None:
        """Stop its processes."""
        ...


class Shopfloor:
    """A fleet of one host, without API and board.

    Args:
        directory: For its state and its logs.
        redis_url: A database of its own.
        repository: The URL of what its tasks land on.
        told: Further variables for its processes.
    """

    name = "Shopfloor"

    def __init__(self, directory: Path, redis_url: str, repository: str, told: Mapping[str, str] | None = None) -> None:
        directory.mkdir(parents=True)
        environment = {
            "SHOPFLOOR_REDIS_URL": redis_url,
            "SHOPFLOOR_STATE": str(directory / "state"),
            "SHOPFLOOR_HOST": _HOST,
            "SHOPFLOOR_SLOTS": str(SLOTS),
            "SHOPFLOOR_LOG_FORMAT": "json",
            **(told or {}),
        }
        self._floor: Floor = open_floor(settings(inherited_environment() | environment))
        self._repository = Repository(id="small", name="small", url=repository, target="main")
        self._floor.store.ping()
        self._floor.store.add_repository(self._repository)
        self._seen = self._floor.store.last_seq()
        self.workers = Workers("workers.app", directory, environment)
        self.workers.start("control", CONTROL_QUEUE, _CONTROL)
        self.workers.start("host", f"{host_queue(_HOST)},{VERIFY_QUEUE}", SLOTS + 1)
        self.workers.start_beat()
        eventually(self._floor.store.hosts, "a host", _LONGEST)

    def submit(self, files: Sequence[str]) -> None:
        """One submission of as many tasks."""
        submissions = [Submission(title=file, scope=(file,)) for file in files]
        submit(self._floor, self._repository, submissions, who="bench")

    def wait(self, count: int) -> None:
        """Follow the events.

        Raises:
            RuntimeError: a task was escalated.
        """
        while count:
            for event in self._floor.store.events(self._seen, wait=_WAIT):
                self._seen = event.seq
                count -= event.type == Cause.LANDED
                if event.type == Cause.ESCALATED:
                    raise RuntimeError(f"{event.task} was escalated: {event.reason}")

    def stop(self) -> None:
        """Stop its processes."""
        self.workers.stop()


class Chains:
    """Bare Celery chains, with the worker settings of Shopfloor.

    Args:
        name: What the table calls it.
        directory: For its mirror, its worktrees and its logs.
        redis_url: A database of its own.
        repository: The path of what its tasks land on; None: its steps are empty.
        told: Further variables for its processes.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        redis_url: str,
        repository: str | None,
        told: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True)
        environment = {
            "SHOPFLOOR_REDIS_URL": redis_url,
            "SHOPFLOOR_STATE": str(directory / "state"),
            "SHOPFLOOR_BENCH_REPOSITORY": repository or "",
            "SHOPFLOOR_HOST": _HOST,
            **(told or {}),
        }
        self.name = name
        self._app = bare.make_app(redis_url)
        self._redis = redis.Redis.from_url(redis_url)
        self.workers = Workers("tests.bench.bare", directory, environment)
        self.workers.start("control", bare.TRAIN_QUEUE, 1)
        self.workers.start("host", bare.HOST_QUEUE, SLOTS + 1)

    def submit(self, files: Sequence[str]) -> None:
        """One chain for each."""
        for file in files:
            bare.chain_of(self._app, file).apply_async()

    def wait(self, count: int) -> None:
        """Take a note off a list for each that has landed.

        Raises:
            RuntimeError: nothing landed for long.
        """
        for _ in range(count):
            if self._redis.blpop([bare.LANDED], timeout=_LONGEST) is None:
                raise RuntimeError(f"no task of '{self.name}' landed for {_LONGEST} seconds")

    def stop(self) -> None:
        """Stop its processes."""
        self.workers.stop()
        self._app.close()
        self._redis.close()
