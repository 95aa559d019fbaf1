"""`shopfloor logs`: what a task's steps wrote."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import task_argument, with_desk

if TYPE_CHECKING:
    from orchestrator.desk import Desk


@click.command(short_help="Print what a task's steps wrote.")
@task_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option("--step", metavar="NAME", help="Only this step's.")
@with_desk
def logs(desk: Desk, *, task_id: str, follow: bool, step: str | None) -> None:
    """Print what the steps of the task ID wrote, oldest first, with a heading for each step and round.

    On a terminal, control sequences are left out; a file gets what was written.

    Example:
      shopfloor logs T12 -f
      shopfloor logs T12 --step test > test.log
    """
    from orchestrator.cli.follow import LogPrinter, log_from  # noqa: PLC0415 - not for --help
    from orchestrator.cli.suggest import find_task  # noqa: PLC0415 - the same

    task = find_task(desk, task_id)
    printer = LogPrinter(terminal=sys.stdout.isatty())
    seen = False
    for piece in log_from(desk, task_id, follow=follow):
        if step is None or piece.step == step:
            seen = True
            printer.print(piece)
    printer.end()
    if not seen:
        what = f"Step {step} of {task_id}" if step else task_id
        yet = "" if task.ended_at else " yet"
        click.echo(f"{what} has written nothing{yet}; the task is {task.state}.", err=True)
