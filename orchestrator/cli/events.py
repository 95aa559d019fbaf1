"""`shopfloor events`: what happened, in order."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import TaskId, json_option, with_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.desk import Desk
    from orchestrator.domain.task import Event

_PAGE = 1000


@click.command(short_help="List what happened, in order.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens next, until Ctrl-C.")
@click.option("-n", "--last", metavar="N", type=click.IntRange(min=0), help="Begin with the last N. [default: all]")
@click.option("--after", metavar="SEQ", type=click.IntRange(min=0), default=0, help="Begin behind this number.")
@click.option("--task", "task_id", metavar="ID", type=TaskId(), help="Only those of this task.")
@json_option
@with_desk
def events(
    desk: Desk,
    *,
    follow: bool,
    last: int | None,
    after: int,
    task_id: str | None,
    as_json: bool,
) -> None:
    """List the fleet's events, oldest first: every transition of every task, every step, every halt.

    With --json, one document; with --json and -f, one object a line.

    Example:
      shopfloor events -n 20 -f
      shopfloor events --json --task T12
    """
    from orchestrator.cli.render import emit_json  # noqa: PLC0415 - not for --help
    from orchestrator.views import event_view  # noqa: PLC0415 - the same

    if last is not None:
        after = max(after, desk.last_seq() - last)
    past = (event for event in _until(desk, after) if task_id in (None, event.task))
    if as_json and not follow:
        emit_json([event_view(event) for event in past])
        return
    for event in _onward(desk, after, task_id) if follow else past:
        if as_json:
            emit_json(event_view(event), lines=True)
        else:
            click.echo(event_line(event))
        sys.stdout.flush()


def _until(desk: Desk, after: int) -> Iterator[Event]:
    """All that has happened by now, a page at a time."""
    newest = desk.last_seq()
    while after < newest:
        page = [event for event in desk.events(after, limit=_PAGE) if event.seq <= newest]
        if not page:
            return
        yield from page
        after = page[-1].seq


def _onward(desk: Desk, after: int, task_id: str | None) -> Iterator[Event]:
    from orchestrator.cli.follow import events_from  # noqa: PLC0415 - as above

    for news in events_from(desk, after):
        yield from (event for event in news if task_id in (None, event.task))


def event_line(event: Event) -> str:
    """An event as a line for a person, in local time."""
    from orchestrator.cli.render import STATE_STYLES  # noqa: PLC0415 - as above

    colour = STATE_STYLES.get(event.target or "")
    when = click.style(f"{event.at.astimezone():%m-%d %H:%M:%S}", dim=True)
    detail = event_detail(event)
    what = click.style(f"{event.type:<18}" if detail else event.type, fg=colour)
    return f"{when}  {event.task or '-':<6} {what} {detail}".rstrip()


def event_detail(event: Event) -> str:
    """What an event says beyond its name."""
    from orchestrator.cli.text import line  # noqa: PLC0415 - as above

    parts = []
    if event.target:
        parts.append(f"{event.source} → {event.target}" if event.source else f"→ {event.target}")
    if event.step:
        code = "" if event.exit_code is None else f", exit {event.exit_code}"
        parts.append(f"{event.step} (round {event.round or 1}{code})")
    if event.host:
        parts.append(f"on {event.host}")
    if event.who:
        parts.append(f"by {event.who}")
    words = event.text or (event.reason.text if event.reason else "")
    return line(" · ".join(each for each in (*parts, words) if each))
