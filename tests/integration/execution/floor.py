"""A worker in small: `floor.py COMMAND...` carries out one command, as a process of its own that a test can kill.

SIGTERM raises SystemExit wherever it is, as in a Celery pool child at a soft shutdown.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Never

from workers.command import Command
from workers.execution import execute
from workers.sandboxes.none import Unconfined

if TYPE_CHECKING:
    from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> Never:
    sys.exit(3)


def main(argv: tuple[str, ...]) -> None:
    """Carries out the command, and passes its output on."""
    signal.signal(signal.SIGTERM, _leave)
    command = Command(argv=argv, cwd=Path("/"), env={"PATH": "/usr/bin:/bin"}, seconds=60)

    def show(output: bytes) -> None:
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()

    execute(command, sink=show, should_stop=lambda: None, sandbox=Unconfined())


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
