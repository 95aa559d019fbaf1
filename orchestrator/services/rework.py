"""Sends a change back that the merge train could not land: with what it has to know, and a bounded number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.courier import CONTROL_QUEUE, DISPATCH
from orchestrator.domain.rounds import escalated
from orchestrator.domain.task import Cause, Feedback, Reason, ReasonCode, State, Task
from orchestrator.services.decide import first_agent_step
from orchestrator.services.floor import Move
from orchestrator.services.policy import policy_at
from orchestrator.services.refs import candidate_ref, checkpoint_ref
from orchestrator.store import Wake

if TYPE_CHECKING:
    from orchestrator.commits import Conflict
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.train import Candidate
    from orchestrator.mirror import Mirror
    from orchestrator.services.floor import Floor

_PATCH_BYTES = 8_192
_DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)


def send_back_conflicting(floor: Floor, mirror: Mirror, task: Task, conflict: Conflict, *, reworks_max: int) -> None:
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


def send_back_unverified(floor: Floor, repository: Repository, task: Task, candidate: Candidate) -> None:
    """Back to the queue, to go on from the candidate that failed, with its log as feedback; bounded."""
    mirror = floor.mirror(repository)
    mirror.ensure()
    bring(mirror, candidate)
    policy = policy_at(mirror, candidate.base)
    how = "killed, or out of time" if candidate.exit_code is None else f"exit code {candidate.exit_code}"
    text = f"its merge with the target failed the verify command ({how})"
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


def bring(mirror: Mirror, candidate: Candidate) -> None:
    """Bring a candidate into this machine's mirror, which may not be the one that it was built in."""
    if not mirror.has(candidate.commit):
        mirror.fetch_commit(candidate_ref(candidate.fence), candidate.commit)
