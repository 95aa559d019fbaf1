"""The port to where changes live: a local repository, or a service that has pull requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.mirror import Mirror


@dataclass(frozen=True)
class Proposal:
    """What a task proposes.

    Attributes:
        task: The task's id.
        branch: The branch that holds it, without `refs/heads/`, such as `shopfloor/<id>-<slug>`.
        target: The branch that it shall land on.
        head: The commit proposed.
        expected: Where the branch is now, if this is a later version of an open change; None for the first.
        title: One line.
        body: Markdown.
    """

    task: str
    branch: str
    target: str
    head: str
    expected: str | None
    title: str
    body: str


@dataclass(frozen=True)
class Change:
    """An open change: how the forge calls it, where a person finds it, and the branch that holds it."""

    id: str
    url: str
    branch: str


@dataclass(frozen=True)
class Landed:
    """The target is at the commit now."""

    commit: str


@dataclass(frozen=True)
class Moved:
    """The branch was not where it was expected: somebody else was first. Where it is now; None if it is gone."""

    tip: str | None


@dataclass(frozen=True)
class Blocked:
    """Not now: a person has to make room first. One sentence of what is in the way, one of what to do."""

    reason: str


class Forge(Protocol):
    """Where changes live. Every verb may be asked again after a crash, and comes to the same."""

    def open_change(self, mirror: Mirror, proposal: Proposal) -> Change | Moved | Blocked:
        """Push the proposal's head to its branch and open a change for it, or bring the open one up to date."""
        ...

    def close_change(self, mirror: Mirror, change: Change, head: str) -> None:
        """Close a change, landed or not, and delete its branch if that is still at `head`."""
        ...

    def land(self, mirror: Mirror, branch: str, candidate: str, expected: str) -> Landed | Moved | Blocked:
        """Move the target from the expected commit to exactly the candidate, a descendant of it, or do nothing."""
        ...
