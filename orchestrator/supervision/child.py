"""One program of a fleet, as it is started, watched and ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.supervision import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOG_MAX = 8 * 1024 * 1024  # bytes; beyond it a log is put aside at the next start
_WORDS_READ = 16 * 1024  # bytes
_WORDS_SHOWN = 12  # lines
_BACKOFF_FIRST = 0.25  # seconds
_BACKOFF_MOST = 30.0  # seconds
_STEADY = 60.0  # seconds: who has run so long has not failed in a row


@dataclass(frozen=True)
class Program:
    """What to start.

    Args:
        name: What people call it; also the name of its log.
        argv: The command.
        environment: All of its environment.
        directory: Where it runs.
        grace: How long it may take to end when asked to, in seconds.
        ready: Whether it does its work; asked again and again after its start.
        ready_file: What it writes when it is ready, if it does so; removed before each start.
        otherwise: What to start instead after it ended before it was ready.
        url: Where people find it, if they do.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    directory: Path
    grace: float = 10.0
    ready: Callable[[], bool] = field(default=lambda: True, repr=False)
    ready_file: Path | None = None
    otherwise: Callable[[], Program] | None = None
    url: str | None = None


class Child:
    """A program that runs, under a guard that lets nothing of it outlive this process.

    Args:
        program: What it is.
        logs: The directory of logs.
        presence: A descriptor that its guard keeps open as long as anything of it lives.
    """

    def __init__(self, program: Program, logs: Path, presence: int) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.ready = False
        self.failures = 0
        self.due = 0.0
        self._presence = presence
        self._started = 0.0
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.program.name

    @property
    def runs(self) -> bool:
        """Whether it, or anything that it left, is there."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start it, its output going to the end of its log."""
        if self.program.ready_file is not None:
            self.program.ready_file.unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.ready = False
        self._started = time.monotonic()
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(guard.__file__)), *self.program.argv],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.program.directory,
                env=dict(self.program.environment),
                pass_fds=(self._presence,),
                start_new_session=True,  # a Ctrl-C at the terminal is for the supervisor alone
            )

    def ended(self) -> int | None:
        """Take note of its end once, and set the time of its next start.

        Returns:
            Its exit code if it ended since it was started or last asked, else None.
        """
        if self._guard is None or self._guard.poll() is None:
            return None
        code = self._guard.returncode
        self._close()
        if time.monotonic() - self._started > _STEADY:
            self.failures = 0
        self.put_off()
        return code

    def put_off(self) -> None:
        """Set the time of its next start, later with each failure in a row."""
        self.failures += 1
        self.due = time.monotonic() + min(_BACKOFF_MOST, _BACKOFF_FIRST * 2**self.failures)

    def waits(self) -> bool:
        """Whether it does not run and its time to be started has come."""
        return self._guard is None and time.monotonic() >= self.due

    def check(self) -> bool:
        """Whether it does its work; once it did, it is not asked again until its next start."""
        self.ready = self.ready or (self.runs and self.program.ready())
        return self.ready

    def ask_to_end(self) -> None:
        """Ask it to end; harmless where it does not run."""
        if self._guard is not None and self._guard.poll() is None:
            self._guard.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Have its guard kill everything of it; returns at once."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()

    def wait(self) -> None:
        """Wait until nothing of it is left."""
        if self._guard is not None:
            self._guard.wait()
            self._close()

    def last_words(self) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - _WORDS_READ))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(line for line in text.splitlines()[-_WORDS_SHOWN:] if line.strip())

    def _close(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard = None
