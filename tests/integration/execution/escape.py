"""A command that tries to outlive its end: `escape.py DIRECTORY COUNT stay|leave`.

It makes COUNT daemons, each by a double fork, in a session of its own, deaf to every signal that can be ignored, and
each writes its process id into DIRECTORY. Then it says "ready" and stays, or leaves them behind with exit code 7.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def _write_pid(directory: Path) -> None:
    pid = os.getpid()
    (directory / f"{pid}.new").write_text(str(pid))
    (directory / f"{pid}.new").rename(directory / f"{pid}.pid")


def _daemon(directory: Path) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    _write_pid(directory)
    while True:
        signal.pause()


def _escape(directory: Path) -> None:
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            _daemon(directory)
        os._exit(0)
    os.waitpid(middle, 0)


def main(directory: Path, count: int, *, stay: bool) -> None:
    """Escapes `count` times."""
    for _ in range(count):
        _escape(directory)
    if stay:
        _write_pid(directory)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    expected = count + stay
    while len(list(directory.glob("*.pid"))) < expected:
        os.sched_yield()
    print("ready", flush=True)  # noqa: T201 -- read by the test through the pipe under test
    if not stay:
        sys.exit(7)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), stay=sys.argv[3] == "stay")
