"""`tasks`, `show` and `explain`: the tasks of the fleet, one by one and all together."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import StateName, json_option, task_argument, with_desk
from orchestrator.cli.text import age, line, utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.table import Table

    from orchestrator.desk import Desk
    from orchestrator.domain.task import State, Task

_RECENT = timedelta(days=1)
_ROOMY = 100  # columns


@click.command(short_help="List tasks.")
@click.option(
    "--state", "states", metavar="STATE", type=StateName(), multiple=True, help="Only these; may be repeated."
)
@click.option("--all", "everything", is_flag=True, help="Those that ended more than a day ago too.")
@json_option
@with_desk
def tasks(desk: Desk, *, states: tuple[State, ...], everything: bool, as_json: bool) -> None:
    """List the tasks that are open and those that ended within the last day, oldest first.

    Example:
      shopfloor tasks
      shopfloor tasks --state review --state escalated --json
    """
    from orchestrator.cli.render import console_for_stdout, emit_json, show  # noqa: PLC0415 - not for --help
    from orchestrator.views import task_view  # noqa: PLC0415 - the same

    now = utc_now()
    found = desk.tasks(states)
    listed = [task for task in found if everything or states or task.ended_at is None or now - task.ended_at <= _RECENT]
    if as_json:
        emit_json([task_view(task, brief=True) for task in listed])
        return
    if listed:
        show(task_table(listed, now, console_for_stdout().width))
    else:
        click.echo(_nothing(states, older=len(found)), err=True)


def _nothing(states: Sequence[State], older: int) -> str:
    if states:
        return f"No task is {' or '.join(states)}."
    if older:
        return f"No task is open, and none ended within a day; `shopfloor tasks --all` lists {older}."
    return 'There are no tasks yet. Submit one: shopfloor submit "TITLE"'


def task_table(listed: Sequence[Task], now: datetime, width: int = _ROOMY) -> Table:
    """Tasks as a table, a line each; where it is narrow, titles get the room of the blueprints."""
    from orchestrator.cli.render import state_text, table, text  # noqa: PLC0415 - as above

    roomy = width >= _ROOMY
    headings = ("ID", "State", "Title", *(("Blueprint",) if roomy else ()), "Round", "Age", "Why")
    drawn = table(*headings, stretch=("Title", "Why"))
    for task in listed:
        drawn.add_row(
            text(task.id, "bold"),
            state_text(task.state),
            text(task.title),
            *((text(task.blueprint),) if roomy else ()),
            f"{task.round}/{task.rounds_max}" if task.round else "",
            age(task.created_at, now),
            text(_why(task), "bright_black"),
        )
    return drawn


def _why(task: Task) -> str:
    """What is most worth knowing of a task beyond its state."""
    if task.state == "running":
        return f"{task.next_step} on {task.host}"
    if task.state == "review" and task.change and task.change.tier == "human":
        return "waits for a person"
    if task.state == "merged":
        return f"landed as {(task.merged_as or '')[:10]}"
    return task.reason.text if task.reason else ""


@click.command(short_help="Show one task.")
@task_argument
@json_option
@with_desk
def show(desk: Desk, *, task_id: str, as_json: bool) -> None:
    """Show all that is known of the task ID: its limits, its change, and every step it has run.

    Example:
      shopfloor show T12
      shopfloor show T12 --json
    """
    from orchestrator.cli import render, sheet  # noqa: PLC0415 - not for --help
    from orchestrator.cli.suggest import find_task  # noqa: PLC0415 - the same
    from orchestrator.views import task_view  # noqa: PLC0415 - the same

    task = find_task(desk, task_id)
    if as_json:
        render.emit_json(task_view(task))
    else:
        render.show(*sheet.task_sheet(task, utc_now()))


@click.command(short_help="Say why a task is where it is.")
@task_argument
@json_option
@with_desk
def explain(desk: Desk, *, task_id: str, as_json: bool) -> None:
    """Say why the task ID is where it is: which scope, task, host, limit or halt holds it, and what you can do.

    Example:
      shopfloor explain T12
    """
    from orchestrator.cli.render import emit_json, paragraph, state_text  # noqa: PLC0415 - not for --help
    from orchestrator.cli.render import show as print_parts  # noqa: PLC0415 - the same
    from orchestrator.cli.suggest import find_task  # noqa: PLC0415 - the same
    from orchestrator.views import view  # noqa: PLC0415 - the same

    find_task(desk, task_id)
    said = desk.explain(task_id)
    if as_json:
        emit_json(view(said))
        return
    print_parts(
        paragraph(f"{said.id}  ", "bold")
        .append_text(state_text(said.state))
        .append(f"  {line(said.reason.text)}", "default")
    )
    for words in said.history:
        click.echo(f"  · {line(words)}")
    if said.remedy:
        click.echo(f"  → {line(said.remedy)}")
