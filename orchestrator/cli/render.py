"""How things look on a terminal: colours of states, tables, and the way out to stdout.

Whatever others wrote (titles, logs, reasons) passes `text.clean` or `text.line` on its way here, and is never read as
markup.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import click

from orchestrator.cli.text import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from orchestrator.domain.task import Task

STATE_STYLES = {
    "waiting": "bright_black",
    "queued": "cyan",
    "running": "blue",
    "review": "magenta",
    "merging": "yellow",
    "merged": "green",
    "escalated": "red",
    "cancelled": "bright_black",
    "passed": "green",
    "failed": "red",
    "stopped": "yellow",
}
MARKS = {
    "waiting": "○",
    "queued": "○",
    "running": "●",
    "review": "◆",
    "merging": "▲",
    "merged": "✔",
    "escalated": "✖",
    "cancelled": "-",
    "passed": "✔",
    "failed": "✖",
    "stopped": "-",
}
_SOFT_LEAST = 8  # columns
_WIDE = 10_000  # columns: where no terminal sets a limit, nothing is cut off
_BARE = re.compile("[\x7f-\x9f\ud800-\udfff]")


def emit_json(document: object, *, lines: bool = False) -> None:
    """Print one JSON document on stdout: indented, or on one line and at once where it is one of a stream.

    Characters that would steer a terminal are written as JSON escapes; so are all that stdout's encoding lacks.
    """
    unicode_out = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, ensure_ascii=not unicode_out, indent=None if lines else 2)
    click.echo(_BARE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def console_for_stdout() -> Console:
    """A console for what goes to stdout now; as wide as need be where that is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - rich, where something is drawn

    terminal = sys.stdout.isatty()
    return Console(highlight=False, emoji=False, soft_wrap=False, width=None if terminal else _WIDE)


def show(*parts: RenderableType) -> None:
    """Print on stdout, without blanks at the ends of lines."""
    console = console_for_stdout()
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    click.echo(re.sub(r"[ ]+(?=\n)", "", capture.get()), nl=False)


def text(words: str, style: str = "") -> Text:
    """One line of text, cleaned."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(line(words), style=style, no_wrap=True, overflow="ellipsis")


def paragraph(words: str, style: str = "") -> Text:
    """Text that is wrapped where the terminal ends; it comes cleaned."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(words, style=style)


def state_text(state: str) -> Text:
    """A state with its mark, in its colour."""
    return text(f"{MARKS.get(state, '·')} {state}", STATE_STYLES.get(state, ""))


def table(*headings: str, stretch: Sequence[str] = ()) -> Table:
    """A table without lines; columns whose heading is in `stretch` give way where it is narrow."""
    from rich.table import Table  # noqa: PLC0415 - as above

    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        soft = heading in stretch
        # Rich narrows only columns that may wrap; the cells themselves do not, and are cut with an ellipsis instead.
        drawn.add_column(heading, no_wrap=not soft, overflow="ellipsis", min_width=_SOFT_LEAST if soft else None)
    return drawn


def facts(rows: Iterable[tuple[str, RenderableType | None]]) -> Table:
    """Names and what belongs to them, one a line; what is None is left out."""
    from rich.table import Table  # noqa: PLC0415 - as above

    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    drawn.add_column(style="bright_black", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            drawn.add_row(name, value)
    return drawn


def bar(part: float, whole: float, width: int = 12) -> Text:
    """How much of something is used up, as a bar that turns yellow and red towards its end."""
    from rich.text import Text  # noqa: PLC0415 - as above

    share = min(1.0, part / whole) if whole > 0 else 0.0
    filled = round(share * width)
    style = "red" if share >= 0.9 else "yellow" if share >= 0.7 else "green"  # noqa: PLR2004 - where each colour begins
    return Text.assemble(("━" * filled, style), ("━" * (width - filled), "bright_black"))


def task_line(task: Task) -> Text:
    """A task in one line, as commands that changed it report it."""
    from rich.text import Text  # noqa: PLC0415 - as above

    drawn = Text.assemble((task.id, "bold"), "  ", state_text(task.state), "  ", line(task.title))
    drawn.no_wrap, drawn.overflow = True, "ellipsis"
    return drawn
