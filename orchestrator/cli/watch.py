"""`shopfloor watch`: the live board."""

from __future__ import annotations

import io
import re
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import with_desk
from orchestrator.cli.text import utc_now
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.cli.board import Board
    from orchestrator.desk import Desk
    from orchestrator.domain.task import Event, Task

_RECENT = timedelta(days=1)
_NEWS = 5
_WIDTH = 120  # columns of a picture, and of a frame that no terminal shows
_WAIT = 1.0  # seconds
_FIGURES_SECONDS = 1.0  # the figures count every task: more often than this says no more
_PAUSE = 0.5  # seconds between two tries to reach a fleet


@click.command(short_help="Show the live board.")
@click.option("--once", is_flag=True, help="Print one frame and end; needs no terminal.")
@click.option("--svg", metavar="FILE", help="Write one frame to FILE as a picture, and end.")
@click.option("--width", metavar="N", type=click.IntRange(40, 400), help="Columns of --once and --svg.")
@with_desk
def watch(desk: Desk, *, once: bool, svg: str | None, width: int | None) -> None:
    """Show the fleet's board until Ctrl-C: what waits, runs, is in review, lands, and needs a person.

    Example:
      shopfloor watch
      shopfloor watch --once
    """
    from rich.console import Console  # noqa: PLC0415 - not for --help

    feed = Feed(desk)
    if svg is not None:
        _write_svg(feed.board(), Path(svg), width or _WIDTH)
        return
    console = Console(highlight=False, emoji=False)
    if once or not console.is_terminal:
        _print_once(feed.board(), width)
        return
    _live(feed, console)


class Feed:
    """Keeps a board up to date by the fleet's events: only tasks that an event names are read again.

    Args:
        desk: The fleet's.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seq = desk.last_seq()
        self._tasks: dict[str, Task] = {task.id: task for task in desk.tasks()}
        self._news: list[Event] = desk.events(max(0, self._seq - _NEWS))[-_NEWS:]
        self._counted = 0.0
        self._lost = ""
        self._count()

    def board(self) -> Board:
        """The board as it is known now."""
        from orchestrator.cli.board import Board  # noqa: PLC0415 - rich, where something is drawn

        since = utc_now() - _RECENT
        shown = [task for task in list(self._tasks.values()) if task.ended_at is None or task.ended_at > since]
        return Board(self._figures, shown, self._halts, self._trains, self._news, lost=self._lost)

    def follow(self) -> None:
        """Wait for news, about a second at most, and take them in; a fleet that is out of reach is news too."""
        from orchestrator.errors import UnreachableError  # noqa: PLC0415 - as above

        try:
            news = self._desk.events(self._seq, wait=_WAIT)
            for task_id in {event.task for event in news if event.task}:
                self._tasks[task_id] = self._desk.task(task_id)
            if news:
                self._seq, self._news = news[-1].seq, [*self._news, *news][-_NEWS:]
            if news or time.monotonic() - self._counted > _FIGURES_SECONDS:
                self._count()
            self._lost = ""
        except UnreachableError as error:
            self._lost = error.message
            time.sleep(_PAUSE)

    def _count(self) -> None:
        self._halts, self._trains = self._desk.halts(), self._desk.trains()
        if time.monotonic() - self._counted > _FIGURES_SECONDS:
            self._figures = self._desk.figures()
            self._counted = time.monotonic()


def _live(feed: Feed, console: Console) -> None:
    from rich.live import Live  # noqa: PLC0415 - as above

    with Live(console=console, screen=True, get_renderable=feed.board, refresh_per_second=4) as live:
        while True:
            feed.follow()
            live.refresh()


def _print_once(board: Board, width: int | None) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    console = Console(highlight=False, emoji=False, width=width or (None if sys.stdout.isatty() else _WIDTH))
    with console.capture() as capture:
        console.print(board)
    click.echo("\n".join(each.rstrip(" ") for each in capture.get().splitlines()))


def _write_svg(board: Board, file: Path, width: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(board)
    picture = _plain_fonts(console.export_svg(title="shopfloor watch", unique_id="shopfloor-watch"))
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{file} cannot be written: {reason}.", "Name a file in a directory that you may write."
        ) from error
    click.echo(f"Wrote {file}.", err=True)


def _plain_fonts(picture: str) -> str:
    """The picture in a font of the reader's: the one that Rich names would be fetched from a server."""
    without = re.sub(r"@font-face\s*{.*?}\s*", "", picture, flags=re.DOTALL)
    return without.replace("Fira Code,", "Menlo, Consolas, 'DejaVu Sans Mono',")
