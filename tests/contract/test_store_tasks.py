"""The store's contract: tasks are written whole, in versions, and never by two at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import Cause, Note, State
from orchestrator.errors import NotFoundError, StaleError
from orchestrator.store import Wake
from tests.helpers.tasks import (
    BRIEF,
    NOW,
    advance,
    cancelled,
    claim,
    make_host,
    make_repository,
    make_task,
    moved,
    noted,
    start,
    submit,
    submitted,
)
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from orchestrator.store import Store

OLD = Wake("old", ("T1",), "control", delay=0.001)


def types(store: Store) -> list[str]:
    return [event.type for event in store.events()]


def test_an_empty_store_answers_and_holds_nothing(store: Store) -> None:
    store.ping()
    seen = (store.repositories(), store.tasks(), store.holdings(), store.hosts(), store.busy(), store.expired())
    assert seen == ([], [], [], [], {}, [])
    assert (store.halts(), store.events(), store.last_seq(), store.due(), store.log("T1")) == ([], [], 0, [], [])
    assert store.dependents("T1") == []


def test_a_repository_is_added_and_then_updated(store: Store) -> None:
    store.add_repository(make_repository("R2"))
    store.add_repository(make_repository("R1"))
    store.add_repository(make_repository("R2", target="trunk"))
    assert store.repositories() == [make_repository("R1"), make_repository("R2", target="trunk")]
    assert store.repository("R2").target == "trunk"


def test_an_unknown_repository_is_answered_with_the_known_ones(store: Store) -> None:
    store.add_repository(make_repository("R1"))
    with pytest.raises(NotFoundError, match=r"R9.*R1"):
        store.repository("R9")


def test_a_blueprint_is_kept_under_its_digest(store: Store) -> None:
    store.keep_blueprint("d1", '{"name": "käse"}')
    assert store.blueprint("d1") == '{"name": "käse"}'
    with pytest.raises(NotFoundError, match="d2"):
        store.blueprint("d2")


def test_ids_and_fences_are_never_given_twice(store: Store) -> None:
    ids = [*store.next_ids(2), *store.next_ids(0), *store.next_ids(3)]
    assert ids == ["T1", "T2", "T3", "T4", "T5"]
    assert store.next_fence() < store.next_fence()


def test_a_task_comes_back_as_it_was_written(store: Store) -> None:
    task = submit(store, title='a "b"\n$(c) {{ d }} 🦊', body="x" * 10_000, labels=("ü",), batch="B1")
    assert store.task("T1") == task


def test_an_unknown_task_is_an_error_that_names_it(store: Store) -> None:
    with pytest.raises(NotFoundError, match="T404"):
        store.task("T404")


def test_tasks_are_listed_by_state_oldest_first(store: Store) -> None:
    submit(store, id="T10")
    submit(store, id="T9")
    submit(store, id="T3", state=State.WAITING)
    submit(store, id="T11", created_at=NOW)
    submit(store, id="T2", created_at=NOW)
    assert [task.id for task in store.tasks()] == ["T2", "T11", "T3", "T9", "T10"]
    assert [task.id for task in store.tasks([State.QUEUED])] == ["T2", "T11", "T9", "T10"]
    assert [task.id for task in store.tasks([State.WAITING, State.MERGED])] == ["T3"]


def test_a_task_that_moves_is_listed_in_its_new_state_only(store: Store) -> None:
    task = submit(store, state=State.WAITING)
    after = advance(store, task, Cause.UNBLOCKED, State.QUEUED)
    assert store.tasks([State.WAITING]) == []
    assert store.tasks([State.QUEUED]) == [after] == store.tasks()


def test_new_tasks_are_written_with_their_events_and_dependencies(store: Store) -> None:
    tasks = [
        make_task(id="T1"),
        make_task(id="T10", depends_on=("T1",), state=State.WAITING),
        make_task(id="T9", depends_on=("T1", "T10"), state=State.WAITING),
    ]
    store.create([submitted(task) for task in tasks])
    assert {task.id for task in store.tasks()} == {"T1", "T9", "T10"}
    assert [event.task for event in store.events()] == ["T1", "T10", "T9"]
    assert store.dependents("T1") == ["T9", "T10"]
    assert store.dependents("T10") == ["T9"]
    assert store.dependents("T9") == []


def test_creating_nothing_writes_nothing(store: Store) -> None:
    store.create([])
    assert (store.tasks(), store.last_seq()) == ([], 0)


@pytest.mark.parametrize("order", [("T1", "T2"), ("T2", "T1")])
def test_new_tasks_are_written_all_or_none(store: Store, order: tuple[str, str]) -> None:
    before = submit(store, id="T2")
    wake = Wake("w", (), "control", delay=0.001)
    others = [make_task(id=ident, title="another", depends_on=("T7",)) for ident in order]
    with pytest.raises(StaleError, match="T2"):
        store.create([submitted(task, wake) for task in others])
    assert store.tasks() == [before]
    assert (store.last_seq(), store.dependents("T7")) == (1, [])
    store.commit(cancelled(before))
    assert store.due() == []


def test_a_repeat_of_a_creation_is_granted_and_tells_nothing_again(store: Store) -> None:
    commits = [submitted(make_task(id="T1")), submitted(make_task(id="T2", depends_on=("T1",)))]
    store.create(commits)
    store.create(commits)
    assert (len(store.tasks()), types(store)) == (2, ["submitted", "submitted"])


def test_a_part_of_a_creation_cannot_be_repeated_with_something_new(store: Store) -> None:
    store.create([submitted(make_task(id="T1"))])
    with pytest.raises(StaleError):
        store.create([submitted(make_task(id="T1")), submitted(make_task(id="T2"))])
    assert [task.id for task in store.tasks()] == ["T1"]


def test_a_commit_writes_the_next_version_and_its_event(store: Store) -> None:
    task = submit(store)
    commit = noted(task, Note.STARTED, title="renamed")
    store.commit(commit)
    assert store.task("T1") == commit.after
    assert store.task("T1").version == 2
    assert types(store) == ["submitted", "started"]


def test_a_commit_on_an_old_version_is_refused_and_writes_nothing(store: Store) -> None:
    task = submit(store)
    store.commit(noted(task, Note.STARTED, title="first"))
    with pytest.raises(StaleError, match="T1"):
        store.commit(noted(task, Note.STARTED, OLD, title="second"))
    with pytest.raises(StaleError):
        store.commit(replace(cancelled(task), wakes=(OLD,)))
    assert store.task("T1").title == "first"
    assert (types(store), store.tasks([State.CANCELLED])) == (["submitted", "started"], [])
    assert OLD.encode() not in [wake.encode() for wake in store.due()]


def test_a_commit_on_a_version_that_does_not_exist_yet_is_refused(store: Store) -> None:
    task = submit(store)
    with pytest.raises(StaleError):
        store.commit(noted(task.noted(), Note.STARTED))


def test_a_commit_to_a_task_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(StaleError):
        store.commit(cancelled(make_task()))
    assert (store.tasks(), store.last_seq()) == ([], 0)


def test_a_repeat_of_a_commit_is_granted_and_tells_one_event(store: Store) -> None:
    commit = cancelled(submit(store))
    store.commit(commit)
    store.commit(commit)
    assert types(store) == ["submitted", "cancelled"]


def test_the_same_version_with_other_content_is_no_repeat(store: Store) -> None:
    task = submit(store)
    store.commit(noted(task, Note.STARTED, title="mine"))
    with pytest.raises(StaleError):
        store.commit(noted(task, Note.STARTED, title="yours"))


def test_events_tell_the_move_its_fence_and_its_host(store: Store) -> None:
    store.beat(make_host(), [], 60)
    start(store, make_host())
    event = store.events()[-1]
    assert (event.task, event.type, event.source, event.target) == ("T1", "claimed", State.QUEUED, State.RUNNING)
    assert (event.fence, event.host) == (1, "h1")


def test_a_reaper_is_refused_while_the_lease_lives(store: Store) -> None:
    host = make_host()
    store.beat(host, [], 60)
    running = start(store, host)
    with pytest.raises(StaleError):
        store.commit(moved(running, Cause.LEASE_EXPIRED, State.QUEUED, expired_only=True, host=None))
    assert store.task("T1") == running


def test_a_reaper_takes_a_task_whose_lease_has_run_out(store: Store) -> None:
    host = make_host()
    store.beat(host, [], 60)
    running = start(store, host, BRIEF)
    eventually(store.expired, "a lease that has run out")
    store.commit(moved(running, Cause.LEASE_EXPIRED, State.QUEUED, expired_only=True, host=None))
    assert (store.task("T1").state, store.expired(), store.busy()) == (State.QUEUED, [], {"h1": 0})
    assert claim(store, store.task("T1"), host) is None
