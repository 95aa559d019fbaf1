"""A command's process tree, seen from the worker: the reaper that sees to it, and the pipes to both.

The worker holds the one end of a pipe that keeps the tree alive. Closing it, on purpose, by an exception, or by the
worker being killed -9, is how a tree is killed. There is no other way, so there is none that can be forgotten.
"""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Self

from orchestrator.errors import InputError, SetupError
from workers import reaper
from workers.adoption import kill_strays, orphans_adopted

if TYPE_CHECKING:
    from types import TracebackType

    from workers.command import Command

GRACE_SECONDS = 5.0  # for the reaper to kill everything; it takes milliseconds
_LIMITS = "core=0"  # no core dump of a crash fills the workspace
_REPORT_BYTES = 256


class TooLongError(InputError):
    """A command with more words than the system can pass on."""


class Tree:
    """A running command with all that descends from it; dead and gone when the context is left.

    Args:
        command: What to start.

    Attributes:
        output: The read end of its standard output and error, non-blocking.
        stdin: The write end of its standard input, non-blocking.
        reports: Readable once the reaper has reported, or is dead.

    Raises:
        TooLongError: On entering, if the command has more words than the system can pass on.
        SetupError: On entering, if this machine cannot start a process.
        ShopfloorError: On leaving, if something outlived SIGKILL.
    """

    def __init__(self, command: Command) -> None:
        self._command = command
        self._resources = ExitStack()
        self._reaper: subprocess.Popen[bytes] | None = None
        self._report: bytes | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(orphans_adopted())
            theirs, self._control = _pipe(opening)
            self.output, output = _pipe(opening)
            self.reports, reports = _pipe(opening)
            stdin, self.stdin = _pipe(opening)
            for end in (self.output, self.stdin):
                os.set_blocking(end.fileno(), False)
            opening.callback(self._finish)  # before the pipes are closed, whatever happens next, even within Popen
            script = [sys.executable, "-I", "-S", str(_reaper_script())]
            pass_on = (theirs.fileno(), reports.fileno())
            self._reaper = self._start_reaper(
                [*script, *map(str, pass_on), str(self._command.cwd), _LIMITS, *self._command.argv],
                stdin,
                output,
                pass_on,
            )
            for end in (theirs, output, reports, stdin):
                end.close()
            self._resources = opening.pop_all()
        return self

    def _start_reaper(
        self, argv: list[str], stdin: io.FileIO, output: io.FileIO, pass_on: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=output,
                stderr=output,
                cwd="/",
                env=self._command.env,
                pass_fds=pass_on,
                process_group=0,  # not killed with the worker's group, and by its session told from a stray
            )
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise TooLongError("Its arguments and environment are longer than the system can pass on.") from error
            raise SetupError(
                f"This host cannot start a process: {error.strerror}.",
                "Look at its limits (ulimit -a), its memory, and the Python that Shopfloor runs by.",
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._resources.close()

    def kill(self) -> None:
        """Has everything killed, and returns at once."""
        self._control.close()
        if self._reaper is not None:
            self._reaper.send_signal(signal.SIGCONT)  # the command may have stopped it

    def report(self) -> str | None:
        """Waits for the end of the whole tree.

        Returns:
            What the reaper reported (see `workers.reaper`), or None if it was killed and the tree with it.

        Raises:
            ShopfloorError: If something of the tree outlived SIGKILL.
        """
        self._finish()
        return self._report.decode() if self._report else None

    def _finish(self) -> None:
        """Sees to it that nothing is left: a report says so; without one, by force."""
        self.kill()
        if self._reaper is None or self._report is not None:
            return
        ready, _, _ = select.select([self.reports], [], [], GRACE_SECONDS)
        self._report = self.reports.read(_REPORT_BYTES) if ready else b""
        if not self._report:
            self._reaper.kill()
        self._reaper.wait()
        if not self._report:
            kill_strays(GRACE_SECONDS)


def _pipe(opening: ExitStack) -> tuple[io.FileIO, io.FileIO]:
    read, write = os.pipe()
    return opening.enter_context(io.FileIO(read, "rb")), opening.enter_context(io.FileIO(write, "wb"))


def _reaper_script() -> Path:
    """The reaper as the interpreter compiled it when it was imported here, where there is that: a fifth faster."""
    compiled = Path(cache_from_source(reaper.__file__))
    return compiled if compiled.is_file() else Path(reaper.__file__)
