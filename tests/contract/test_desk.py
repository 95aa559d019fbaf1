"""The desk's contract, over both adapters: on the store, and over the API."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from orchestrator.desks.direct import DirectDesk
from orchestrator.desks.remote import RemoteDesk
from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, ReasonCode, State
from orchestrator.errors import InputError, NotFoundError, ShopfloorError, TransitionError
from orchestrator.services.submit import Submission
from orchestrator.store import LogChunk
from orchestrator.tokens import Role, add_token
from orchestrator.views import event_view, task_view
from orchestrator.web.app import create_app
from tests.helpers.couriers import MemoryCourier
from tests.helpers.floors import make_floor, publish, run, serving
from tests.helpers.tasks import advance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.desk import Desk
    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return make_floor(tmp_path)


@pytest.fixture(params=["direct", "remote"])
def desk(request: pytest.FixtureRequest, floor: Floor, tmp_path: Path) -> Iterator[Desk]:
    """A desk of somebody called `ann` who may do everything."""
    if request.param == "direct":
        yield DirectDesk(floor, "ann")
        return
    tokens = tmp_path / "tokens.json"
    token = add_token(tokens, "ann", Role.ADMIN)
    with serving(create_app(floor, tokens)) as url, closing(RemoteDesk(url, token)) as remote:
        yield remote


def submit(desk: Desk, title: str = "Rename a to b", **fields: object) -> Task:
    [task] = desk.submit("web-1", [Submission.model_validate({"title": title, "labels": ["rename"], **fields})])
    return task


def test_submitting_gives_the_task_as_it_was_kept(desk: Desk, floor: Floor) -> None:
    task = submit(desk, body="In `src`,\nplease. ✓", scope=["src/*.py"], priority=1, minutes=1.5, tokens=5)
    assert task == floor.store.task(task.id)
    assert (task.blueprint, task.state, task.submitted_by) == ("rename", State.QUEUED, "ann")


def test_a_batch_is_taken_whole_with_its_dependencies(desk: Desk) -> None:
    first, second = desk.submit(
        "web-1", [Submission(title="One", key="one"), Submission(title="Two", depends_on=("one",))]
    )
    assert second.depends_on == (first.id,)
    assert first.batch == second.batch
    assert [task.id for task in desk.tasks([State.WAITING])] == [second.id]


def test_a_batch_with_a_fault_leaves_nothing(desk: Desk) -> None:
    with pytest.raises(InputError, match="no blueprint named"):
        desk.submit("web-1", [Submission(title="One"), Submission(title="Two", blueprint="nonsense")])
    assert desk.tasks() == []


def test_tasks_are_listed_by_state_oldest_first(desk: Desk, floor: Floor) -> None:
    one, two = submit(desk), submit(desk, "Rename b to c", body="long", scope=["docs"])
    desk.cancel(two.id)
    listed = desk.tasks([State.QUEUED, State.CANCELLED])
    assert [task.id for task in listed] == [one.id, two.id]
    kept = floor.store.task(two.id)
    assert task_view(listed[1], brief=True) == task_view(kept, brief=True)
    assert desk.tasks([State.MERGED]) == []


def test_one_task_is_shown_with_all_that_is_known(desk: Desk, floor: Floor) -> None:
    task = submit(desk, body="text")
    publish(floor, task.id)
    assert desk.task(task.id) == floor.store.task(task.id)


UNKNOWN: dict[str, Callable[[Desk], object]] = {
    "task": lambda desk: desk.task("T99"),
    "odd task": lambda desk: desk.task("../T1 ?%#/ü"),
    "empty": lambda desk: desk.task(""),
    "log": lambda desk: desk.log("T99"),
    "explain": lambda desk: desk.explain("T99"),
    "approve": lambda desk: desk.approve("T99"),
    "reject": lambda desk: desk.reject("T99", "no"),
    "retry": lambda desk: desk.retry("T99"),
    "cancel": lambda desk: desk.cancel("T99"),
    "dependency": lambda desk: submit(desk, depends_on=["T99"]),
    "repository": lambda desk: desk.submit("nowhere", [Submission(title="One")]),
    "its blueprints": lambda desk: desk.blueprints("nowhere"),
    "blueprint": lambda desk: desk.blueprint("web-1", "nonsense"),
    "halted task": lambda desk: desk.halt(Reach.TASK, "T99", "why"),
    "halt": lambda desk: desk.resume(["blueprint:docs"]),
}


@pytest.mark.parametrize("ask", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_does_not_exist_is_said_to_be_unknown(desk: Desk, ask: Callable[[Desk], object]) -> None:
    with pytest.raises(NotFoundError) as caught:
        ask(desk)
    assert caught.value.message
    assert caught.value.remedy


def test_a_decision_that_the_state_does_not_allow_is_refused(desk: Desk) -> None:
    task = submit(desk)
    with pytest.raises(TransitionError) as caught:
        desk.approve(task.id)
    assert (caught.value.exit_code, "From there it allows" in caught.value.remedy) == (1, True)


def test_an_error_has_the_same_words_either_way(desk: Desk, floor: Floor) -> None:
    with pytest.raises(ShopfloorError) as said:
        DirectDesk(floor, "ann").submit("web-1", [Submission(title="One", scope=("../up",))])
    with pytest.raises(type(said.value)) as caught:
        desk.submit("web-1", [Submission(title="One", scope=("../up",))])
    assert (caught.value.message, caught.value.remedy) == (said.value.message, said.value.remedy)


def test_an_approved_change_goes_on_the_train(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    publish(floor, task.id)
    assert desk.approve(task.id).state is State.MERGING
    [train] = desk.trains()
    assert (train.repository, train.target, train.waiting) == ("web-1", "main", (task.id,))
    assert [event.who for event in desk.events() if event.type == Cause.APPROVED] == ["ann"]


def test_a_rejected_change_goes_back_with_the_reviewers_words(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    publish(floor, task.id)
    back = desk.reject(task.id, "the name is wrong")
    assert back.feedback is not None
    assert (back.state, back.round, back.feedback.log) == (State.QUEUED, 2, "the name is wrong")


def test_an_escalated_task_can_be_retried(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    advance(floor.store, task, Cause.ESCALATED, State.ESCALATED)
    assert desk.retry(task.id).state is State.QUEUED


def test_a_cancelled_task_says_by_whom(desk: Desk) -> None:
    task = desk.cancel(submit(desk).id)
    assert task.reason is not None
    assert (task.state, task.reason.code, task.reason.text) == (
        State.CANCELLED,
        ReasonCode.CANCELLED,
        "cancelled by ann.",
    )


def test_events_go_on_behind_a_number(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    desk.cancel(task.id)
    both = desk.events()
    assert [event.type for event in both] == [Cause.SUBMITTED, Cause.CANCELLED]
    assert [event_view(each) for each in both] == [event_view(each) for each in floor.store.events()]
    assert desk.events(after=1) == both[1:]
    assert desk.events(limit=1) == both[:1]
    assert desk.events(after=2, wait=0.01) == []
    assert desk.last_seq() == 2


def test_a_log_goes_on_behind_a_position(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    for text in (b"one\n", "tw\u00f6\n".encode()[:3], "tw\u00f6\n".encode()[3:], b"\xff\n"):
        floor.store.append_log(task.id, LogChunk("", 1, 1, "edit", text))
    lines = desk.log(task.id)
    assert "".join(line.text for line in lines) == "one\ntw\u00f6\n\ufffd\n"
    assert {(line.attempt, line.round, line.step) for line in lines} == {(1, 1, "edit")}
    assert [line.text for line in desk.log(task.id, after=lines[-2].position)] == ["\ufffd\n"]
    assert desk.log(task.id, after=lines[-1].position, wait=0.01) == []


def test_an_explanation_says_what_holds_a_task(desk: Desk) -> None:
    task = submit(desk)
    desk.halt(Reach.BLUEPRINT, "rename", "it loops")
    explained = desk.explain(task.id)
    assert explained.reason.code is ReasonCode.HALT
    assert "it loops" in explained.reason.text
    assert explained.remedy


def test_a_halt_revokes_what_runs_and_is_in_force_until_lifted(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    running = run(floor, task.id)
    halt = desk.halt(Reach.FLEET, "", "fire")
    assert (halt.key, halt.who, halt.why) == ("fleet", "ann", "fire")
    assert desk.halts() == [halt]
    assert [host.halted for host in desk.hosts()] == [True]
    courier = floor.courier
    assert isinstance(courier, MemoryCourier)
    assert f"{task.id}.f{running.fence}.r1.edit" in courier.revoked
    assert desk.resume() == [halt]
    assert desk.halts() == []


def test_locks_say_who_holds_which_scope(desk: Desk, floor: Floor) -> None:
    task = submit(desk, scope=["src"])
    assert desk.locks() == []
    run(floor, task.id)
    [lock] = desk.locks()
    assert (lock.task, lock.repository, lock.title, lock.state) == (task.id, "web-1", task.title, "running")
    assert lock.scope == task.scope
    assert lock.since is not None
    assert lock.since.endswith("Z")


def test_hosts_say_what_runs_on_them(desk: Desk, floor: Floor) -> None:
    task = submit(desk)
    run(floor, task.id)
    [host] = desk.hosts()
    assert (host.name, host.slots, host.busy, host.tasks, host.halted) == ("h1", 2, 1, (task.id,), False)


def test_figures_count_the_fleet(desk: Desk) -> None:
    submit(desk)
    figures = desk.figures(window_hours=1)
    assert (figures.window_hours, figures.queue_depth, figures.slots, figures.merged) == (1, 1, 2, 0)
    assert figures.tasks[State.QUEUED] == 1


def test_the_catalog_is_the_target_branchs(desk: Desk) -> None:
    listed = {each.name: each for each in desk.blueprints("web-1")}
    assert listed["codemod"].source == "built in"
    own = listed["rename"]
    assert (own.source, own.steps, own.tier) == (".shopfloor/blueprints/rename.yaml", ("edit",), "human")
    assert desk.blueprint("web-1", "rename").match.labels == ("rename",)


def test_repositories_are_listed(desk: Desk, floor: Floor) -> None:
    assert desk.repositories() == floor.store.repositories()
