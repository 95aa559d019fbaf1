"""The second line behind the reapers: what to do when a reaper itself is killed.

An agent that runs as the worker's own user can `kill -9` its reaper. While any command runs, the worker is a child
subreaper too: the orphans of a dead reaper become its children, are told from its own by their session (a command is
always in another one, and can never come back into this one), and are killed from here.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from orchestrator.errors import ShopfloorError
from workers.reaper import adopt_orphans, children, kill_trees

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLL_SECONDS = 0.005
_guard = threading.Lock()
_runs = 0


@contextmanager
def orphans_adopted() -> Iterator[None]:
    """Makes this process, for as long as any thread is in here, the parent of what a dead reaper leaves behind."""
    global _runs  # noqa: PLW0603 -- the kernel keeps the flag by process, so the count is kept by process as well
    with _guard:
        _runs += 1
        adopt_orphans(adopt=True)
    try:
        yield
    finally:
        with _guard:
            _runs -= 1
            if not _runs:
                adopt_orphans(adopt=False)


def kill_strays(seconds: float) -> None:
    """Kills every child that a dead reaper left to this process, with all that descends from it.

    Args:
        seconds: How long to wait for them to be gone.

    Raises:
        ShopfloorError: If something outlived SIGKILL for that long (another user's process, or a hanging disk).
    """
    deadline = time.monotonic() + seconds
    while strays := _strays():
        if time.monotonic() > deadline:
            numbers = ", ".join(map(str, strays))
            raise ShopfloorError(
                f"The processes {numbers} of a killed command do not die.",
                "Look at them with ps: they belong to another user, or wait for a disk that does not answer.",
            )
        kill_trees(strays)
        time.sleep(_POLL_SECONDS)
        for pid in strays:
            with suppress(ChildProcessError):  # another thread in here was quicker
                os.waitpid(pid, os.WNOHANG)


def _strays() -> list[int]:
    own = os.getsid(0)
    strays: list[int] = []
    for pid in children(os.getpid()):
        with suppress(ProcessLookupError):  # gone meanwhile
            if os.getsid(pid) != own:
                strays.append(pid)
    return strays
