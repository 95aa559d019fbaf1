"""A whole fleet for tests: its own Redis server, control worker, hosts and beat, each of them a real process."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil

import workers
from orchestrator.bootstrap import open_floor
from orchestrator.config import inherited_environment, settings
from orchestrator.domain.task import FINAL, State
from orchestrator.errors import UnreachableError
from tests.helpers.servers import RedisServer
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.domain.task import Event, Task
    from orchestrator.services.floor import Floor

T = TypeVar("T")

PATIENCE = 60.0  # seconds; a deadline that only a broken fleet meets
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.25
_PARTED = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--task-events")


class Worker:
    """One process of a fleet, that can be killed and started again.

    Args:
        name: What it is, for its files.
        directory: Where its log and its ready file are.
        words: What Celery is asked for.
        environment: Added to this process's own.
    """

    def __init__(self, name: str, directory: Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        self._ready = directory / f"{name}.ready"
        self._words = tuple(words)
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of its main process."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child.pid

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text("utf-8", "replace")

    def start(self) -> None:
        """Start it; `await_ready` waits until it takes messages."""
        self._ready.unlink(missing_ok=True)
        root = Path(workers.__file__).parent.parent
        others = inherited_environment().items()
        inherited = {name: value for name, value in others if not name.startswith(("SHOPFLOOR_", "SENTRY_"))}
        told = {"PYTHONPATH": str(root), "SHOPFLOOR_READY_FILE": str(self._ready), "REMAP_SIGTERM": "SIGQUIT"}
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "celery", "--app", "workers.app", *self._words],
                env={**inherited, **told, **self._environment},
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def await_ready(self) -> None:
        """Wait until it takes messages."""
        eventually(lambda: self._ready.exists() or self._ended(), f"{self.name} is ready", PATIENCE)
        assert not self._ended(), f"{self.name} ended at once: {self.log[-3000:]}"

    def is_running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self._child is not None and not self._ended()

    def pool(self) -> list[psutil.Process]:
        """The processes that carry out its messages."""
        found = []
        for child in psutil.Process(self.pid).children():
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile, or is a zombie
                if any("celery" in word for word in child.cmdline()):
                    found.append(child)
        return found

    def stop(self) -> None:
        """Stop it in good order; harmless where it does not run."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._child = None

    def kill(self) -> None:
        """End it and its pool by SIGKILL, as a crash of the machine would; what they started has to notice."""
        if self._child is None:
            return
        pool = self.pool() if self.is_running() else []
        self._child.kill()
        for child in pool:
            child.kill()
        self._child.wait()
        eventually(lambda: not any(alive(child.pid) for child in pool), f"the pool of {self.name} is dead")
        self._child = None

    def _ended(self) -> bool:
        return self._child is not None and self._child.poll() is not None


class Fleet:
    """A fleet in a directory of its own.

    Args:
        directory: Where its server, its state and its logs are.
        slots: How many attempts run at once on its host.
        environment: Further variables of its processes, such as SHOPFLOOR_LEASE_SECONDS.

    Attributes:
        floor: The ports, as a command line would have them.
        server: Its Redis server.
        control: The worker that dispatches and merges.
        host: The worker that carries out steps.
        beat: What wakes the reconciler.
        state: The host's state directory.
    """

    HOST = "bench-1"

    def __init__(self, directory: Path, *, slots: int = 6, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.server = RedisServer(directory / "redis").start()
        told = {
            "SHOPFLOOR_REDIS_URL": self.server.url,
            "SHOPFLOOR_HOST": self.HOST,
            "SHOPFLOOR_SLOTS": str(slots),
            "SHOPFLOOR_LOG_FORMAT": "json",
            **(environment or {}),
        }
        here = {**told, "SHOPFLOOR_STATE": str(self.state)}
        self.environment = here
        self.control = self._worker("control", "control", 2, {**told, "SHOPFLOOR_STATE": str(directory / "control")})
        self.host = self._worker("host", f"host.{self.HOST},verify", slots + 1, here)
        self._told = told
        schedule = str(directory / "beat.schedule")
        self.beat = Worker("beat", directory, ("beat", "--schedule", schedule, "--pidfile", ""), told)
        self.floor: Floor = open_floor(settings({**told, "SHOPFLOOR_STATE": str(directory / "client")}))

    def start(self) -> Fleet:
        """Start all of it, and wait until tasks can be taken."""
        for worker in (self.control, self.host, self.beat):
            worker.start()
        self.await_ready()
        return self

    def mend(self) -> None:
        """Start what does not run (any more), and wait until tasks can be taken."""
        for worker in (self.control, self.host, self.beat):
            if not worker.is_running():
                worker.start()
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until the workers take messages and the host is listed."""
        self.control.await_ready()
        self.host.await_ready()
        eventually(self.floor.store.hosts, "a listed host", PATIENCE)

    def another_host(self, name: str, slots: int = 1) -> Worker:
        """Make one more host, with a state directory of its own; whoever starts it also stops it."""
        state = str(self.directory / name)
        told = {**self._told, "SHOPFLOOR_HOST": name, "SHOPFLOOR_SLOTS": str(slots), "SHOPFLOOR_STATE": state}
        return self._worker(name, f"host.{name},verify", slots + 1, told)

    def kill(self) -> None:
        """End all of it at once, whatever it is at; what its agents started dies with it."""
        for each in (self.beat, self.host, self.control):
            each.kill()
        self.server.kill()

    def wait(self, task: Task | str, *states: State, seconds: float = PATIENCE) -> Task:
        """Wait until a task is in one of these states (or fail at once where it has ended in another).

        Returns:
            The task as it is then.

        Raises:
            AssertionError: It ended elsewhere, or did not get there in time; tells its events.
        """
        ident = task if isinstance(task, str) else task.id

        def look() -> Task | None:
            now = self.floor.store.task(ident)
            if now.state in states:
                return now
            ended = now.state in FINAL or now.state is State.ESCALATED
            assert not ended, f"{ident} is {now.state} ({now.reason}), not {states}:\n{self.story(ident)}"
            return None

        return self._at_each_event(look, f"{ident} becomes {' or '.join(states)}", seconds, ident)

    def event(
        self, task: Task | str, kind: str, *, after: int = 0, seconds: float = PATIENCE, **fields: object
    ) -> Event:
        """Wait for an event of a task, such as `step_started` with `step="edit"`.

        Args:
            task: Whose.
            kind: Its type.
            after: Only events with a higher `seq`.
            seconds: The deadline.
            fields: Values that fields of it have.
        """
        ident = task if isinstance(task, str) else task.id

        def look() -> Event | None:
            found = (each for each in self.events(ident, after) if each.type == kind)
            return next((e for e in found if all(getattr(e, name) == wanted for name, wanted in fields.items())), None)

        return self._at_each_event(look, f"{kind} {fields} of {ident}", seconds, ident)

    def events(self, task: Task | str, after: int = 0) -> list[Event]:
        """All that happened to a task so far, in order."""
        ident = task if isinstance(task, str) else task.id
        found: list[Event] = []
        while page := self.floor.store.events(after):
            found += [each for each in page if each.task == ident]
            after = page[-1].seq
        return found

    def log(self, task: Task | str, step: str) -> str:
        """The log of all runs of a task's step."""
        ident = task if isinstance(task, str) else task.id
        chunks = self.floor.store.log(ident)
        return b"".join(chunk.text for chunk in chunks if chunk.step == step).decode("utf-8", "replace")

    def story(self, task: str) -> str:
        """A task's events, a line each, for the message of a failed test."""
        return "\n".join(
            f"{e.at:%S.%f} {e.type} {e.step or ''} {e.exit_code if e.exit_code is not None else ''} "
            f"{e.target or ''} {e.reason.text if e.reason else ''} {e.text or ''}"
            for e in self.events(task)
        )

    def _worker(self, name: str, queues: str, concurrency: int, environment: Mapping[str, str]) -> Worker:
        words = ("worker", "--queues", queues, "--pool", "prefork", "--concurrency", str(concurrency))
        named = ("--hostname", f"{name}@{self.HOST}", "--loglevel", "INFO", *_PARTED)
        return Worker(name, self.directory, (*words, *named), environment)

    def _at_each_event(self, look: Callable[[], T | None], what: str, seconds: float, task: str) -> T:
        """Look now and whenever anything has happened."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                seq = self.floor.store.last_seq()
                seen = look()
                if seen:
                    return seen
                self.floor.store.events(seq, limit=1, wait=_LOOK_SECONDS)
            except UnreachableError:
                pass  # a test may have killed the server; the deadline holds
            assert time.monotonic() < deadline, f"{what} did not come about in {seconds} s:\n{self.story(task)}"


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
