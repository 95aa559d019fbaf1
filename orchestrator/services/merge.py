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
from orchestrator.domain.task import Cause, Event, Feedback, Note, Reason, ReasonCode, State, Task
from orchestrator.domain.train import Candidate, Train, Verdict, merge_order
from orchestrator.errors import GitError, InputError, ShopfloorError, StaleError
from orchestrator.forge import Blocked, Change, Landed, Moved
from orchestrator.git import Signature
from orchestrator.services.decide import first_agent_step
from orchestrator.services.floor import Move
from orchestrator.services.policy import policy_at
from orchestrator.services.reconcile import unblock
from orchestrator.services.right import kept
from orchestrator.store import Wake

if TYPE_CHECKING:
    from orchestrator.domain.repository import Repository
    from orchestrator.mirror import Mirror
    from orchestrator.services.floor import Floor

_log = logging.getLogger(__name__)

ASK_AGAIN_AFTER = timedelta(seconds=5)
"""A candidate that nobody has taken for so long has lost its message, or every host is busy; asking twice is cheap."""

_PATCH_BYTES = 8_192
_DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)


def candidate_ref(fence: int) -> str:
    """Where a candidate is kept while it is verified."""
    return f"refs/shopfloor/candidates/{fence}"


def checkpoint_ref(task_id: str, fence: int | str) -> str:
    """Where an attempt keeps its last checkpoint; with no fence (""), what all attempts of a task begin with."""
    return f"refs/shopfloor/checkpoints/{task_id}/{fence}"


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
        except (GitError, InputError) as error:
            _stuck(floor, repository, error)
        finally:
            wanted_meanwhile = floor.store.release(name, token)
        if not wanted_meanwhile:
            return


def verify_started(floor: Floor, repository_id: str, fence: int, host: str) -> tuple[Task, Candidate] | None:
    """Take a candidate for verification on a host; None where it is not wanted any more, or another host has it."""
    repository = floor.store.repository(repository_id)
    train, candidate = _unjudged(floor, repository, fence)
    if candidate is None or candidate.host:
        return None
    task = floor.store.task(candidate.task)
    if halt_of(floor.store.halts(), task, host):
        return None
    taken = candidate.model_copy(update={"host": host, "verify_started_at": floor.clock()})
    event = _event(floor, task, Note.VERIFY_STARTED, fence=fence, host=host)
    try:
        floor.store.commit_train(train.noted(taken), [event], lease_seconds=floor.lease_seconds)
    except StaleError:
        return None
    return task, taken


def verify_abandoned(floor: Floor, repository_id: str, fence: int) -> None:
    """Give a candidate back unjudged: the host could not carry the verification through."""
    repository = floor.store.repository(repository_id)
    train, candidate = _unjudged(floor, repository, fence)
    if candidate is None:
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
            events.append(_event(floor, floor.store.task(candidate.task), Note.VERIFY_PASSED, fence=fence))
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


def _move(floor: Floor, repository: Repository) -> bool:
    """One step of the train; True where there may be another at once."""
    train = floor.store.train(repository)
    candidate = train.candidate
    if candidate is None:
        return _build(floor, repository, train)
    task = floor.store.task(candidate.task)
    if task.state is not State.MERGING or task.head != candidate.head:
        if task.state is State.MERGED:  # whoever landed it did not get to this
            _tidy(floor, repository, task, candidate)
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
            _send_back_unverified(floor, repository, task, candidate)
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


def _stuck(floor: Floor, repository: Repository, error: GitError | InputError) -> None:
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
    policy = policy_at(mirror, tip)
    author = policy.author
    signature = Signature(
        author.name if author else "Shopfloor", author.email if author else "shopfloor@localhost", floor.clock()
    )
    merged = mirror.merge(tip, head, _message(task), signature)
    if isinstance(merged, Conflict):
        _send_back_conflicting(floor, mirror, task, merged, reworks_max=policy.reworks)
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
    event = _event(floor, task, Note.CANDIDATE_BUILT, fence=fence, text=merged.commit)
    wakes = (Wake(VERIFY, (repository.id, fence), VERIFY_QUEUE),) if policy.verify else ()
    floor.store.commit_train(train.noted(candidate), [event], wakes)
    floor.send(wakes)
    return not wakes


def _land(floor: Floor, repository: Repository, train: Train, task: Task, candidate: Candidate) -> bool:
    mirror = floor.mirror(repository)
    mirror.ensure()
    tip = mirror.fetch_target(repository.target)
    _bring(mirror, candidate)
    if tip != candidate.base and mirror.is_ancestor(candidate.commit, tip):
        outcome: Landed | Moved | Blocked = Landed(candidate.commit)
    else:
        outcome = floor.forge(repository).land(mirror, repository.target, candidate.commit, candidate.base)
    match outcome:
        case Landed():
            _landed(floor, repository, task, candidate)
            _tidy(floor, repository, task, candidate)
            floor.store.commit_train(train.noted(None))
            return True
        case Moved():
            text = f"{repository.target} moved while {task.id} was verified; it is verified again on the new tip."
            event = _event(floor, task, Note.CONTENTION, fence=candidate.fence, text=text)
            floor.store.commit_train(train.noted(None), [event])
            _forget(floor, repository, candidate)
            return True
        case Blocked(reason=text):
            blocked = Reason(code=ReasonCode.LANDING_BLOCKED, text=text)
            if train.blocked != blocked:
                event = _event(floor, task, Note.LANDING_BLOCKED, fence=candidate.fence, text=text)
                floor.store.commit_train(train.noted(candidate, blocked), [event])
            return False


def _bring(mirror: Mirror, candidate: Candidate) -> None:
    """Bring a candidate into this machine's mirror, which may not be the one that it was built in."""
    if not mirror.has(candidate.commit):
        mirror.fetch_commit(candidate_ref(candidate.fence), candidate.commit)


def _landed(floor: Floor, repository: Repository, task: Task, candidate: Candidate) -> None:
    reason = Reason(code=ReasonCode.LANDED, text=f"landed on {repository.target} as {candidate.commit[:12]}.")
    after = task.moved(
        Cause.LANDED,
        State.MERGED,
        merged_as=candidate.commit,
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


def _send_back_conflicting(floor: Floor, mirror: Mirror, task: Task, conflict: Conflict, *, reworks_max: int) -> None:
    """Back to the queue on a new base, with the conflict and the work that met it as feedback; bounded."""
    where = ", ".join(conflict.paths)
    if task.reworks >= reworks_max:
        text = f"it conflicts with the target in {where}, after {task.reworks} reworks."
        reason = Reason(code=ReasonCode.CONFLICT, text=text)
        floor.write(task, Move(escalated(task, reason, floor.clock()), Cause.ESCALATED, (_DISPATCH_NOW,)))
        return
    work = mirror.patch(task.base or "", task.head or "", _PATCH_BYTES).decode("utf-8", "replace")
    told = f"{conflict.text}\nThe work that conflicts, to be done again on the new base:\n{work}"
    fresh = {"base": None, "head": None, "checkpoint": None}
    text = f"conflicts with the target in {where}"
    _send_back(floor, task, Cause.CONFLICTED, text, _feedback("merge", 1, told), **fresh)


def _send_back_unverified(floor: Floor, repository: Repository, task: Task, candidate: Candidate) -> None:
    """Back to the queue, to go on from the candidate that failed, with its log as feedback; bounded."""
    mirror = floor.mirror(repository)
    mirror.ensure()
    _bring(mirror, candidate)
    policy = policy_at(mirror, candidate.base)
    text = f"its merge with the target failed the verify command (exit code {candidate.exit_code})"
    if task.reworks >= policy.reworks:
        reason = Reason(code=ReasonCode.VERIFY_FAILED, text=f"{text}, after {task.reworks} reworks.")
        told = _feedback("verify", candidate.exit_code, candidate.log)
        failed = task.model_copy(update={"feedback": told, "next_step": first_agent_step(floor, task)})
        floor.write(task, Move(escalated(failed, reason, floor.clock()), Cause.ESCALATED, (_DISPATCH_NOW,)))
        return
    kept = checkpoint_ref(task.id, candidate.fence)
    mirror.push(kept, candidate.commit, None)
    onto = {"base": candidate.base, "head": candidate.commit, "checkpoint": kept}
    told = _feedback("verify", candidate.exit_code, candidate.log)
    _send_back(floor, task, Cause.VERIFY_FAILED, text, told, **onto)


def _send_back(floor: Floor, task: Task, cause: Cause, text: str, told: Feedback, **work: str | None) -> None:
    code = ReasonCode.CONFLICT if cause is Cause.CONFLICTED else ReasonCode.VERIFY_FAILED
    after = task.moved(
        cause,
        State.QUEUED,
        **work,
        feedback=told,
        reason=Reason(code=code, text=f"{text}; it is reworked."),
        reworks=task.reworks + 1,
        round=0,
        next_step=first_agent_step(floor, task),
        queued_at=floor.clock(),
        host=None,
    )
    floor.write(task, Move(after, cause, (_DISPATCH_NOW,), step=told.step, text=text))


def _feedback(step: str, exit_code: int | None, log: str) -> Feedback:
    return Feedback(step=step, exit_code=exit_code, log=log)


def _message(task: Task) -> str:
    return f"Merge {task.id}: {task.title}\n\nShopfloor-Task: {task.id}\nShopfloor-Fence: {task.fence}\n"


def _event(
    floor: Floor, task: Task, note: Note, *, fence: int, host: str | None = None, text: str | None = None
) -> Event:
    return Event(
        at=floor.clock(), task=task.id, type=note, fence=fence, host=host, repository=task.repository, text=text
    )


def _forget(floor: Floor, repository: Repository, candidate: Candidate) -> None:
    mirror = floor.mirror(repository)
    mirror.ensure()
    mirror.delete(candidate_ref(candidate.fence), candidate.commit)


def _tidy(floor: Floor, repository: Repository, task: Task, candidate: Candidate) -> None:
    """Delete what served a landed task: its work is in the target's history. What cannot be deleted is only untidy."""
    mirror = floor.mirror(repository)
    try:
        gone = {candidate_ref(candidate.fence): candidate.commit}
        if task.attempt > 1:  # each attempt has left a checkpoint of its own
            gone |= mirror.under(checkpoint_ref(task.id, ""))
        elif task.checkpoint and task.head:
            gone[task.checkpoint] = task.head
        mirror.ensure()
        mirror.delete_each(gone)
        if task.change and task.branch and task.published_head:
            change = Change(task.change.id, task.change.url, task.branch)
            floor.forge(repository).close_change(mirror, change, task.published_head)
    except ShopfloorError as error:
        _log.warning("task %s landed; its refs could not be tidied: %s", task.id, error)
