"""What a person decides about a task: approve, reject, retry, cancel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from blueprints.errors import ChoiceError
from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE
from orchestrator.domain.rounds import PUBLISH, closed, escalated
from orchestrator.domain.task import Cause, Feedback, Reason, ReasonCode, State, Task, check_transition
from orchestrator.domain.train import Verdict
from orchestrator.errors import GitError, InputError, TransitionError
from orchestrator.services.attempt import accepted, blueprint_of
from orchestrator.services.floor import Move
from orchestrator.services.policy import rules_now
from orchestrator.services.submit import waits_for
from orchestrator.store import Wake

if TYPE_CHECKING:
    from blueprints.model import Blueprint
    from orchestrator.services.floor import Floor

_log = logging.getLogger(__name__)

_DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)

_WORK_REFUSED = frozenset(
    {ReasonCode.SCOPE_VIOLATION, ReasonCode.DIFF_TOO_LARGE, ReasonCode.CONFLICT, ReasonCode.NO_CHANGES}
)
"""Reasons after which a retry starts from the target's tip: going on from the same work would end the same way."""


def approve(floor: Floor, task_id: str, *, who: str) -> Task:
    """Accept a change that waits for a person.

    Raises:
        TransitionError: the task is not in review.
    """
    return floor.decide(task_id, lambda task: accepted(floor, task, who=who))


def reject(floor: Floor, task_id: str, why: str, *, who: str) -> Task:
    """Send a change back with the reviewer's words as feedback; after the last round, to a person.

    Raises:
        TransitionError: the task is not in review.
    """

    def decide(task: Task) -> Move:
        told = task.model_copy(update={"feedback": Feedback(step="review", exit_code=None, log=why)})
        reason = Reason(code=ReasonCode.REJECTED, text=f"rejected by {who}: {why}")
        if task.state is State.REVIEW and task.round >= task.rounds_max:
            return Move(escalated(told, reason, floor.clock()), Cause.ESCALATED, (_DISPATCH_NOW,), who=who, text=why)
        first = first_agent_step(floor, task)
        after = told.moved(
            Cause.CHANGES_REQUESTED,
            State.QUEUED,
            reason=reason,
            round=task.round + 1,
            next_step=first,
            host=None,
            queued_at=floor.clock(),
        )
        return Move(after, Cause.CHANGES_REQUESTED, (_DISPATCH_NOW,), who=who, text=why)

    return floor.decide(task_id, decide)


def retry(floor: Floor, task_id: str, *, who: str) -> Task:
    """Give an escalated task its rounds and limits anew; it goes on where it stopped, unless its work was refused.

    Its blueprint is read again, so that what was mended on the target counts; what was cancelled is no longer awaited.

    Raises:
        TransitionError: the task is not escalated.
        InputError: the repository's rules cannot be used, or no longer have its blueprint.
    """

    def decide(task: Task) -> Move:
        now = floor.clock()
        check_transition(task.state, Cause.RETRIED, State.QUEUED, task.id)
        blueprint = _blueprint_now(floor, task)
        states = {each: floor.store.task(each).state for each in task.depends_on}
        wanted = tuple(each for each, state in states.items() if state is not State.CANCELLED)
        ahead = [each for each in wanted if states[each] is not State.MERGED]
        after = task.moved(
            Cause.RETRIED,
            State.WAITING if ahead else State.QUEUED,
            **_where_again(task, blueprint),
            depends_on=wanted,
            blueprint_digest=blueprint.digest(),
            rounds_max=blueprint.rounds,
            reason=waits_for(ahead) if ahead else None,
            round=0,
            reworks=0,
            infra_failures=0,
            retry_at=None,
            avoid_host=None,
            tokens=task.tokens.renewed(),
            minutes=task.minutes.renewed(),
            queued_at=now,
            ended_at=None,
        )
        return Move(after, Cause.RETRIED, (_DISPATCH_NOW,), who=who)

    return floor.decide(task_id, decide)


def cancel(floor: Floor, task_id: str, *, who: str) -> Task:
    """Give a task up: its agent is killed, its scope given back; its work stays under its refs.

    Raises:
        TransitionError: the task has ended already, or is on the target, which is only not noted yet.
        GitError: whether it is on the target cannot be seen.
    """

    def decide(task: Task) -> Move:
        _check_not_landed(floor, task)
        now = floor.clock()
        reason = Reason(code=ReasonCode.CANCELLED, text=f"cancelled by {who}.")
        change = task.change.model_copy(update={"state": "closed"}) if task.change else None
        after = task.moved(
            Cause.CANCELLED,
            State.CANCELLED,
            reason=reason,
            change=change,
            host=None,
            ended_at=now,
            steps=closed(task, now),
        )
        return Move(after, Cause.CANCELLED, (_DISPATCH_NOW, Wake(MERGE, (task.repository,), CONTROL_QUEUE)), who=who)

    task = floor.decide(task_id, decide)
    floor.store.nudge()
    return task


def _check_not_landed(floor: Floor, task: Task) -> None:
    """Refuse to give up what is on the target already: whoever landed it died before the store knew."""
    if task.state is not State.MERGING:
        return
    repository = floor.store.repository(task.repository)
    candidate = floor.store.train(repository).candidate
    if candidate is None or candidate.task != task.id or candidate.verdict is not Verdict.PASSED:
        return
    mirror = floor.mirror(repository)
    mirror.ensure()
    tip = mirror.fetch_target(repository.target)
    if mirror.has(candidate.commit) and mirror.is_ancestor(candidate.commit, tip):
        raise TransitionError(
            f"Task {task.id} has landed on {repository.target} as {candidate.commit[:12]}; that is noted in a moment.",
            "To take it back, revert that commit.",
        )


def first_agent_step(floor: Floor, task: Task) -> str:
    """Where a rework begins: the first agent step, or the first step of a blueprint that has none."""
    return _first_agent_step(blueprint_of(floor, task))


def _first_agent_step(blueprint: Blueprint) -> str:
    return next((step.name for step in blueprint.steps if step.agent), blueprint.steps[0].name)


def _blueprint_now(floor: Floor, task: Task) -> Blueprint:
    """The task's blueprint as the target has it now; as it was, where the repository cannot be read at the moment.

    Raises:
        InputError: the repository's rules cannot be used, or have no such blueprint any more.
    """
    try:
        blueprint = rules_now(floor, floor.store.repository(task.repository)).catalog.get(task.blueprint)
    except GitError as error:
        _log.warning("task %s is retried by the blueprint that it had: %s", task.id, error)
        return blueprint_of(floor, task)
    except ChoiceError as error:
        raise InputError(error.message, error.remedy) from error
    floor.store.keep_blueprint(blueprint.digest(), blueprint.model_dump_json())
    return blueprint


def _where_again(task: Task, blueprint: Blueprint) -> dict[str, str | None]:
    """From which work and at which step a retried task goes on."""
    code = task.reason.code if task.reason else None
    if code in _WORK_REFUSED:
        return {"base": None, "head": None, "checkpoint": None, "next_step": blueprint.steps[0].name}
    if code is ReasonCode.REJECTED:  # it stopped behind its last step; the reviewer's words are for an agent
        return {"next_step": _first_agent_step(blueprint)}
    known = {step.name for step in blueprint.steps} | {PUBLISH}
    return {} if task.next_step in known else {"next_step": blueprint.steps[0].name}
