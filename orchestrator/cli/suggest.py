"""Which task was meant, where the one that was named is not there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from orchestrator.cli.text import line
from orchestrator.errors import NotFoundError

if TYPE_CHECKING:
    from orchestrator.desk import Desk
    from orchestrator.domain.task import Task


def find_task(desk: Desk, task_id: str) -> Task:
    """Find a task.

    Raises:
        NotFoundError: there is none of that id; names the nearest one.
    """
    try:
        return desk.task(task_id)
    except NotFoundError as error:
        raise NotFoundError(f"There is no task '{line(task_id)}'.", _remedy(desk, task_id)) from error


def _remedy(desk: Desk, task_id: str) -> str:
    ids = [each.id for each in desk.tasks()]
    if not ids:
        return "There is none at all yet; submit one with `shopfloor submit`."
    listing = "List them with `shopfloor tasks --all`."
    near = get_close_matches(task_id.upper(), ids, n=1)
    newest = max(ids, key=lambda each: (len(each), each))
    hint = f"Did you mean {near[0]}?" if near and not task_id[1:].isdigit() else f"The newest one is {newest}."
    return f"{hint} {listing}"
