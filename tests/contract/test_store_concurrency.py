"""The store's contract, with many at once: scopes never overlap, and each version has one author."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

from orchestrator.domain.task import Cause, Note, State
from orchestrator.errors import StaleError
from orchestrator.store import Refusal
from tests.helpers.tasks import LONG, advance, cancelled, claim, claim_of, make_host, make_repository, noted, submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.domain.task import Task
    from orchestrator.store import Store

T = TypeVar("T")

THREADS = 4
SCOPES = [
    ("**",),
    ("src",),
    ("src/*.py",),
    ("src/*.md",),
    ("src/a/**/*.py",),
    ("src/a/b",),
    ("docs/*.md", "src/a/b/c.py"),
    ("*.md",),
]


def at_once(open_store: Callable[[], Store], act: Callable[[Store, int], T]) -> list[T]:
    """Let each thread act on a connection of its own, all let go at the same moment."""
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> T:
        store = open_store()
        store.ping()
        barrier.wait(10)
        return act(store, number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_scopes_that_meet_are_never_held_at_once(open_store: Callable[[], Store]) -> None:
    store, host = open_store(), make_host(slots=100)
    store.add_repository(make_repository())
    store.beat(host, [], LONG)
    for number, scope in enumerate(SCOPES * 2, start=1):
        submit(store, id=f"T{number}", scope=scope)

    def work(mine: Store, number: int) -> int:
        """Claim whatever can be had, look who else holds something, give up the own task; then the next."""
        granted = 0
        for turn in range(len(SCOPES) * 2):
            task = mine.task(f"T{(turn * 5 + number * 3) % (len(SCOPES) * 2) + 1}")
            if task.state is not State.QUEUED or claim(mine, task, host) is not None:
                continue
            granted += 1
            held = mine.holdings()
            assert task.id in {holding.task for holding in held}
            for one, other in combinations(held, 2):
                assert not one.scope.meets(other.scope), f"{one} and {other} at once"
            mine.commit(cancelled(mine.task(task.id)))
        return granted

    granted = at_once(open_store, work)
    assert sum(granted) == len(store.tasks([State.CANCELLED])) > 0
    assert (store.holdings(), store.busy()) == ([], {"h1": 0})


def test_one_task_is_claimed_once(open_store: Callable[[], Store]) -> None:
    store, host = open_store(), make_host()
    store.add_repository(make_repository())
    store.beat(host, [], LONG)
    task = submit(store)
    answers = at_once(open_store, lambda mine, _: mine.claim(claim_of(task, host, mine.next_fence())))
    assert answers.count(None) == 1
    assert set(answers) == {None, Refusal.MOVED}
    assert [event.type for event in store.events()] == ["submitted", "claimed"]


def test_slots_are_never_given_beyond_their_number(open_store: Callable[[], Store]) -> None:
    store, host = open_store(), make_host(slots=3)
    store.add_repository(make_repository())
    store.beat(host, [], LONG)
    tasks = [submit(store, id=f"T{number}") for number in range(1, THREADS * 3 + 1)]

    def work(mine: Store, number: int) -> list[Refusal | None]:
        return [claim(mine, task, host) for task in tasks[number::THREADS]]

    answers = [answer for row in at_once(open_store, work) for answer in row]
    assert (answers.count(None), set(answers)) == (3, {None, Refusal.NO_SLOT})
    assert store.busy() == {"h1": 3}


def test_each_version_has_exactly_one_author(open_store: Callable[[], Store]) -> None:
    store, rounds = open_store(), 20
    submit(store)

    def work(mine: Store, number: int) -> list[int]:
        won = []
        while (task := mine.task("T1")).version <= rounds:
            commit = noted(task, Note.CONTENTION, title=f"{number} wrote {task.version + 1}")
            try:
                mine.commit(commit)
            except StaleError:
                continue
            won.append(commit.after.version)
        return won

    won = sorted(version for row in at_once(open_store, work) for version in row)
    assert won == list(range(2, rounds + 2))
    assert [event.seq for event in store.events()] == list(range(1, rounds + 2))


def test_only_one_of_many_reapers_wins(open_store: Callable[[], Store]) -> None:
    store, host = open_store(), make_host()
    store.add_repository(make_repository())
    store.beat(host, [], LONG)
    assert claim(store, submit(store), host) is None
    running: Task = store.task("T1")

    def reap(mine: Store, number: int) -> bool:
        try:
            advance(mine, running, Cause.LEASE_EXPIRED, State.QUEUED, host=None, title=f"by {number}")
        except StaleError:
            return False
        return True

    assert at_once(open_store, reap).count(True) == 1


def test_ids_fences_and_rights_are_given_once(open_store: Callable[[], Store]) -> None:
    def work(mine: Store, number: int) -> tuple[list[str], list[int], bool]:
        ids = [each for _ in range(10) for each in mine.next_ids(3)]
        return ids, [mine.next_fence() for _ in range(10)], mine.acquire("merge", f"holder {number}", LONG)

    rows = at_once(open_store, work)
    assert len({ident for ids, _, _ in rows for ident in ids}) == THREADS * 30
    assert sorted(fence for _, fences, _ in rows for fence in fences) == list(range(1, THREADS * 10 + 1))
    assert [right for _, _, right in rows].count(True) == 1


def test_a_listing_shows_every_task_once_while_tasks_move(open_store: Callable[[], Store]) -> None:
    store = open_store()
    for number in range(1, 11):
        submit(store, id=f"T{number}", state=State.WAITING)
    ended = threading.Event()

    def work(mine: Store, number: int) -> None:
        if number == 0:
            for task in mine.tasks():
                advance(mine, task, Cause.UNBLOCKED, State.QUEUED)
            ended.set()
        while not ended.is_set():
            seen = [task.id for task in mine.tasks()]
            assert seen == [f"T{each}" for each in range(1, 11)]

    at_once(open_store, work)
