"""How long a fleet took to go on after each fault: from the fault to the next progress of what it hit."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from tests.chaos.evidence import wall

if TYPE_CHECKING:
    from tests.chaos.evidence import Evidence, Record

PROGRESS = frozenset(
    {
        "claimed",
        "started",
        "step_started",
        "step_ended",
        "round_started",
        "published",
        "approved",
        "candidate_built",
        "verify_started",
        "verify_passed",
        "landed",
        "conflicted",
        "escalated",
        "cancelled",
    }
)
"""What counts as going on. Being given back (`lease_expired`, `halted`) does not: the work stands still until then."""

CONTROL = frozenset({"claimed", "candidate_built", "landed"})
"""What the control worker does: the progress that shows that it is back."""

_OF_A_HOST = frozenset(
    {"host", "worker", "freeze", "heart", "link_long", "link_short", "link_severed", "link_slow", "pool"}
)
_OF_CONTROL = frozenset({"control", "beat"})
_OF_NOBODY = frozenset({"cancel", "retry", "push"})
_ENDED_BY_HAND = frozenset({"halt", "halt_cut_off", "halt_narrow"})
_OF_REDIS = frozenset({"redis_kill", "redis_gone", "redis_stop", "redis_stop_long"})
_AT_WORK = {"queued", "running", "review", "merging"}


@dataclass
class Recovery:
    """Times to recover from one kind of fault, in seconds.

    Attributes:
        kind: The fault.
        faults: How many there were.
        seconds: One for each task whose attempt a fault hit on its host. Of a fault that hit the whole fleet one, to
            the first progress of any task, if there was work then; of a halt from its end, of Redis from its return.
    """

    kind: str
    faults: int = 0
    seconds: list[float] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """The value that this part of the samples does not exceed (nearest rank)."""
        ranked = sorted(self.seconds)
        return ranked[max(0, ceil(part * len(ranked)) - 1)]


def recoveries(evidence: Evidence) -> list[Recovery]:
    """Measure every kind of fault that the run had, by kind."""
    found: dict[str, Recovery] = {}
    for fault in evidence.faults:
        recovery = found.setdefault(fault["kind"], Recovery(fault["kind"]))
        recovery.faults += 1
        recovery.seconds += _times(evidence, fault)
    return [found[kind] for kind in sorted(found)]


def _times(evidence: Evidence, fault: Record) -> list[float]:
    kind, began = fault["kind"], float(fault["wall"])
    if kind in _OF_NOBODY:
        return []
    if kind in _OF_A_HOST or kind == "agent":
        hit = [fault["task"]] if kind == "agent" else _in(evidence, began, {"running"}, fault["host"])
        times = (_next_progress(evidence, task, began) for task in hit)
        return [each for each in times if each is not None]
    since = float(fault["wall_end"]) if kind in _ENDED_BY_HAND | _OF_REDIS else began
    types, states = (CONTROL, {"queued", "merging"}) if kind in _OF_CONTROL else (PROGRESS, _AT_WORK)
    if not _in(evidence, since, states):
        return []
    return [wall(event) - since for event in evidence.events if wall(event) > since and event["type"] in types][:1]


def _in(evidence: Evidence, moment: float, states: set[str], host: str | None = None) -> list[str]:
    """The tasks that were in one of these states at a moment, on a host if one is named."""
    at: dict[str, Record] = {}
    for event in evidence.events:
        if wall(event) > moment:
            break
        if event["to"] is not None:
            at[event["task"]] = event
    return [task for task, last in at.items() if last["to"] in states and host in (None, last["host"])]


def _next_progress(evidence: Evidence, task: str, moment: float) -> float | None:
    """Seconds until the task went on; None where a halt or the end of the run came first."""
    for event in evidence.events:
        if wall(event) <= moment:
            continue
        if event["type"] == "halt":
            return None
        if event["task"] == task and event["type"] in PROGRESS:
            return wall(event) - moment
    return None
