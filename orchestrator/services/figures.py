"""The fleet's figures, from its tasks: how much lands, how fast, at what cost."""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.task import ReasonCode, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor


class Figures(Frozen):
    """The answer of `fleet --json`. Rates are 0 to 1, times seconds, money US dollars; null where nothing was counted.

    Args:
        window_hours: The time that the figures are of: tasks that ended within it.
        merged_per_hour: Landed changes in an hour of the window.
        success_rate: Landed, of those that landed, were escalated or cancelled.
        acceptance_rate: Landed, of those that had a change.
        rounds_exhausted_rate: Escalated with `rounds_exhausted`, of those that ended.
        time_to_change_p50: From submission to an open change, the median; `time_to_change_p95` the 95th percentile.
        cost_per_merged_usd: All that was spent on ended tasks, by landed ones.
    """

    window_hours: float
    tasks: dict[State, int]
    queue_depth: int
    running: int
    slots: int
    hosts: int
    merged: int
    merged_per_hour: float
    success_rate: float | None
    acceptance_rate: float | None
    rounds_exhausted_rate: float | None
    time_to_change_p50: float | None
    time_to_change_p95: float | None
    cost_per_merged_usd: float | None
    tokens_per_merged: float | None
    halted: bool


def figures(floor: Floor, window: timedelta = timedelta(hours=24)) -> Figures:
    """Count the fleet."""
    tasks = floor.store.tasks()
    hosts = floor.store.hosts()
    now = floor.clock()
    ended = [task for task in tasks if task.ended_at and now - task.ended_at <= window]
    merged = [task for task in ended if task.state is State.MERGED]
    exhausted = [task for task in ended if task.reason and task.reason.code is ReasonCode.ROUNDS_EXHAUSTED]
    with_change = [task for task in ended if task.change]
    waits = [
        (task.change_opened_at - task.created_at).total_seconds()
        for task in tasks
        if task.change_opened_at and now - task.change_opened_at <= window
    ]
    return Figures(
        window_hours=window.total_seconds() / 3600,
        tasks={state: sum(task.state is state for task in tasks) for state in State},
        queue_depth=sum(task.state in {State.QUEUED, State.WAITING} for task in tasks),
        running=sum(task.state is State.RUNNING for task in tasks),
        slots=sum(host.slots for host in hosts),
        hosts=len(hosts),
        merged=len(merged),
        merged_per_hour=_per_hour(merged, now, window),
        success_rate=_ratio(len(merged), len(ended)),
        acceptance_rate=_ratio(sum(task.state is State.MERGED for task in with_change), len(with_change)),
        rounds_exhausted_rate=_ratio(len(exhausted), len(ended)),
        time_to_change_p50=percentile(waits, 50),
        time_to_change_p95=percentile(waits, 95),
        cost_per_merged_usd=_ratio(sum(task.cost_usd for task in ended), len(merged)),
        tokens_per_merged=_ratio(sum(task.tokens.spent for task in ended), len(merged)),
        halted=bool(floor.store.halts()),
    )


def percentile(values: Sequence[float], percent: int) -> float | None:
    """A percentile, interpolated between the values around it; None of nothing."""
    if len(values) < 2:  # noqa: PLR2004 - quantiles wants two
        return values[0] if values else None
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 3)


def _ratio(part: float, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _per_hour(merged: Sequence[Task], now: datetime, window: timedelta) -> float:
    """Over the time since the first of them was submitted, or the window if that is shorter; at least a minute."""
    if not merged:
        return 0.0
    span = min(window, now - min(task.created_at for task in merged))
    return round(len(merged) / (max(span, timedelta(minutes=1)).total_seconds() / 3600), 2)
