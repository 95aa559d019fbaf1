"""The merge order of one target branch: which change is next, and what its candidate has come to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.task import Reason, Task

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """What the verify command said of a candidate."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


class Candidate(Frozen):
    """The merge of the target's tip and a change's head: exactly the commit that lands, if it passes.

    `fence` numbers the candidate: the verdict of an earlier one changes nothing. `asked_at` is when hosts were last
    asked to verify it.
    """

    task: str
    fence: int
    base: str
    head: str
    commit: str
    verdict: Verdict = Verdict.PENDING
    host: str | None = None
    exit_code: int | None = None
    log: str = ""
    built_at: datetime
    asked_at: datetime
    verify_started_at: datetime | None = None


class Train(Frozen):
    """The merge train of one repository's target branch."""

    repository: str
    target: str
    version: int = 0
    candidate: Candidate | None = None
    blocked: Reason | None = None

    def noted(self, candidate: Candidate | None, blocked: Reason | None = None) -> Train:
        """The next version of this train."""
        return self.model_copy(update={"candidate": candidate, "blocked": blocked, "version": self.version + 1})


def merge_order(tasks: Iterable[Task]) -> list[Task]:
    """The order in which changes land: priority, then the time of approval.

    Dependencies need no say here: a task waits until what it depends on has landed, so no two tasks of this list depend
    on one another.
    """
    return sorted(tasks, key=lambda task: (task.priority, task.merging_at or task.created_at, task.id.zfill(12)))
