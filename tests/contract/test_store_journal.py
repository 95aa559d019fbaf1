"""The store's contract: events in order, logs, the outbox, and merge trains."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import Cause, Note, Reason, ReasonCode, State
from orchestrator.domain.train import Candidate, Train
from orchestrator.errors import StaleError
from orchestrator.store import Holder, Lease, LogChunk, Wake
from tests.helpers.tasks import (
    BRIEF,
    LONG,
    NOW,
    advance,
    cancelled,
    make_event,
    make_host,
    make_repository,
    make_task,
    moved,
    noted,
    submit,
    submitted,
)
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.store import Store

REPOSITORY = make_repository()
SOON = 0.01  # seconds


def candidate(fence: int) -> Candidate:
    return Candidate(task="T1", fence=fence, base="b" * 40, head="h" * 40, commit="c" * 40, built_at=NOW, asked_at=NOW)


def chunk(text: bytes, step: str = "test") -> LogChunk:
    return LogChunk("", 1, 2, step, text)


def later(act: Callable[[], object], beneath: Callable[[], object]) -> object:
    """What `beneath` gives when `act` happens, in another thread, while it may already be waiting."""
    actor = threading.Thread(target=act)
    actor.start()
    try:
        return beneath()
    finally:
        actor.join(10)


def test_events_are_numbered_from_one_in_the_order_of_their_commits(store: Store) -> None:
    task = submit(store, state=State.WAITING)
    task = advance(store, task, Cause.UNBLOCKED, State.QUEUED)
    store.commit(cancelled(task))
    events = store.events()
    assert [(event.seq, event.type, event.source, event.target) for event in events] == [
        (1, "submitted", None, State.WAITING),
        (2, "unblocked", State.WAITING, State.QUEUED),
        (3, "cancelled", State.QUEUED, State.CANCELLED),
    ]
    assert store.last_seq() == 3


def test_an_event_comes_back_as_it_was_written(store: Store) -> None:
    task = submit(store)
    event = make_event(
        Note.STEP_ENDED,
        task,
        fence=7,
        host="h1",
        repository="R1",
        who="ann",
        step="test",
        round=2,
        exit_code=0,
        reason=Reason(code=ReasonCode.CONFLICT, text="ü\n'"),
        text="🦊",
    )
    commit = noted(task, Note.STEP_ENDED)
    store.commit(type(commit)(commit.before, commit.after, event))
    assert store.events(after=1) == [event.model_copy(update={"seq": 2})]


def test_events_are_read_on_from_a_number_and_up_to_a_limit(store: Store) -> None:
    for number in range(1, 6):
        submit(store, id=f"T{number}")
    assert [event.seq for event in store.events(after=2)] == [3, 4, 5]
    assert [event.seq for event in store.events(after=1, limit=2)] == [2, 3]
    assert store.events(after=5) == []
    assert store.events(after=99) == []


def test_waiting_for_an_event_ends_when_one_comes(open_store: Callable[[], Store]) -> None:
    store = open_store()
    submit(store)
    found = later(lambda: submit(open_store(), id="T2"), lambda: store.events(after=1, wait=3.0))
    assert [event.task for event in found] == ["T2"]  # type: ignore[attr-defined]


def test_waiting_for_an_event_ends_in_time_where_none_comes(store: Store) -> None:
    assert store.events(wait=SOON) == []
    assert store.events(wait=0.0001) == []


def test_a_log_is_read_in_order_and_on_from_a_position(store: Store) -> None:
    texts = [b"one\n", b"\xff\x00\n", b"", "drei \N{FOX FACE}".encode()]
    for text in texts:
        store.append_log("T1", chunk(text))
    store.append_log("T2", chunk(b"another", step="lint"))
    found = store.log("T1")
    assert [(each.attempt, each.round, each.step, each.text) for each in found] == [(1, 2, "test", t) for t in texts]
    assert store.log("T1", after=found[1].position) == found[2:]
    assert store.log("T1", after=found[-1].position) == []
    assert [(each.step, each.text) for each in store.log("T2")] == [("lint", b"another")]


def test_waiting_for_a_log_ends_when_a_chunk_comes_or_in_time(open_store: Callable[[], Store]) -> None:
    store = open_store()
    assert store.log("T1", wait=SOON) == []
    found = later(lambda: open_store().append_log("T1", chunk(b"x")), lambda: store.log("T1", wait=3.0))
    assert [each.text for each in found] == [b"x"]  # type: ignore[attr-defined]


def test_a_delayed_wake_is_due_after_its_delay_and_until_confirmed(store: Store) -> None:
    wake = Wake("shopfloor.dispatch", ("T1", 3), "control", delay=BRIEF)
    far = Wake("shopfloor.dispatch", ("T1", 4), "control", delay=LONG)
    store.create([submitted(make_task(), wake, far)])
    due = eventually(store.due, "the delayed wake")
    assert [each.encode() for each in due] == [wake.encode()]
    assert (due[0].name, due[0].args, due[0].queue) == (wake.name, wake.args, wake.queue)
    assert store.due() == due
    store.confirm(due)
    assert store.due() == []


def test_a_wake_without_delay_is_left_to_its_author_for_a_while(store: Store) -> None:
    now, soon = Wake("now", (), "control"), Wake("soon", (), "control", delay=SOON)
    store.create([submitted(make_task(), now, soon)])
    assert [each.name for each in eventually(store.due, "the delayed wake")] == ["soon"]


def test_wakes_are_staged_by_every_kind_of_commit(store: Store) -> None:
    store.beat(make_host(), [], LONG)
    wakes = [Wake(name, (), "control", delay=SOON) for name in ("a", "b", "c", "d")]
    store.create([submitted(make_task(), wakes[0])])
    store.commit(noted(store.task("T1"), Note.CONTENTION, wakes[1]))
    store.commit(moved(store.task("T1"), Cause.CANCELLED, State.CANCELLED, wakes[2]))
    store.commit_train(store.train(REPOSITORY).noted(candidate(1)), wakes=[wakes[3]])
    eventually(lambda: len(store.due()) == len(wakes), "all four wakes")
    assert {each.name for each in store.due()} == {"a", "b", "c", "d"}


def test_of_equal_wakes_the_earliest_is_kept(store: Store) -> None:
    task = submit(store)
    first, again = (Wake("w", (1,), "control", delay=delay) for delay in (SOON, LONG))
    store.commit(noted(task, Note.CONTENTION, first))
    store.commit(noted(store.task("T1"), Note.CONTENTION, again))
    assert [each.encode() for each in eventually(store.due, "the earlier wake")] == [first.encode()]


def test_confirming_nothing_or_the_unknown_is_harmless(store: Store) -> None:
    store.confirm([])
    store.confirm([Wake("unknown", (), "control")])
    assert store.due() == []


def test_a_new_train_is_empty(store: Store) -> None:
    assert store.train(REPOSITORY) == Train(repository="R1", target="main")


def test_a_train_is_written_in_versions(store: Store) -> None:
    first = store.train(REPOSITORY).noted(candidate(5))
    store.commit_train(first, [make_event(Note.CANDIDATE_BUILT), make_event(Note.VERIFY_STARTED)])
    assert store.train(REPOSITORY) == first
    assert [event.type for event in store.events()] == ["candidate_built", "verify_started"]
    stale = store.train(make_repository()).model_copy(update={"version": 1, "blocked": None, "candidate": candidate(6)})
    with pytest.raises(StaleError, match="R1"):
        store.commit_train(stale, [make_event("lost")], [Wake("lost", (), "control", delay=0.001)])
    assert (store.train(REPOSITORY), store.last_seq(), store.due()) == (first, 2, [])


def test_a_repeated_commit_of_a_train_tells_nothing_again(store: Store) -> None:
    train = store.train(REPOSITORY).noted(candidate(1))
    store.commit_train(train, [make_event(Note.CANDIDATE_BUILT)])
    store.commit_train(train, [make_event(Note.CANDIDATE_BUILT)])
    assert store.last_seq() == 1


def test_trains_of_two_repositories_are_two(store: Store) -> None:
    other = make_repository("R2")
    store.commit_train(store.train(REPOSITORY).noted(candidate(1)))
    assert store.train(other).version == 0


def test_the_lease_of_a_candidate_runs_out_is_renewed_and_ends(store: Store) -> None:
    host = make_host()
    lease = Lease(Holder.TRAIN, "R1", 5)
    store.commit_train(store.train(REPOSITORY).noted(candidate(5)), lease_seconds=BRIEF)
    assert eventually(store.expired, "the candidate's lease") == [lease]
    assert store.beat(host, [lease, Lease(Holder.TRAIN, "R1", 4)], LONG).lost == {Lease(Holder.TRAIN, "R1", 4)}
    assert store.expired() == []
    store.commit_train(store.train(REPOSITORY).noted(None))
    assert store.beat(host, [lease], LONG).lost == {lease}
