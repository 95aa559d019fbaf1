"""What the tests of commands share: a way to run one, and to see that nothing is left of it."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.command import Command
from workers.execution import Execution, execute
from workers.sandboxes.none import Unconfined

if TYPE_CHECKING:
    from collections.abc import Callable

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
ESCAPE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("escape.py")))


def alive(pid: int) -> bool:
    """Whether there is such a process, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for a condition, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about"
        time.sleep(0.005)


@dataclass
class Bench:
    """A place to run commands in.

    Attributes:
        directory: Where they run.
        output: What they wrote, as it came.
    """

    directory: Path
    output: list[bytes] = field(default_factory=list)

    def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        seconds: float = 60.0,
        should_stop: Callable[[], str | None] = lambda: None,
        sink: Callable[[bytes], None] | None = None,
    ) -> Execution:
        command = Command(argv=argv, cwd=self.directory, env={"PATH": SEARCH_PATH}, stdin=stdin, seconds=seconds)
        return execute(command, sink=sink or self.output.append, should_stop=should_stop, sandbox=Unconfined())

    @property
    def text(self) -> bytes:
        return b"".join(self.output)

    def stop_when_ready(self) -> str | None:
        """A stop condition: the command said so."""
        return "seen enough" if b"ready" in self.text else None

    @property
    def pids(self) -> list[int]:
        """Who wrote their process id here."""
        return [int(path.stem) for path in self.directory.glob("*.pid")]

    @property
    def survivors(self) -> list[int]:
        return [pid for pid in self.pids if alive(pid)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
