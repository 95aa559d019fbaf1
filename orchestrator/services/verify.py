"""What hosts do with a candidate of a merge train: take it, judge it, give it back, or have no time for it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.courier import VERIFY, VERIFY_QUEUE
from orchestrator.domain.halt import halt_of
from orchestrator.domain.task import Note, State
from orchestrator.domain.train import Verdict
from orchestrator.errors import StaleError
from orchestrator.services.merge import ASK_AGAIN_AFTER, merge
from orchestrator.store import Wake

if TYPE_CHECKING:
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.task import Task
    from orchestrator.domain.train import Candidate, Train
    from orchestrator.services.floor import Floor

_log = logging.getLogger(__name__)

_POSTPONED = timedelta(seconds=5)
"""How long after a host had no time for a candidate the others are asked."""


def verify_started(floor: Floor, repository_id: str, fence: int, host: str) -> tuple[Task, Candidate] | None:
    """Take a candidate for verification on a host; None where it is not wanted any more, or another host has it."""
    repository = floor.store.repository(repository_id)
    while True:
        train, candidate = _unjudged(floor, repository, fence)
        if candidate is None or candidate.host:
            return None
        task = floor.store.task(candidate.task)
        if halt_of(floor.store.halts(), task, host):
            return None
        taken = candidate.model_copy(update={"host": host, "verify_started_at": floor.clock()})
        event = floor.happened(task, Note.VERIFY_STARTED, fence=fence, host=host)
        try:
            floor.store.commit_train(train.noted(taken), [event], lease_seconds=floor.lease_seconds)
        except StaleError:
            continue  # somebody else took it, or only noted that a host had no time for it
        return task, taken


def verify_abandoned(floor: Floor, repository_id: str, fence: int, host: str) -> None:
    """Give a candidate back unjudged, unless another host has it by now: this one could not carry it through."""
    repository = floor.store.repository(repository_id)
    train, candidate = _unjudged(floor, repository, fence)
    if candidate is None or candidate.host != host:
        return
    long_ago = candidate.built_at - 2 * ASK_AGAIN_AFTER
    free = candidate.model_copy(update={"host": None, "verify_started_at": None, "asked_at": long_ago})
    try:
        floor.store.commit_train(train.noted(free))
    except StaleError:
        _log.info("train of %s was moved by somebody else", repository_id)


def verify_ended(floor: Floor, repository_id: str, fence: int, exit_code: int | None, log: str) -> None:
    """Note what the verify command said of a candidate, and wake the train."""
    repository = floor.store.repository(repository_id)
    verdict = Verdict.PASSED if exit_code == 0 else Verdict.FAILED
    while True:
        train, candidate = _unjudged(floor, repository, fence)
        if candidate is None:
            return
        judged = candidate.model_copy(update={"verdict": verdict, "exit_code": exit_code, "log": log})
        events = []
        if verdict is Verdict.PASSED:
            events.append(floor.happened(floor.store.task(candidate.task), Note.VERIFY_PASSED, fence=fence))
        try:
            floor.store.commit_train(train.noted(judged), events)
        except StaleError:
            continue  # the train was noted upon meanwhile; the verdict stands, if the candidate does
        merge(floor, repository_id)
        return


def _unjudged(floor: Floor, repository: Repository, fence: int) -> tuple[Train, Candidate | None]:
    """The train, and its candidate if that is the one under this fence and has no verdict yet."""
    train = floor.store.train(repository)
    candidate = train.candidate
    wanted = candidate is not None and candidate.fence == fence and candidate.verdict is Verdict.PENDING
    return train, candidate if wanted else None


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
