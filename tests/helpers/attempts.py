"""Attempts of tasks, walked through the verbs that a host would call, on a floor without a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blueprints.model import Blueprint, Step, Tier
from orchestrator.domain.rounds import PUBLISH, How, Onward, StepEnd
from orchestrator.domain.task import Cause, Change, State, Task
from orchestrator.services import attempt
from orchestrator.services.dispatch import dispatch
from orchestrator.services.floor import Move
from tests.helpers.tasks import make_task, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.services.floor import Floor

BLUEPRINT = Blueprint.model_validate(
    {
        "name": "codemod",
        "rounds": 3,
        "steps": [
            {"name": "setup", "run": "make setup"},
            {"name": "edit", "agent": {"prompt": "{{ task.title }}"}},
            {"name": "polish", "agent": {"prompt": "{{ task.title }}"}},
            {"name": "lint", "run": "make lint", "gate": True, "on_fail": "edit"},
            {"name": "test", "run": "make test", "gate": True, "on_fail": "edit"},
        ],
    }
)
"""A plain step, two agents, and two gates that go back to the first of them."""

BASE = "0" * 40


def ended(how: How = How.PASSED, head: str = BASE, **changes: Any) -> StepEnd:  # noqa: ANN401 - the fields' own types
    """The end of a step; it took a minute and a hundred tokens."""
    code = {How.PASSED: 0, How.FAILED: 1}.get(how)
    fields: dict[str, Any] = {"how": how, "exit_code": code, "head": head, "checkpoint": None, "log": "said"}
    return StepEnd(**fields | {"minutes": 1.0, "tokens": 100, "cost_usd": 0.5, "why": "because."} | changes)


def enqueue(floor: Floor, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """Put a task of the blueprint above into the store, queued unless said otherwise."""
    floor.store.keep_blueprint(BLUEPRINT.digest(), BLUEPRINT.model_dump_json())
    fields: dict[str, Any] = {"blueprint_digest": BLUEPRINT.digest(), "next_step": "setup", "created_at": floor.clock()}
    return submit(floor.store, **fields | changes)


def claim(floor: Floor, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """Put a task into the store and have it claimed and its workspace made."""
    task = enqueue(floor, **changes)
    return begin(floor, task.id)


def begin(floor: Floor, task_id: str) -> Task:
    """Have a queued task claimed and its workspace made, at its checkpoint or a made-up base."""
    dispatch(floor)
    task = floor.store.task(task_id)
    assert task.state is State.RUNNING, task
    base, head = task.base or BASE, task.head or BASE
    started = attempt.started(
        floor, task.id, fence_of(task), base=base, head=head, rules=base, branch=f"shopfloor/{task.id}-x"
    )
    assert started is not None
    return started


def fence_of(task: Task) -> int:
    """The fence of a task that has one."""
    assert task.fence is not None
    return task.fence


def step(floor: Floor, task: Task, end: StepEnd | None = None) -> tuple[Task, Onward]:
    """Run the step that is next, to an end (passed, if none is given)."""
    which = next_step(task)
    assert attempt.step_started(floor, task.id, fence_of(task), task.round, which) is not None
    after, onward = attempt.step_ended(floor, task.id, fence_of(task), which, end or ended(head=task.head or BASE))
    assert after is not None
    return after, onward


def next_step(task: Task) -> Step:
    """The step of the blueprint that is next."""
    return BLUEPRINT.step(task.next_step)


def work(floor: Floor, task: Task, *heads: str) -> Task:
    """Run every step that is ahead; agents leave the heads given, one after the other."""
    left = iter(heads)
    while task.next_step != PUBLISH:
        head = next(left, task.head or BASE) if next_step(task).agent else task.head or BASE
        task, _ = step(floor, task, ended(head=head))
    return task


def change_of(task: Task, tier: Tier = Tier.HUMAN) -> Change:
    """An open change."""
    return Change(id=task.id, url=f"file:///srv/{task.id}", state="open", tier=tier)


def review(floor: Floor, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """A task whose change waits for a person."""
    task = work(floor, claim(floor, **changes), "1" * 40)
    published = attempt.published(floor, task.id, fence_of(task), change_of(task))
    assert published is not None
    return published


def put(floor: Floor, state: State, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """A task in a state of one's choice, by the verbs that lead there where that takes any."""
    match state:
        case State.WAITING | State.QUEUED:
            task = enqueue(floor, state=state, **changes)
        case State.RUNNING:
            task = claim(floor, **changes)
        case State.REVIEW:
            task = review(floor, **changes)
        case State.MERGING:
            task = review(floor, **changes)
            task = floor.write(task, attempt.accepted(floor, task, who="ann"))
        case State.MERGED:
            task = put(floor, State.MERGING, **changes)
            task = floor.write(task, Move(task.moved(Cause.LANDED, state, ended_at=floor.clock()), Cause.LANDED))
        case State.ESCALATED:
            task, _ = step(floor, claim(floor, **changes), ended(How.OVER_BUDGET))
        case State.CANCELLED:
            task = enqueue(floor, **changes)
            task = floor.write(task, Move(task.moved(Cause.CANCELLED, state, ended_at=floor.clock()), Cause.CANCELLED))
    return task


def at(name: str, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """A running task, in no store, at a step of the blueprint above; its first round unless said otherwise."""
    fields: dict[str, Any] = {"state": State.RUNNING, "round": 1, "attempt": 1, "fence": 1, "host": "h1"}
    places: dict[str, Any] = {"next_step": name, "base": BASE, "head": BASE}
    return make_task(**fields | places | changes)


def names(steps: Sequence[Any]) -> list[str]:
    """The names of steps, or of runs of them."""
    return [str(each.name) for each in steps]
