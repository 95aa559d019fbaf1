"""`approve`, `reject`, `retry`, `cancel`: what a person decides about tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, task_argument, tasks_argument, with_desk
from orchestrator.errors import InputError, NotFoundError, ShopfloorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.desk import Desk
    from orchestrator.domain.task import Task


@click.command(short_help="Accept changes that wait for a person.")
@tasks_argument
@json_option
@with_desk
def approve(desk: Desk, *, task_ids: tuple[str, ...], as_json: bool) -> None:
    """Accept the changes of tasks that are in review; they go on to the merge train.

    Example:
      shopfloor approve T12
    """
    _each(desk, task_ids, desk.approve, as_json=as_json)


@click.command(short_help="Send a change back for rework.")
@task_argument
@click.option("--why", metavar="TEXT", required=True, help="What is to be done differently; the agent is told this.")
@json_option
@with_desk
def reject(desk: Desk, *, task_id: str, why: str, as_json: bool) -> None:
    """Send the change of a task that is in review back, with your words as feedback for its next round.

    Example:
      shopfloor reject T12 --why "Keep the old name as an alias."
    """
    if not why.strip():
        raise InputError("--why is empty.", "Say what is to be done differently.")
    _each(desk, (task_id,), lambda each: desk.reject(each, why.strip()), as_json=as_json)


@click.command(short_help="Give escalated tasks another try.")
@tasks_argument
@json_option
@with_desk
def retry(desk: Desk, *, task_ids: tuple[str, ...], as_json: bool) -> None:
    """Put escalated tasks back in the queue, with their rounds, minutes and tokens granted anew.

    Example:
      shopfloor retry T12 T15
    """
    _each(desk, task_ids, desk.retry, as_json=as_json)


@click.command(short_help="Give tasks up.")
@tasks_argument
@json_option
@with_desk
def cancel(desk: Desk, *, task_ids: tuple[str, ...], as_json: bool) -> None:
    """Give tasks up: their agents are killed and their scopes given back; their work stays under its refs.

    Example:
      shopfloor cancel T12
    """
    _each(desk, task_ids, desk.cancel, as_json=as_json)


def _each(desk: Desk, task_ids: Sequence[str], act: Callable[[str], Task], *, as_json: bool) -> None:
    """Act on every task, whatever becomes of the others; what was refused is told, and counts in the exit code."""
    from orchestrator.cli.main import complain  # noqa: PLC0415 - main loads this module
    from orchestrator.cli.render import emit_json, show, task_line  # noqa: PLC0415 - not for --help
    from orchestrator.cli.suggest import find_task  # noqa: PLC0415 - the same
    from orchestrator.views import task_view  # noqa: PLC0415 - the same

    changed: list[Task] = []
    worst = 0
    for task_id in dict.fromkeys(task_ids):
        try:
            changed.append(_acted(desk, task_id, act, find_task))
        except ShopfloorError as error:
            if len(task_ids) == 1:
                raise
            worst = max(worst, complain(error))
    if as_json:
        shown = [task_view(task) for task in changed]
        emit_json(shown[0] if len(task_ids) == 1 else shown)
    elif changed:
        show(*map(task_line, changed))
    if worst:
        click.get_current_context().exit(worst)


def _acted(desk: Desk, task_id: str, act: Callable[[str], Task], find: Callable[[Desk, str], Task]) -> Task:
    try:
        return act(task_id)
    except NotFoundError:
        find(desk, task_id)  # says which task may have been meant
        raise
