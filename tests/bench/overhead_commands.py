"""Which git commands a contestant runs for one landed task: it lands a task where git tells what it is asked.

Run by `tests.bench.overhead` as a program of its own, so that what is asked at submission is told too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config import inherited_environment
from tests.bench.overhead_floors import Chains, Shopfloor
from tests.bench.overhead_repository import make_small_repository, telling_git, told
from tests.helpers.servers import RedisServer

if TYPE_CHECKING:
    from tests.bench.overhead_floors import Contestant

_SETTLED = 0.5  # seconds without a command after which there will be none


def commands_of(which: str) -> list[str]:
    """The git commands of one task, in order, submission included: `shopfloor` or `bare`."""
    with tempfile.TemporaryDirectory() as directory:
        shim, log = telling_git(Path(directory) / "bin")
        environment = inherited_environment()
        environment["PATH"] = f"{shim}:{environment['PATH']}"
        program = [sys.executable, "-m", "tests.bench.overhead_commands", which, directory]
        before = subprocess.run(program, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        return told(log)[int(before) :]


def _land_two(which: str, root: Path) -> int:
    """Land a first task, which makes mirrors and caches, and a second; return how many commands the first took."""
    log = root / "bin" / "commands"
    server = RedisServer(root / "redis").start()
    repository = str(make_small_repository(root / "small.git"))
    contestant: Contestant = (
        Shopfloor(root / "floor", server.url, repository)
        if which == "shopfloor"
        else Chains("bare", root / "bare", server.url, repository)
    )
    try:
        counts = []
        for file in ("first.txt", "second.txt"):
            contestant.submit([file])
            contestant.wait(1)
            counts.append(_settled(log))
        return counts[0]
    finally:
        contestant.stop()
        server.stop()


def _settled(log: Path) -> int:
    count, since = -1, 0.0
    while count != (count := len(told(log))) or time.monotonic() - since < _SETTLED:
        since = since or time.monotonic()
        time.sleep(_SETTLED / 5)
    return count


if __name__ == "__main__":
    sys.stdout.write(str(_land_two(sys.argv[1], Path(sys.argv[2]))))
