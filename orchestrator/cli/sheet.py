"""One task on one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cli.render import bar, facts, paragraph, state_text, table, text
from orchestrator.cli.text import ago, amount, clean, line, minutes, span

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from orchestrator.domain.task import Meter, StepRun, Task

_BODY_LINES = 20
_ID = 12  # characters of a commit that a person reads


def task_sheet(task: Task, now: datetime) -> list[RenderableType]:
    """All that is known of a task, from top to bottom."""
    from rich.padding import Padding  # noqa: PLC0415 - rich, where something is drawn

    heading = paragraph(f"{task.id}  ", "bold").append(line(task.title))
    parts: list[RenderableType] = [heading, Padding(facts(_facts(task, now)), (1, 0, 0, 2))]
    if task.body.strip():
        parts.append(Padding(paragraph(_body(task.body)), (1, 0, 0, 2)))
    if task.steps:
        parts.append(Padding(_steps(task, now), (1, 0, 0, 2)))
    return parts


def _facts(task: Task, now: datetime) -> list[tuple[str, RenderableType | None]]:
    return [
        ("State", _state(task)),
        ("Why", paragraph(line(task.reason.text)) if task.reason else None),
        ("Blueprint", paragraph(f"{task.blueprint}, {task.progress}" if task.round else task.blueprint)),
        ("Scope", paragraph(line(", ".join(task.scope)))),
        ("Needs", _list(task.needs)),
        ("Labels", _list(task.labels)),
        ("Depends on", _list(task.depends_on)),
        ("Batch", paragraph(task.batch) if task.batch else None),
        ("Priority", paragraph(f"{task.priority}, complexity {task.complexity}")),
        ("Minutes", _meter(task.minutes, minutes)),
        ("Tokens", _meter(task.tokens, amount)),
        ("Branch", paragraph(line(task.branch)) if task.branch else None),
        ("Head", paragraph(f"{task.head[:_ID]} on {(task.base or '')[:_ID]}") if task.head else None),
        ("Change", _change(task)),
        ("Landed as", paragraph(task.merged_as[:_ID]) if task.merged_as else None),
        ("Submitted", _when(task.created_at, now, f" by {line(task.submitted_by)}" if task.submitted_by else "")),
        ("Started", _when(task.started_at, now)),
        ("Ended", _when(task.ended_at, now, _took(task))),
    ]


def _state(task: Task) -> Text:
    drawn = state_text(task.state)
    if task.host and task.state == "running":
        drawn.append(f"  {task.next_step} on {line(task.host)}, attempt {task.attempt}, fence {task.fence}", "default")
    return drawn


def _list(names: tuple[str, ...]) -> Text | None:
    return paragraph(line(", ".join(names))) if names else None


def _meter(meter: Meter, write: Callable[[float], str]) -> Text:
    return bar(meter.spent, meter.budget).append(f"  {write(meter.spent)} of {write(meter.budget)}", "default")


def _change(task: Task) -> Text | None:
    if task.change is None:
        return None
    return paragraph(line(f"{task.change.url} ({task.change.state}, tier {task.change.tier})"))


def _when(moment: datetime | None, now: datetime, more: str = "") -> Text | None:
    if moment is None:
        return None
    return paragraph(ago(moment, now) + more).append(f"  {moment.astimezone():%Y-%m-%d %H:%M:%S %Z}", "bright_black")


def _took(task: Task) -> str:
    if task.ended_at is None:
        return ""
    return f", {span((task.ended_at - task.created_at).total_seconds())} after it was submitted"


def _body(body: str) -> str:
    lines = clean(body).strip().splitlines()
    more = [f"… {len(lines) - _BODY_LINES} lines more: --json has them all"] if len(lines) > _BODY_LINES else []
    return "\n".join([*lines[:_BODY_LINES], *more])


def _steps(task: Task, now: datetime) -> Table:
    drawn = table("Step", "Kind", "Round", "Attempt", "Result", "Exit", "Took", "Host")
    for run in task.steps:
        drawn.add_row(
            text(run.name),
            run.kind,
            str(run.round),
            str(run.attempt),
            state_text(run.state),
            "" if run.exit_code is None else str(run.exit_code),
            _duration(run, now),
            text(run.host),
        )
    return drawn


def _duration(run: StepRun, now: datetime) -> str:
    return span(((run.ended_at or now) - run.started_at).total_seconds())
