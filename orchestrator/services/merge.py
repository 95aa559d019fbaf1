"""The merge-ordering task of one target branch: build the next candidate, have it verified, land what passed.

One at a time per repository, by a named right; each step is one commit to the store, so that whoever comes after a
crash goes on from there. A commit that is on the target already has landed, whatever the store knew of it.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.commits import Conflict
from orchestrator.courier import CONTROL_QUEUE, DISPATCH, VERIFY, VERIFY_QUEUE
from orchestrator.domain.halt import halt_of
from orchestrator.domain.rounds import escalated
from orchestrator.domain.task import Cause, Note, Reason, ReasonCode, State, Task
from orchestrator.domain.train import Candidate, Train, Verdict, merge_order
from orchestrator.errors import ShopfloorError, StaleError, UnreachableError
from orchestrator.forge import Blocked, Change, Landed, Moved
from orchestrator.git import Signature
from orchestrator.services.floor import Move
from orchestrator.services.policy import policy_at
from orchestrator.services.reconcile import unblock
from orchestrator.services.refs import candidate_ref, checkpoint_ref
from orchestrator.services.rework import bring, send_back_conflicting, send_back_unverified
from orchestrator.services.right import kept
from orchestrator.store import Wake

if TYPE_CHECKING:
    from orchestrator.domain.repository import Repository
    from orchestrator.services.floor import Floor

_log = logging.getLogger(__name__)

ASK_AGAIN_AFTER = timedelta(seconds=5)
"""A candidate that nobody has taken for so long has lost its message, or every host is busy; asking twice is cheap."""

_DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)


def merge(floor: Floor, repository_id: str) -> None:
    """Move the train of a repository as far as it goes right now."""
    repository = floor.store.repository(repository_id)
    name, token = f"merge:{repository_id}", uuid.uuid4().hex
    while floor.store.acquire(name, token, floor.lease_seconds):
        try:
            with kept(floor.store, name, token, floor.lease_seconds):
                while _move(floor, repository) and floor.store.acquire(name, token, floor.lease_seconds):
                    continue
        except StaleError:
            _log.info("train of %s was moved by somebody else", repository_id)
        except UnreachableError:
            raise  # there is no train to say it on
        except (ShopfloorError, OSError) as error:
            _stuck(floor, repository, error)
        finally:
            wanted_meanwhile = floor.store.release(name, token)
        if not wanted_meanwhile:
            return


def _move(floor: Floor, repository: Repository) -> bool:
    """One step of the train; True where there may be another at once."""
    train = floor.store.train(repository)
    candidate = train.candidate
    if candidate is None:
        return _build(floor, repository, train)
    task = floor.store.task(candidate.task)
    if task.state is not State.MERGING or task.head != candidate.head:
        if task.state is State.MERGED:  # whoever landed it did not get to this
            _tidy(floor, repository, task, {candidate_ref(candidate.fence): candidate.commit})
        else:
            _forget(floor, repository, candidate)
        floor.store.commit_train(train.noted(None))
        return True
    if halt_of(floor.store.halts(), task, None):
        return _step_aside(floor, repository, train, candidate)
    match candidate.verdict:
        case Verdict.PENDING:
            _ask_again(floor, repository, train, candidate)
            return False
        case Verdict.PASSED:
            return _land(floor, repository, train, task, candidate)
        case Verdict.FAILED:
            send_back_unverified(floor, repository, task, candidate)
            _forget(floor, repository, candidate)
            floor.store.commit_train(train.noted(None))
            return True


def _step_aside(floor: Floor, repository: Repository, train: Train, candidate: Candidate) -> bool:
    """Let another change go first while a halt keeps this one, and nothing lands of it."""
    if candidate.verdict is Verdict.PASSED or _next_in_order(floor, repository) is None:
        return False  # one that passed may be on the target already: that is seen when the halt is lifted
    floor.store.commit_train(train.noted(None))
    _forget(floor, repository, candidate)
    return True


def _stuck(floor: Floor, repository: Repository, error: ShopfloorError | OSError) -> None:
    """Say on the train what keeps it, such as a repository that cannot be reached; it is tried again."""
    _log.warning("the train of %s is stuck: %s", repository.id, error)
    train = floor.store.train(repository)
    blocked = Reason(code=ReasonCode.LANDING_BLOCKED, text=str(error))
    if train.blocked == blocked:
        return
    try:
        floor.store.commit_train(train.noted(train.candidate, blocked))
    except StaleError:
        _log.info("train of %s was moved by somebody else", repository.id)


def _ask_again(floor: Floor, repository: Repository, train: Train, candidate: Candidate) -> None:
    """Ask hosts once more where none has taken the candidate for long."""
    if candidate.host is None and floor.clock() - candidate.asked_at > ASK_AGAIN_AFTER:
        wakes = (Wake(VERIFY, (repository.id, candidate.fence), VERIFY_QUEUE),)
        asked = candidate.model_copy(update={"asked_at": floor.clock()})
        floor.store.commit_train(train.noted(asked), wakes=wakes)
        floor.send(wakes)


def _next_in_order(floor: Floor, repository: Repository) -> Task | None:
    """The change that is next on the train, and that no halt keeps."""
    halts = floor.store.halts()
    merging = [task for task in floor.store.tasks([State.MERGING]) if task.repository == repository.id]
    return next((task for task in merge_order(merging) if not halt_of(halts, task, None)), None)


def _build(floor: Floor, repository: Repository, train: Train) -> bool:
    """Make the candidate of the next change in order."""
    task = _next_in_order(floor, repository)
    if task is None:
        if train.blocked:
            floor.store.commit_train(train.noted(None))  # what was in the way has nothing to keep any more
        return False
    mirror = floor.mirror(repository)
    mirror.ensure()
    tip = mirror.fetch_target(repository.target)
    head = task.head or ""
    mirror.fetch_commit(f"refs/heads/{task.branch}", head)
    if mirror.is_ancestor(head, tip):
        _merged_by_hand(floor, repository, task)
        return True
    policy = policy_at(mirror, tip)
    author = policy.author
    signature = Signature(
        author.name if author else "Shopfloor", author.email if author else "shopfloor@localhost", floor.clock()
    )
    merged = mirror.merge(tip, head, _message(task), signature)
    if isinstance(merged, Conflict):
        send_back_conflicting(floor, mirror, task, merged, reworks_max=policy.reworks)
        return True
    if merged.tree == mirror.tree(tip):
        reason = Reason(code=ReasonCode.NO_CHANGES, text=f"{repository.target} already has everything that it changes.")
        floor.write(task, Move(escalated(task, reason, floor.clock()), Cause.ESCALATED, (_DISPATCH_NOW,)))
        return True
    fence = floor.store.next_fence()
    mirror.push(candidate_ref(fence), merged.commit, None)
    candidate = Candidate(
        task=task.id,
        fence=fence,
        base=tip,
        head=head,
        commit=merged.commit,
        verdict=Verdict.PENDING if policy.verify else Verdict.PASSED,
        built_at=floor.clock(),
        asked_at=floor.clock(),
    )
    event = floor.happened(task, Note.CANDIDATE_BUILT, fence=fence, text=merged.commit)
    wakes = (Wake(VERIFY, (repository.id, fence), VERIFY_QUEUE),) if policy.verify else ()
    floor.store.commit_train(train.noted(candidate), [event], wakes)
    floor.send(wakes)
    return not wakes


def _land(floor: Floor, repository: Repository, train: Train, task: Task, candidate: Candidate) -> bool:
    mirror = floor.mirror(repository)
    mirror.ensure()
    tip = mirror.fetch_target(repository.target)
    bring(mirror, candidate)
    if tip != candidate.base and mirror.is_ancestor(candidate.commit, tip):
        outcome: Landed | Moved | Blocked = Landed(candidate.commit)
    else:
        outcome = floor.forge(repository).land(mirror, repository.target, candidate.commit, candidate.base)
    match outcome:
        case Landed():
            _landed(floor, task, candidate.commit, f"landed on {repository.target} as {candidate.commit[:12]}.")
            _tidy(floor, repository, task, {candidate_ref(candidate.fence): candidate.commit})
            floor.store.commit_train(train.noted(None))
            return True
        case Moved():
            text = f"{repository.target} moved while {task.id} was verified; it is verified again on the new tip."
            event = floor.happened(task, Note.CONTENTION, fence=candidate.fence, text=text)
            floor.store.commit_train(train.noted(None), [event])
            _forget(floor, repository, candidate)
            return True
        case Blocked(reason=text):
            blocked = Reason(code=ReasonCode.LANDING_BLOCKED, text=text)
            if train.blocked != blocked:
                event = floor.happened(task, Note.LANDING_BLOCKED, fence=candidate.fence, text=text)
                floor.store.commit_train(train.noted(candidate, blocked), [event])
            return False


def _merged_by_hand(floor: Floor, repository: Repository, task: Task) -> None:
    """Finished work is recognised by its commit: somebody has merged the branch already."""
    head = task.head or ""
    _landed(floor, task, head, f"somebody merged it: {repository.target} has its head {head[:12]}.")
    _tidy(floor, repository, task, {})


def _landed(floor: Floor, task: Task, commit: str, text: str) -> None:
    reason = Reason(code=ReasonCode.LANDED, text=text)
    after = task.moved(
        Cause.LANDED,
        State.MERGED,
        merged_as=commit,
        ended_at=floor.clock(),
        change=task.change.model_copy(update={"state": "merged"}) if task.change else None,
        reason=reason,
    )
    floor.write(task, Move(after, Cause.LANDED, (_DISPATCH_NOW,)))
    dependents = floor.store.dependents(task.id)
    for each in dependents:
        unblock(floor, each)
    if dependents:
        floor.send((_DISPATCH_NOW,))


def _message(task: Task) -> str:
    return f"Merge {task.id}: {task.title}\n\nShopfloor-Task: {task.id}\nShopfloor-Fence: {task.fence}\n"


def _forget(floor: Floor, repository: Repository, candidate: Candidate) -> None:
    mirror = floor.mirror(repository)
    mirror.ensure()
    mirror.delete(candidate_ref(candidate.fence), candidate.commit)


def _tidy(floor: Floor, repository: Repository, task: Task, gone: dict[str, str]) -> None:
    """Delete what served a landed task, and the refs of `gone` with it. What cannot be deleted is only untidy."""
    mirror = floor.mirror(repository)
    try:
        mirror.ensure()
        if task.attempt > 1:  # each attempt has left a checkpoint of its own
            gone = gone | mirror.under(checkpoint_ref(task.id, ""))
        elif task.checkpoint and task.head:
            gone = {**gone, task.checkpoint: task.head}
        mirror.delete_each(gone)
        if task.change and task.branch and task.published_head:
            change = Change(task.change.id, task.change.url, task.branch)
            floor.forge(repository).close_change(mirror, change, task.published_head)
    except ShopfloorError as error:
        _log.warning("task %s landed; its refs could not be tidied: %s", task.id, error)
