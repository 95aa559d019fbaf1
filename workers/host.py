"""What a host keeps on its own disk: attempts under way, and the pulse that tells their steps to go on or stop.

The heartbeat writes the pulse; each step reads it. A step whose pulse is too old stops its agent: the host could not
renew its leases, and another host may soon be given the task (a dead man's switch).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import psutil

from orchestrator.errors import SetupError
from orchestrator.store import Holder, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.config import Settings


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Underway:
    """An attempt (or a verification) on this host; a `Subject` of halts.

    `pid` and `born` are of the process that carries out a step right now, None between steps; `since` is when that
    began (`machine_seconds`).
    """

    kind: str
    id: str  # the task's
    fence: int
    repository: str
    blueprint: str
    pid: int | None
    born: float | None
    since: float

    @property
    def lease(self) -> Lease:
        """The lease that it lives by."""
        kind = Holder(self.kind)
        return Lease(kind, self.id if kind is Holder.TASK else self.repository, self.fence)

    def is_alive(self) -> bool:
        """Tell whether the process that carries out its step still lives; one that only waits to be reaped does not."""
        if self.pid is None:
            return True
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.born and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a step has to stop: `halted` (the task goes back), or `lost` (it is not ours any more)."""

    kind: str
    why: str


class HostState:
    """The files of one host.

    Args:
        root: The fleet's state directory on this host.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspaces = root / "workspaces"
        self.scratch = root / "scratch"
        self.policies = root / "policies"
        self._attempts = root / "attempts"
        self._aside = root / "aside"
        self._pulse = root / "run" / "pulse.json"
        self._read: tuple[int, float, Mapping[str, list[str]]] = (0, 0.0, {})

    @classmethod
    def of(cls, settings: Settings) -> HostState:
        """The host state that the settings name.

        Raises:
            SetupError: they name none.
        """
        if settings.state is None:
            raise SetupError("SHOPFLOOR_STATE is not set.", "Start workers with `shopfloor up`, or set it.")
        return cls(settings.state)

    def admit(self, underway: Underway) -> bool:
        """Note that this process begins an attempt; False where it is noted already: its message came twice."""
        path = self._note_of(underway.lease)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part_of(path)
        part.write_text(_by_this_process(underway), "utf-8")
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        finally:
            part.unlink()
        return True

    def begin(self, underway: Underway) -> None:
        """Note that this process carries out a step of the attempt."""
        _write(self._note_of(underway.lease), _by_this_process(underway))

    def pause(self, underway: Underway) -> None:
        """Note that the attempt is between two steps."""
        idle = replace(underway, pid=None, born=None, since=machine_seconds())
        _write(self._note_of(underway.lease), json.dumps(asdict(idle)))

    def forget(self, lease: Lease) -> None:
        """Note that the attempt is over."""
        self._note_of(lease).unlink(missing_ok=True)

    def lay_aside(self, lease: Lease) -> None:
        """Note that the attempt is over, and that its directories are still to be cleared away."""
        self._aside.mkdir(parents=True, exist_ok=True)
        note = self._note_of(lease)
        with suppress(FileNotFoundError):  # whoever was at it has cleared it away
            note.replace(self._aside / note.name)

    def take_aside(self) -> Iterator[Underway]:
        """Take what was laid aside, each by one process alone."""
        for path, each in _notes_in(self._aside):
            with suppress(FileNotFoundError):
                path.unlink()
                yield each

    def underway(self) -> list[Underway]:
        """Every attempt on this host."""
        return [each for _, each in _notes_in(self._attempts)]

    def is_idle(self, lease: Lease) -> bool:
        """Tell whether no process is at the attempt right now."""
        return all(each.pid is None for each in self.underway() if each.lease == lease)

    @contextmanager
    def room_to_verify(self) -> Iterator[bool]:
        """Take the host's one place for a verification; False where it is taken.

        A verification has no slot: more than one at once would keep attempts that have one from their process. The
        system gives the place back when the process that holds it dies.
        """
        path = self.root / "run" / "verifying.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)

    def beat(self, deadline: float, stops: Mapping[Lease, Stop]) -> None:
        """Write the pulse.

        Args:
            deadline: By `machine_seconds`: leases are safe until then.
            stops: Attempts that have to stop, and why.
        """
        named = {lease.name: [stop.kind, stop.why] for lease, stop in stops.items()}
        _write(self._pulse, json.dumps({"deadline": deadline, "stops": named}))

    def stop_for(self, lease: Lease) -> Stop | None:
        """Why the attempt has to stop, by the newest pulse; None to go on. Cheap: meant to be asked often."""
        try:
            stamp = self._pulse.stat().st_mtime_ns
            if stamp != self._read[0]:
                told = json.loads(self._pulse.read_text("utf-8"))
                self._read = (stamp, told["deadline"], told["stops"])
        except FileNotFoundError:
            return Stop("lost", "this host has no heartbeat")
        if lease.name in self._read[2]:
            return Stop(*self._read[2][lease.name])
        if machine_seconds() > self._read[1]:
            return Stop("lost", "this host could not renew its leases in time")
        return None

    def _note_of(self, lease: Lease) -> Path:
        return self._attempts / f"{lease.name}.json"


def _notes_in(folder: Path) -> list[tuple[Path, Underway]]:
    found = []
    for path in sorted(folder.glob("*.json")):
        with suppress(FileNotFoundError):  # it ended between the listing and the reading
            found.append((path, Underway(**json.loads(path.read_text("utf-8")))))
    return found


def _by_this_process(underway: Underway) -> str:
    here = psutil.Process(os.getpid())
    return json.dumps(asdict(replace(underway, pid=here.pid, born=here.create_time(), since=machine_seconds())))


def machine_seconds() -> float:
    """Seconds that only grow and are the same for every process of the machine; a suspended machine's count as well."""
    return time.clock_gettime(_CLOCK)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(path)
    part.write_text(text, "utf-8")
    part.replace(path)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
