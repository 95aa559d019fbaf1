"""The store's contract: hosts and their leases, halts, nudges, and named rights."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, State
from orchestrator.store import Holder, Lease, Refusal
from tests.helpers.tasks import (
    BRIEF,
    LONG,
    advance,
    claim,
    lease_of,
    make_event,
    make_halt,
    make_host,
    make_repository,
    start,
    submit,
)
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.store import Store
    from orchestrator.stores.redis import RedisStore
    from orchestrator.stores.redis.keys import Keys

HOST = make_host()


def test_a_host_is_on_the_list_from_its_first_beat_until_it_is_struck_off(store: Store) -> None:
    store.beat(make_host("h2", slots=1), [], LONG)
    store.beat(HOST, [], LONG)
    store.beat(make_host("h2", slots=7, capabilities=("gpu",)), [], LONG)
    assert store.hosts() == [HOST, make_host("h2", slots=7, capabilities=("gpu",))]
    assert store.busy() == {"h1": 0, "h2": 0}
    store.remove_host("h2")
    store.remove_host("never-there")
    assert store.hosts() == [HOST]


def test_a_host_that_no_longer_beats_is_told_by_the_clock_of_the_store_alone(store: Store) -> None:
    store.beat(make_host("h2"), [], LONG)
    store.beat(HOST, [], BRIEF)
    assert eventually(store.expired, "the silent host") == [Lease(Holder.HOST, "h1", 0)]
    store.beat(HOST, [], LONG)
    assert store.expired() == []
    store.beat(HOST, [], BRIEF)
    store.remove_host("h1")
    assert store.expired() == []


def test_a_host_that_comes_back_still_has_its_slots_taken(store: Store) -> None:
    store.beat(HOST, [], LONG)
    start(store, HOST)
    store.remove_host("h1")
    assert store.busy() == {}
    store.beat(HOST, [], LONG)
    assert store.busy() == {"h1": 1}


def test_a_beat_renews_the_leases_of_the_right_fence(store: Store) -> None:
    store.beat(HOST, [], LONG)
    task = start(store, HOST, BRIEF)
    (late,) = eventually(store.expired, "a lease that has run out")
    assert late == lease_of(task)
    assert store.beat(HOST, [late], LONG).lost == frozenset()
    assert store.expired() == []


def test_a_beat_is_told_the_leases_that_are_lost_and_does_not_renew_them(store: Store) -> None:
    store.beat(HOST, [], LONG)
    start(store, HOST, BRIEF, id="T1")
    alive = lease_of(start(store, HOST, id="T2"))
    ended = start(store, HOST, id="T3")
    advance(store, ended, Cause.PUBLISHED, State.REVIEW)
    eventually(store.expired, "a lease that has run out")
    wrong = [Lease(Holder.TASK, "T1", 99), lease_of(ended), Lease(Holder.TASK, "T404", 1), Lease(Holder.TRAIN, "R1", 1)]
    assert store.beat(HOST, [wrong[0], alive, *wrong[1:]], LONG).lost == frozenset(wrong)
    assert [lease.id for lease in store.expired()] == ["T1"]


def test_the_fence_of_a_former_attempt_is_lost(store: Store) -> None:
    store.beat(HOST, [], LONG)
    former = start(store, HOST)
    queued = advance(store, former, Cause.LEASE_EXPIRED, State.QUEUED, host=None)
    assert claim(store, queued, HOST) is None
    present = lease_of(store.task("T1"))
    assert present.fence > lease_of(former).fence
    assert store.beat(HOST, [lease_of(former), present], LONG).lost == frozenset({lease_of(former)})


def test_a_lease_that_lives_is_not_expired(store: Store) -> None:
    store.beat(HOST, [], LONG)
    start(store, HOST, LONG, id="T1")
    start(store, HOST, BRIEF, id="T2")
    assert [lease.id for lease in eventually(store.expired, "the short lease")] == ["T2"]


def test_halts_are_numbered_in_order_and_told(store: Store) -> None:
    whole = store.add_halt(make_halt(), make_event("halted", who="ann", text="why"))
    narrow = store.add_halt(make_halt(Reach.BLUEPRINT, "docs"), make_event("halted"))
    assert (whole.epoch, narrow.epoch) == (1, 2)
    assert store.halts() == [narrow, whole]
    assert store.beat(HOST, [], LONG).halts == (narrow, whole)
    assert [(event.type, event.who, event.text) for event in store.events()] == [
        ("halted", "ann", "why"),
        ("halted", None, None),
    ]


def test_a_halt_of_the_same_reach_and_name_replaces_the_former(store: Store) -> None:
    store.add_halt(make_halt(Reach.TASK, "T1"), make_event("halted"))
    later = store.add_halt(make_halt(Reach.TASK, "T1"), make_event("halted"))
    assert store.halts() == [later]


def test_halts_are_lifted_by_key_or_all_at_once(store: Store) -> None:
    whole = store.add_halt(make_halt(), make_event("halted"))
    docs, host = (
        store.add_halt(make_halt(reach, name), make_event("halted"))
        for reach, name in ((Reach.BLUEPRINT, "docs"), (Reach.HOST, "h1"))
    )
    assert store.lift_halts([host.key, "task:T404"], make_event("resumed")) == [host]
    assert store.halts() == [docs, whole]
    assert store.lift_halts([], make_event("resumed")) == [docs, whole]
    assert (store.halts(), [event.type for event in store.events()][3:]) == ([], ["resumed", "resumed"])


def test_lifting_nothing_tells_nothing(store: Store) -> None:
    assert store.lift_halts([], make_event("resumed")) == []
    assert store.lift_halts(["fleet"], make_event("resumed")) == []
    assert store.last_seq() == 0


@pytest.mark.parametrize(
    ("field", "reach", "name"),
    [
        ("fleet", Reach.FLEET, ""),
        ("repository:R1", Reach.REPOSITORY, "R1"),
        ("blueprint:codemod", Reach.BLUEPRINT, "codemod"),
        ("host:h1", Reach.HOST, "h1"),
        ("task:T1", Reach.TASK, "T1"),
        ("everything", Reach.FLEET, ""),
        ("host", Reach.FLEET, ""),
        ("host:", Reach.FLEET, ""),
        ("Task:T9", Reach.FLEET, ""),
        ("", Reach.FLEET, ""),
    ],
)
@pytest.mark.parametrize("text", ["stop now!", "", "{}", b"\xff"])
def test_a_halt_set_by_hand_with_any_text_is_in_force(
    open_redis: Callable[[], RedisStore], keys: Keys, field: str, reach: Reach, name: str, text: str | bytes
) -> None:
    store = open_redis()
    store.add_repository(make_repository())
    store.beat(HOST, [], LONG)
    task = submit(store)
    store._redis.hset(keys.halts, field, text)
    (halt,) = store.halts()
    assert (halt.reach, halt.name, halt.stops(task, "h1")) == (reach, name, True)
    assert halt.why
    assert [each.key for each in store.beat(HOST, [], LONG).halts] == [halt.key]
    assert claim(store, task, HOST) is Refusal.HALTED
    (lifted,) = store.lift_halts([], make_event("resumed"))
    assert (lifted.reach, lifted.name) == (reach, name)
    assert claim(store, task, HOST) is None


def test_a_halt_set_by_hand_with_a_field_that_is_no_text_is_in_force(
    open_redis: Callable[[], RedisStore], keys: Keys
) -> None:
    store = open_redis()
    store._redis.hset(keys.halts, b"\xff\xfe", "stop")
    assert [halt.reach for halt in store.halts()] == [Reach.FLEET]


def test_the_first_nudge_says_that_one_listens_and_silence_ends_in_time(store: Store) -> None:
    nudges = store.nudges(0.01)
    next(nudges)
    next(nudges)


@pytest.mark.parametrize("cause", ["nudge", "halt", "resume"])
def test_a_nudge_wakes_every_listener(open_store: Callable[[], Store], cause: str) -> None:
    store = open_store()
    if cause == "resume":
        store.add_halt(make_halt(), make_event("halted"))
    listening, woken = threading.Semaphore(0), threading.Semaphore(0)

    def listen() -> None:
        nudges = open_store().nudges(60.0)
        next(nudges)
        listening.release()
        next(nudges)
        woken.release()

    listeners = [threading.Thread(target=listen, daemon=True) for _ in range(2)]
    for listener in listeners:
        listener.start()
    assert all(listening.acquire(timeout=10) for _ in listeners)
    match cause:
        case "nudge":
            store.nudge()
        case "halt":
            store.add_halt(make_halt(), make_event("halted"))
        case _:
            store.lift_halts([], make_event("resumed"))
    assert all(woken.acquire(timeout=10) for _ in listeners)
    for listener in listeners:
        listener.join(10)


def test_a_right_has_one_holder_at_a_time(store: Store) -> None:
    assert store.acquire("merge", "a", LONG)
    assert store.acquire("merge", "a", LONG)
    assert not store.acquire("merge", "b", LONG)
    assert store.acquire("dispatch", "b", LONG)
    assert store.release("merge", "a")
    assert store.acquire("merge", "b", LONG)


def test_giving_a_right_back_tells_whether_somebody_was_refused(store: Store) -> None:
    store.acquire("merge", "a", LONG)
    assert not store.release("merge", "a")
    store.acquire("merge", "a", LONG)
    store.acquire("merge", "b", LONG)
    assert store.release("merge", "a")
    store.acquire("merge", "a", LONG)
    assert not store.release("merge", "a")


def test_the_mark_of_a_refusal_outlives_a_renewal(store: Store) -> None:
    store.acquire("merge", "a", LONG)
    store.acquire("merge", "b", LONG)
    store.acquire("merge", "a", LONG)
    assert store.release("merge", "a")


def test_a_right_of_another_cannot_be_given_back(store: Store) -> None:
    store.acquire("merge", "a", LONG)
    assert not store.release("merge", "b")
    assert not store.release("never-taken", "b")
    assert not store.acquire("merge", "b", LONG)


def test_a_right_runs_out_and_a_refusal_does_not_prolong_it(store: Store) -> None:
    store.acquire("merge", "a", BRIEF)
    eventually(lambda: store.acquire("merge", "b", LONG), "a right that has run out")
    assert not store.release("merge", "a")
    assert not store.release("merge", "b")


def test_a_renewal_prolongs_a_right(store: Store) -> None:
    store.acquire("merge", "a", BRIEF)
    store.acquire("merge", "a", LONG)
    store.acquire("probe", "a", BRIEF)
    eventually(lambda: store.acquire("probe", "b", LONG), "a right that has run out")
    assert not store.acquire("merge", "b", LONG)
