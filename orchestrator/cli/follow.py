"""Following what goes on, through a short loss of the fleet too."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

import click

from orchestrator.cli.text import Cleaner
from orchestrator.domain.task import State
from orchestrator.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.desk import Desk, LogLine
    from orchestrator.domain.task import Event

ENDED = frozenset({State.MERGED, State.ESCALATED, State.CANCELLED})
"""States in which nobody works on a task any more."""

PATIENCE = 60.0
"""Seconds that a follower waits for a fleet that cannot be reached, such as a Redis that is being restarted."""

_WAIT = 1.0  # seconds for which one call may wait for news
_PAUSE = 0.5  # seconds between two tries
_T = TypeVar("_T")


def patiently(ask: Callable[[], _T]) -> _T:
    """Ask, and ask again while the fleet cannot be reached, for as long as patience lasts.

    Raises:
        UnreachableError: it was not reached in all that time.
    """
    lost: float | None = None
    while True:
        try:
            return ask()
        except UnreachableError as error:
            now = time.monotonic()
            if lost is None:
                lost = now
                click.echo(f"{error.message} Trying again for {PATIENCE:.0f} s.", err=True)
            if now - lost >= PATIENCE:
                raise
            time.sleep(_PAUSE)


def events_from(desk: Desk, after: int) -> Iterator[list[Event]]:
    """Yield events behind a number as they happen, in order; an empty list about once a second where there is none."""
    while True:
        news = patiently(lambda after=after: desk.events(after, wait=_WAIT))  # type: ignore[misc]
        after = news[-1].seq if news else after
        yield news


def log_from(desk: Desk, task_id: str, *, follow: bool) -> Iterator[LogLine]:
    """Yield a task's log; where it is followed, until the task has ended and all of it was yielded."""
    after, ended = "", not follow
    while True:
        news = patiently(lambda after=after, ended=ended: desk.log(task_id, after, 0.0 if ended else _WAIT))  # type: ignore[misc]
        yield from news
        if news:
            after = news[-1].position
        elif ended:
            return
        else:
            ended = patiently(lambda: desk.task(task_id)).state in ENDED


class LogPrinter:
    """Prints a log in its order, with a heading wherever another step, round or attempt begins.

    Args:
        terminal: Whether it is a terminal that shows it; a file gets what was written, byte for byte.
    """

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._cleaner = Cleaner()
        self._heading = ""
        self._in_line = False

    def print(self, piece: LogLine) -> None:
        """Print one piece."""
        heading = f"{piece.step} · round {piece.round} · attempt {piece.attempt}"
        if heading != self._heading:
            opening = "\n" if self._in_line else ""
            self._heading, self._cleaner, self._in_line = heading, Cleaner(), False
            click.echo(opening + click.style(f"── {heading} ──", dim=True))
        words = self._cleaner.feed(piece.text) if self._terminal else piece.text
        if words:
            sys.stdout.write(words)  # click would leave out colours, which a file may have
            sys.stdout.flush()
            self._in_line = not words.endswith("\n")

    def end(self) -> None:
        """End a line that the log left open."""
        if self._in_line:
            click.echo()
