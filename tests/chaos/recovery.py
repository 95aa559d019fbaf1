"""How long a fleet took to go on after each fault: from the fault to the next progress of what it hit."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from tests.chaos.evidence import wall

if TYPE_CHECKING:
    from collections.abc import Iterable

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
_DISTURBING = frozenset({"halt"})


@dataclass
class Recovery:
    """Times to recover from one kind of fault, in seconds.

    Attributes:
        kind: The fault.
        faults: How many there were.
        seconds: One for each task that a fault hit (or for each fault that hit the whole fleet).
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


def _times(evidence: Evidence, fault: Record) -> Iterable[float]:
    kind = fault["kind"]
    began = float(fault["wall"])
    if kind == "agent":
        hit = [fault["task"]]
    elif kind in _OF_A_HOST:
        hit = _running_on(evidence, fault["host"], began)
    else:
        types = CONTROL if kind in _OF_CONTROL else PROGRESS
        since = float(fault["wall_end"]) if kind in {"halt", "halt_cut_off"} else began
        first = next((wall(e) for e in evidence.events if wall(e) > since and e["type"] in types), None)
        return [] if first is None or kind in {"cancel", "retry", "push"} else [first - since]
    times = (_next_progress(evidence, task, began) for task in hit)
    return [each for each in times if each is not None]


def _running_on(evidence: Evidence, host: str, moment: float) -> list[str]:
    """The tasks whose attempt was on a host at a moment."""
    on: dict[str, str | None] = {}
    for event in evidence.events:
        if wall(event) > moment:
            break
        if event["type"] == "claimed":
            on[event["task"]] = event["host"]
        elif event["to"] is not None:
            on[event["task"]] = None
    return [task for task, where in on.items() if where == host]


def _next_progress(evidence: Evidence, task: str, moment: float) -> float | None:
    """Seconds until the task went on; None where a halt or the end of the run came first."""
    for event in evidence.events:
        if wall(event) <= moment:
            continue
        if event["type"] in _DISTURBING:
            return None
        if event["task"] == task and event["type"] in PROGRESS:
            return wall(event) - moment
    return None
