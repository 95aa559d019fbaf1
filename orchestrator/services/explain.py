"""Why a task is where it is: which scope, task, host, limit or halt holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.halt import halt_of
from orchestrator.domain.task import Reason, ReasonCode, State, Task
from orchestrator.domain.train import merge_order
from orchestrator.services.dispatch import plan

if TYPE_CHECKING:
    from orchestrator.services.floor import Floor


class Explanation(Frozen):
    """The answer of `explain --json`: the reason, what led to it, and what a person can do."""

    id: str
    state: State
    reason: Reason
    history: tuple[str, ...] = ()
    remedy: str = ""


def explain(floor: Floor, task_id: str) -> Explanation:
    """Explain where a task is.

    Raises:
        NotFoundError: there is no such task.
    """
    task = floor.store.task(task_id)
    reason = _why(floor, task)
    return Explanation(
        id=task.id, state=task.state, reason=reason, history=_history(task), remedy=_remedy(floor, task, reason)
    )


def _why(floor: Floor, task: Task) -> Reason:
    match task.state:
        case State.WAITING:
            return _dependencies(floor, task)
        case State.QUEUED:
            found = plan(floor).reasons.get(task.id)
            return found or Reason(code=ReasonCode.NEXT, text="is being placed right now.")
        case State.RUNNING:
            text = f"runs step {task.next_step} of {task.progress} on host {task.host} under fence {task.fence}."
            return Reason(code=ReasonCode.RUNNING, text=text)
        case State.MERGING:
            return _train(floor, task)
        case _:
            return task.reason or Reason(code=ReasonCode.NEXT, text="is being moved on right now.")


def _dependencies(floor: Floor, task: Task) -> Reason:
    ahead = [floor.store.task(each) for each in task.depends_on]
    open_ones = ", ".join(f"{each.id} ({each.state})" for each in ahead if each.state is not State.MERGED)
    return Reason(code=ReasonCode.DEPENDENCY, text=f"waits until what it depends on has landed: {open_ones}.")


def _train(floor: Floor, task: Task) -> Reason:
    halt = halt_of(floor.store.halts(), task, None)
    if halt:
        return Reason(code=ReasonCode.HALT, text=f"{halt.sentence()}.")
    train = floor.store.train(floor.store.repository(task.repository))
    candidate = train.candidate
    if candidate and candidate.task == task.id:
        if train.blocked:
            return train.blocked
        on = f"is verified on host {candidate.host}" if candidate.host else "waits for a host to verify it"
        return Reason(code=ReasonCode.VERIFYING, text=f"its candidate {candidate.commit[:12]} {on}.")
    order = [each for each in merge_order(floor.store.tasks([State.MERGING])) if each.repository == task.repository]
    ahead = [each.id for each in order[: [each.id for each in order].index(task.id)]] if task in order else []
    if train.blocked and not ahead:
        return train.blocked
    blocked = f" {train.blocked.text}" if train.blocked else ""
    text = f"is number {len(ahead) + 1} on the merge train, behind {', '.join(ahead)}.{blocked}" if ahead else ""
    return Reason(code=ReasonCode.MERGE_QUEUE, text=text or "is next on the merge train.")


def _history(task: Task) -> tuple[str, ...]:
    lines = []
    if task.attempt > 1:
        lines.append(f"{task.attempt} attempts on hosts so far")
    if task.reworks:
        lines.append(f"{task.reworks} reworks after the merge train sent it back")
    if task.feedback:
        code = "" if task.feedback.exit_code is None else f" (exit code {task.feedback.exit_code})"
        lines.append(f"the last failure was step {task.feedback.step}{code}")
    if task.reason and task.state is State.QUEUED:
        lines.append(f"{task.reason.code}: {task.reason.text}")
    return tuple(lines)


def _remedy(floor: Floor, task: Task, reason: Reason) -> str:
    if reason.code in {ReasonCode.HALT, ReasonCode.HALTED}:
        return "Lift the halt with `shopfloor resume`."
    match task.state:
        case State.WAITING:
            stuck = (each for each in task.depends_on if floor.store.task(each).state is State.ESCALATED)
            return " ".join(f"{each} needs a person: see `shopfloor explain {each}`." for each in stuck)
        case State.ESCALATED:
            text = f"Read `shopfloor logs {task.id}`; then `shopfloor retry {task.id}` or `shopfloor cancel {task.id}`."
            if reason.code is ReasonCode.SCOPE_VIOLATION:
                text += " If it does need those files, cancel it and submit it anew with a wider `--scope`."
            return text
        case State.REVIEW:
            read = f"Read the change on branch {task.branch}; then " if task.branch else ""
            return f"{read}`shopfloor approve {task.id}` or `shopfloor reject {task.id} --why WHY`."
        case _:
            return ""
