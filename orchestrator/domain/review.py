"""What a finished diff has to satisfy before it is published, and who must accept it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blueprints.model import Tier
from orchestrator.domain.scope import Scope, outside
from orchestrator.domain.task import Reason, ReasonCode, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

POLICY_DIRECTORY = ".shopfloor/"
"""The fleet's own rules: an agent's change to them is always a person's to accept."""

_NAMED_AT_MOST = 5


class Touched(NamedTuple):
    """A path that a diff touches, and how many of its lines (0 where it is binary)."""

    path: str
    lines: int


def inspect(task: Task, touched: Sequence[Touched]) -> Reason | None:
    """The reason why a diff is refused; None where nothing speaks against it."""
    if not touched:
        return Reason(code=ReasonCode.NO_CHANGES, text="every step passed, but nothing was changed.")
    strays = outside(Scope.of(task.scope), [each.path for each in touched])
    if strays:
        more = f" and {len(strays) - _NAMED_AT_MOST} more" if len(strays) > _NAMED_AT_MOST else ""
        named = ", ".join(strays[:_NAMED_AT_MOST]) + more
        text = f"the diff touches {named}, outside its scope {', '.join(task.scope)}; nothing was pushed."
        return Reason(code=ReasonCode.SCOPE_VIOLATION, text=text)
    lines = sum(each.lines for each in touched)
    if lines > task.diff_lines_max:
        text = f"the diff has {lines} lines; the limit is {task.diff_lines_max}. Nothing was pushed."
        return Reason(code=ReasonCode.DIFF_TOO_LARGE, text=text)
    return None


def tier_of(asked: Tier, touched: Sequence[Touched]) -> Tier:
    """Who must accept the change: as the blueprint asks, but a person where the fleet's own rules change."""
    if any(f"{each.path}/".startswith(POLICY_DIRECTORY) for each in touched):
        return Tier.HUMAN
    return asked
