"""Waits until tasks have ended, and tells on stderr how it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.events import event_line
from orchestrator.cli.follow import ENDED, events_from, patiently
from orchestrator.cli.text import line, listed
from orchestrator.domain.task import Cause, Note, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.desk import Desk
    from orchestrator.domain.task import Event, Task

_QUIET = frozenset({Cause.SUBMITTED, Note.STEP_STARTED, Note.STARTED, Note.CANDIDATE_BUILT, Note.VERIFY_STARTED})
"""Events that the next one tells of too."""


class Waiting:
    """Follows tasks to their end.

    Args:
        desk: The fleet's.
        after: The event behind which to begin: the newest one before the tasks were submitted.
    """

    def __init__(self, desk: Desk, after: int) -> None:
        self._desk = desk
        self._after = after

    def ends(self, tasks: Sequence[Task]) -> list[Task]:
        """Wait until each of the tasks is merged, escalated or cancelled; give them as they then are."""
        latest = {task.id: task for task in tasks}
        told_halt = False
        for news in events_from(self._desk, self._after):
            touched = [event for event in news if event.task in latest]
            for event in touched:
                self._tell(event)
            # Events say when to look; where none comes, a look in a while still finds what they did not tell.
            due = {event.task for event in touched if event.target} if news else set(latest)
            for task_id in sorted(each for each in due if each and latest[each].state not in ENDED):
                latest[task_id] = patiently(lambda task_id=task_id: self._desk.task(task_id))  # type: ignore[misc]
            if all(task.state in ENDED for task in latest.values()):
                break
            told_halt = told_halt or self._tell_halt(list(latest.values()))
        self._tell_ends(list(latest.values()))
        return list(latest.values())

    def _tell(self, event: Event) -> None:
        if event.type not in _QUIET:
            click.echo(event_line(event), err=True)
        if event.reason and event.reason.code is ReasonCode.AWAITING_APPROVAL:
            click.echo(
                f"{event.task} waits for a person: `shopfloor approve {event.task}`, or "
                f"`shopfloor reject {event.task} --why WHY`.",
                err=True,
            )

    def _tell_halt(self, tasks: Sequence[Task]) -> bool:
        halts = [each for each in patiently(self._desk.halts) if any(each.stops(task, task.host) for task in tasks)]
        for halt in halts:
            click.echo(f"Waiting: {line(halt.sentence())}. `shopfloor resume` lifts it.", err=True)
        return bool(halts)

    @staticmethod
    def _tell_ends(tasks: Sequence[Task]) -> None:
        for task in tasks:
            reason = f": {line(task.reason.text)}" if task.reason and task.state != "merged" else ""
            landed = f" as {task.merged_as[:12]}" if task.merged_as else ""
            click.echo(f"{task.id} is {task.state}{landed}{reason}", err=True)
        stuck = [task.id for task in tasks if task.state == "escalated"]
        if stuck:
            click.echo(f"See `shopfloor explain {stuck[0]}`; a person decides about {listed(stuck)}.", err=True)
