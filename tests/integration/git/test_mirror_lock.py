"""The lock by which the processes of a host take turns at a mirror."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.mirror import exclusively

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_is_forked_while_the_lock_is_held_does_not_keep_it(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.git"
    with exclusively(mirror):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        with (tmp_path / "mirror.git.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
