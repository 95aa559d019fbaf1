"""The programs that run together: started, kept running, and ended in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.errors import SetupError
from orchestrator.supervision.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from orchestrator.supervision.alarm import Alarm
    from orchestrator.supervision.child import Program

_TRIES = 3
_POLL = 0.03  # seconds
_WATCH = 5.0  # seconds; the end of a child wakes at once


class Crew:
    """Runs programs until somebody asks to stop.

    Args:
        logs: The directory of logs.
        presence: A descriptor that stays open as long as anything that was started lives.
        alarm: Tells of requests to stop.
        tell: Takes a sentence for the person or the log.
        given_up: A descriptor that ends when whoever waits for the start is gone; None where nobody does.
    """

    def __init__(
        self, logs: Path, presence: int, alarm: Alarm, tell: Callable[[str], None], given_up: int | None = None
    ) -> None:
        self._logs = logs
        self._presence = presence
        self._alarm = alarm
        self._tell = tell
        self._given_up = given_up
        self._children: list[Child] = []
        self._stop = False

    @property
    def stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stop or self._alarm.requests > 0

    def url_of(self, name: str) -> str | None:
        """Where people find a program; None if it is not among the children."""
        return next((child.program.url for child in self._children if child.name == name), None)

    def start(self, programs: Sequence[Program], seconds: float) -> bool:
        """Start programs side by side, and wait until all of them do their work.

        Args:
            programs: What to start.
            seconds: How long that may take.

        Returns:
            Whether they do; False where somebody asked to stop meanwhile.

        Raises:
            SetupError: One does not come up; carries its last words.
        """
        begun = [Child(program, self._logs, self._presence) for program in programs]
        self._children += begun
        deadline = time.monotonic() + seconds
        while not self.stopping:
            for child in begun:
                self._try(child)
            if all(child.check() for child in begun):
                return True
            late = next((child for child in begun if not child.ready), None)
            if late is not None and time.monotonic() > deadline:
                raise SetupError(f"{late.name} was not ready within {seconds:g} seconds.{_said(late)}", _see(late))
            self._wait(_POLL)
        return False

    def keep(self) -> None:
        """Start again whatever ends, until somebody asks to stop."""
        while not self.stopping:
            for child in self._children:
                code = child.ended()
                if code is not None:
                    self._tell(f"{child.name} ended (exit {code}) and is started again; see {child.log}.")
                if child.waits():
                    self._begin_again(child)
            waiting = [child.due - time.monotonic() for child in self._children if not child.runs]
            self._wait(min([_WATCH, *waiting]))

    def end(self, names: Sequence[str]) -> None:
        """Ask children to end, and kill what has not after its grace, or after a second request to stop."""
        ending = [child for child in self._children if child.name in names]
        asked = self._alarm.requests
        begun = time.monotonic()
        for child in ending:
            child.ask_to_end()
        while any(child.runs for child in ending):
            impatient = self._alarm.requests > max(asked, 1)
            for child in ending:
                if impatient or time.monotonic() - begun > child.program.grace:
                    child.kill()
            self._alarm.wait(_POLL)
        for child in ending:
            child.wait()

    def forget_waiter(self) -> None:
        """Nobody waits for the start any more: it came about."""
        self._given_up = None

    def _wait(self, seconds: float) -> None:
        others = [] if self._given_up is None else [self._given_up]
        self._stop = bool(self._alarm.wait(seconds, others)) or self._stop

    def _try(self, child: Child) -> None:
        code = child.ended()
        if code is not None and child.failures >= _TRIES:
            raise SetupError(f"{child.name} does not start (exit {code}, {_TRIES} times).{_said(child)}", _see(child))
        if code is not None and child.program.otherwise is not None:
            child.program = child.program.otherwise()
        if child.waits():
            self._begin(child)

    def _begin(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            raise SetupError(
                f"{child.name} cannot be started: {error.strerror}.", "Mend that, and try again."
            ) from error

    def _begin_again(self, child: Child) -> None:
        """Start a program that ran before; a machine that cannot do so now (a full disk) may be able to later."""
        try:
            child.start()
        except OSError as error:
            child.put_off()
            self._tell(f"{child.name} cannot be started again: {error.strerror}; it is tried again.")


def _said(child: Child) -> str:
    words = child.last_words()
    return f" It said:\n{words}\n" if words else ""


def _see(child: Child) -> str:
    return f"Its whole log is {child.log}."
