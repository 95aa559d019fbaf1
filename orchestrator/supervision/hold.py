"""One `up` in one place: a file that the running one holds locked, with its process id in it.

The locks are the kernel's (flock(2)), so they end with their holders however those end, and no process id that was
given out anew can be taken for one. A second lock says that anything which an `up` started is still there: the guard
of every program holds it, so that the last of them to end gives it back.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from orchestrator.errors import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 1.0  # seconds: somebody who only looks holds the lock for a moment
_POLL = 0.01  # seconds


def _file(state: Path) -> Path:
    return state / "run" / "up.lock"


class Hold:
    """The right to run the processes of one state directory, held until `release` or the end of this process.

    Args:
        state: The state directory; made if it is missing.

    Raises:
        RefusedError: Another process has it; names it.
    """

    def __init__(self, state: Path) -> None:
        file = _file(state)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _PATIENCE
        while not _locked(self._descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                pid = _written(self._descriptor)
                os.close(self._descriptor)
                raise RefusedError(f"Already up (pid {pid}) in {state}.", "Stop it first with: shopfloor down")
            time.sleep(_POLL)
        text = str(os.getpid()).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def release(self) -> None:
        """Give the right back; harmless where that was done."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def holder(state: Path) -> int | None:
    """The process id of the `up` that runs in a state directory; None where none does."""
    try:
        descriptor = os.open(_file(state), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _locked(descriptor, fcntl.LOCK_SH):
            pid = _written(descriptor)
            if pid:
                return pid
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"Somebody holds {_file(state)} and does not say who.", "Repeat the command in a moment."
                )
            time.sleep(_POLL)  # it took the lock just now, and is about to write its number; or somebody else looks
    finally:
        os.close(descriptor)
    return None


def presence(state: Path) -> int:
    """Open the lock that says that something of this `up` lives; ends when every copy of the descriptor is closed."""
    descriptor = os.open(state / "run" / "presence.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def nothing_lives(state: Path) -> bool:
    """Whether nothing that an `up` in a state directory started lives any more."""
    try:
        descriptor = os.open(state / "run" / "presence.lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return True
    try:
        return _locked(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace")
    return int(text) if text.isdigit() else 0
