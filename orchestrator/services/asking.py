"""Asks hosts for the candidates that none of them could take when they were first asked."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.courier import VERIFY, VERIFY_QUEUE
from orchestrator.domain.task import State
from orchestrator.domain.train import Verdict
from orchestrator.errors import StaleError
from orchestrator.services.merge import ASK_AGAIN_AFTER
from orchestrator.store import Wake

if TYPE_CHECKING:
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.train import Candidate, Train
    from orchestrator.services.floor import Floor

_log = logging.getLogger(__name__)

_POSTPONED = timedelta(seconds=5)
"""How long after a host had no time for a candidate the others are asked."""


def postponed(floor: Floor, repository_id: str, fence: int) -> None:
    """Note that a host had no time for a candidate: all of them are asked again soon."""
    repository = floor.store.repository(repository_id)
    train, candidate = _untaken(floor, repository)
    if candidate is None or candidate.fence != fence:
        return
    asked_at = floor.clock() - ASK_AGAIN_AFTER + _POSTPONED
    try:
        floor.store.commit_train(train.noted(candidate.model_copy(update={"asked_at": asked_at}), train.blocked))
    except StaleError:
        _log.info("train of %s was moved by somebody else", repository_id)


def ask_for_waiting(floor: Floor) -> None:
    """Ask for every candidate that no host has taken, now that one has time."""
    for repository_id in sorted({task.repository for task in floor.store.tasks([State.MERGING])}):
        _, candidate = _untaken(floor, floor.store.repository(repository_id))
        if candidate is not None:
            floor.send([Wake(VERIFY, (repository_id, candidate.fence), VERIFY_QUEUE)])


def _untaken(floor: Floor, repository: Repository) -> tuple[Train, Candidate | None]:
    train = floor.store.train(repository)
    candidate = train.candidate
    waits = candidate is not None and candidate.verdict is Verdict.PENDING and candidate.host is None
    return train, candidate if waits else None
