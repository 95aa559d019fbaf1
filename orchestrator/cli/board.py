"""The board as a frame: what `watch` shows of a fleet at one moment, in whatever room there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.cli import cards
from orchestrator.cli.events import event_detail
from orchestrator.cli.text import ago, clean, line, percent, span, utc_now
from orchestrator.domain.task import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console, ConsoleOptions, RenderResult

    from orchestrator.desk import TrainView
    from orchestrator.domain.halt import Halt
    from orchestrator.domain.task import Event, Task
    from orchestrator.services.figures import Figures

WIDE = 110  # columns from which on every state has a column of its own
_TALL = 30  # lines from which on the last events have several
_GUTTER = 2
_NATURAL = 40  # lines that a frame has at most where no terminal sets a limit


@dataclass(frozen=True)
class Board:
    """What is shown of a fleet.

    Args:
        figures: The fleet's figures.
        tasks: Those that are open, and those that ended not long ago.
        halts: The halts in force.
        trains: The merge trains.
        news: The last events, oldest first.
        now: The time of the frame; None: that at which it is drawn.
        lost: Why what is shown is old; empty while the fleet answers.
    """

    figures: Figures
    tasks: Sequence[Task]
    halts: Sequence[Halt] = ()
    trains: Sequence[TrainView] = ()
    news: Sequence[Event] = ()
    now: datetime | None = None
    lost: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield frame(self, options.max_width, console.height if console.is_alt_screen else options.height)


def frame(board: Board, width: int, height: int | None) -> Group:
    """Draw a frame.

    Args:
        board: What to show.
        width: Columns.
        height: Lines, which are filled; None: as many as it takes, within reason.
    """
    now = board.now or utc_now()
    head = [_header(board, width, now), *_alarms(board, now)]
    foot = _ticker(board, lines=3 if (height or _NATURAL) >= _TALL else 1)
    room = max(6, (height or _NATURAL) - len(head) - len(foot) - 2)
    columns = _columns(board, now)
    fill = height is not None
    body = _abreast(columns, width, room, fill=fill) if width >= WIDE else _stacked(columns, width, room, fill=fill)
    return Group(*head, Text(), body, Text(), *foot)


def _header(board: Board, width: int, now: datetime) -> Text:
    figures = board.figures
    busy = sum(task.state is State.RUNNING for task in board.tasks)
    parts = [
        f"{figures.hosts} {'host' if figures.hosts == 1 else 'hosts'}",
        f"{busy}/{figures.slots} busy",
        f"{figures.merged} landed",
        f"{percent(figures.success_rate)} success",
        f"{'-' if figures.time_to_change_p50 is None else span(figures.time_to_change_p50)} to change",
        f"{figures.merged_per_hour:g}/h",
    ]
    name, clock = " Shopfloor   ", f"{now.astimezone():%H:%M:%S} "
    while len(parts) > 1 and len(name) + len("  ·  ".join(parts)) + len(clock) + 1 > width:
        parts.pop()
    words = "  ·  ".join(parts)
    gap = max(1, width - len(name) - len(words) - len(clock))
    return _one_line(Text.assemble((name, "bold"), words, " " * gap, (clock, "bright_black")))


def _alarms(board: Board, now: datetime) -> list[Text]:
    alarms = []
    for halt in board.halts:
        what = "" if not halt.name else f" {halt.reach} {line(halt.name)}"
        words = f" HALTED{what} by {line(halt.who)} {ago(halt.at, now)}: {line(halt.why)} "
        alarms.append(_one_line(Text.assemble((words, "bold white on red"), (" shopfloor resume lifts it", "red"))))
    if board.lost:
        alarms.append(_one_line(Text(f" {line(board.lost)} Trying again. ", "bold black on yellow")))
    return alarms


def _ticker(board: Board, lines: int) -> list[Text]:
    shown = list(board.news)[-lines:]
    return [
        _one_line(
            Text(
                f" {event.at.astimezone():%H:%M:%S}  {event.task or '-':<5} {event.type:<17} {event_detail(event)}",
                "bright_black",
            )
        )
        for event in shown
    ]


def _columns(board: Board, now: datetime) -> dict[str, cards.Column]:
    def among(*states: State) -> list[Task]:
        return [task for task in board.tasks if task.state in states]

    queue = sorted(among(State.QUEUED), key=lambda task: (task.priority, task.queued_at or task.created_at))
    holders = among(State.RUNNING, State.REVIEW, State.MERGING)
    behind = [cards.queued(task, now, holders) for task in queue]
    done = sorted(among(State.MERGED), key=lambda task: task.ended_at or task.created_at, reverse=True)
    return {
        "queued": cards.Column("queued", [*behind, *(cards.queued(task, now) for task in among(State.WAITING))]),
        "running": cards.Column("running", [cards.running(task, now) for task in among(State.RUNNING)]),
        "review": cards.Column("review", [cards.review(task, now) for task in among(State.REVIEW)]),
        "merging": cards.Column("merging", cards.merging(among(State.MERGING), board.trains, now)),
        # What waits for a person stands above what is settled.
        "ended": cards.Column("ended", [cards.ended(task, now) for task in (*among(State.ESCALATED), *done)]),
    }


def _abreast(columns: dict[str, cards.Column], width: int, room: int, *, fill: bool) -> Padding:
    """A column for each state, side by side."""
    shares = {"queued": 3, "running": 6, "review": 3, "merging": 3, "ended": 4}
    return _grid([columns[name] for name in shares], list(shares.values()), width, room, fill=fill)


def _stacked(columns: dict[str, cards.Column], width: int, room: int, *, fill: bool) -> Group:
    """What runs, a line each; under it three narrow columns."""
    working = columns["running"]
    # Half of the room is for what runs; what it leaves, the columns take.
    above = min(len(working.cards) + 1, max(3, room // 2))
    landing = cards.Column("review & merging", [*columns["review"].cards, *columns["merging"].cards], "yellow")
    below = [columns["queued"], landing, columns["ended"]]
    lines = working.lines(above, width - 1, flat=True)
    indented = [Text.assemble(" ", each) for each in lines]
    return Group(*map(_one_line, indented), Text(), _grid(below, [1, 1, 1], width, room - above - 1, fill=fill))


def _grid(columns: list[cards.Column], shares: list[int], width: int, room: int, *, fill: bool) -> Padding:
    usable = width - 2 - _GUTTER * (len(columns) - 1)
    widths = [usable * share // sum(shares) for share in shares]
    drawn = [column.lines(room, each) for column, each in zip(columns, widths, strict=True)]
    height = room if fill else max(map(len, drawn))
    grid = Table.grid(padding=(0, _GUTTER, 0, 0), pad_edge=False)
    for each in widths:
        grid.add_column(width=each, no_wrap=True, overflow="ellipsis")
    for number in range(height):
        grid.add_row(*(lines[number] if number < len(lines) else "" for lines in drawn))
    return Padding(grid, (0, 0, 0, 1))


def _one_line(words: Text) -> Text:
    words.plain = clean(words.plain) if "\x1b" in words.plain else words.plain
    words.no_wrap, words.overflow = True, "ellipsis"
    return words
