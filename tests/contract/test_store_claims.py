"""The store's contract: a claim is granted all or nothing, and never beside a scope that meets its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, Note, State
from orchestrator.store import Claim, Refusal, Wake
from tests.helpers.tasks import (
    BRIEF,
    LONG,
    WAY_HOME,
    advance,
    cancelled,
    claim,
    claim_of,
    make_event,
    make_halt,
    make_host,
    make_repository,
    make_task,
    noted,
    start,
    submit,
)
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.domain.task import Task
    from orchestrator.store import Store
    from orchestrator.stores.redis import RedisStore
    from orchestrator.stores.redis.keys import Keys

HOST = make_host(slots=100)


@pytest.fixture
def floor(store: Store) -> Store:
    """A store with two repositories and a roomy host."""
    return furnished(store)


def furnished(store: Store) -> Store:
    store.add_repository(make_repository("R1"))
    store.add_repository(make_repository("R2"))
    store.beat(HOST, [], LONG)
    return store


def held(store: Store) -> list[tuple[str, str]]:
    return [(holding.repository, holding.task) for holding in store.holdings()]


def test_a_granted_claim_takes_scope_slot_and_lease_and_tells_it(floor: Store) -> None:
    task = submit(floor, scope=("src/a.py", "docs"))
    asked = claim_of(task, HOST, floor.next_fence(), BRIEF)
    assert floor.claim(asked) is None
    assert floor.task("T1") == asked.commit.after
    (holding,) = floor.holdings()
    assert (holding.task, holding.repository, set(holding.scope.patterns)) == ("T1", "R1", {"src/a.py", "docs"})
    assert floor.busy() == {"h1": 1}
    (lease,) = eventually(floor.expired, "the lease that the claim gave")
    assert (lease.id, lease.fence) == ("T1", 1)
    assert [event.type for event in floor.events()] == ["submitted", "claimed"]


def test_a_repeated_claim_is_granted_and_tells_one_event(floor: Store) -> None:
    asked = claim_of(submit(floor), HOST, floor.next_fence())
    assert floor.claim(asked) is None
    assert floor.claim(asked) is None
    assert ([event.type for event in floor.events()], floor.busy()) == (["submitted", "claimed"], {"h1": 1})


@pytest.mark.parametrize("other", ["noted", "claimed", "cancelled"])
def test_a_claim_on_an_old_version_is_refused_as_moved(floor: Store, other: str) -> None:
    task = submit(floor)
    if other == "claimed":
        claim(floor, task, HOST)
    else:
        floor.commit(noted(task, Note.CONTENTION) if other == "noted" else cancelled(task))
    before = (floor.task("T1"), floor.last_seq(), floor.busy(), held(floor))
    assert claim(floor, task, HOST) is Refusal.MOVED
    assert (floor.task("T1"), floor.last_seq(), floor.busy(), held(floor)) == before


def test_a_claim_of_a_task_that_is_not_there_is_refused_as_moved(floor: Store) -> None:
    assert claim(floor, make_task(), HOST) is Refusal.MOVED


@pytest.mark.parametrize(
    ("reach", "name"),
    [
        (Reach.FLEET, ""),
        (Reach.REPOSITORY, "R1"),
        (Reach.BLUEPRINT, "codemod"),
        (Reach.HOST, "h1"),
        (Reach.TASK, "T1"),
    ],
)
def test_a_claim_under_a_halt_is_refused(floor: Store, reach: Reach, name: str) -> None:
    task = submit(floor)
    floor.add_halt(make_halt(reach, name), make_event("halted"))
    assert claim(floor, task, HOST) is Refusal.HALTED
    assert (floor.task("T1"), floor.busy(), held(floor)) == (task, {"h1": 0}, [])
    floor.lift_halts([], make_event("resumed"))
    assert claim(floor, task, HOST) is None


@pytest.mark.parametrize("reach", [Reach.REPOSITORY, Reach.BLUEPRINT, Reach.HOST, Reach.TASK])
def test_a_claim_elsewhere_is_not_stopped_by_a_narrow_halt(floor: Store, reach: Reach) -> None:
    floor.add_halt(make_halt(reach, "another"), make_event("halted"))
    start(floor, HOST)


def test_a_claim_for_a_host_that_is_not_on_the_list_is_refused(floor: Store) -> None:
    task = submit(floor)
    assert claim(floor, task, make_host("h9")) is Refusal.NO_HOST
    floor.remove_host("h1")
    assert claim(floor, task, HOST) is Refusal.NO_HOST


def test_a_claim_for_a_full_host_is_refused_until_a_slot_is_given_back(floor: Store) -> None:
    small = make_host("small", slots=1)
    floor.beat(small, [], LONG)
    first = start(floor, small)
    second = submit(floor, id="T2")
    assert claim(floor, second, small) is Refusal.NO_SLOT
    assert floor.busy() == {"h1": 0, "small": 1}
    advance(floor, first, Cause.PUBLISHED, State.REVIEW)
    assert claim(floor, second, small) is None


@pytest.mark.parametrize(
    ("cause", "target"),
    [
        (Cause.PUBLISHED, State.REVIEW),
        (Cause.LEASE_EXPIRED, State.QUEUED),
        (Cause.HALTED, State.QUEUED),
        (Cause.ESCALATED, State.ESCALATED),
        (Cause.CANCELLED, State.CANCELLED),
    ],
)
def test_slot_and_lease_are_given_back_whenever_a_task_leaves_running(
    floor: Store, cause: Cause, target: State
) -> None:
    running = start(floor, HOST, BRIEF)
    eventually(floor.expired, "a lease that has run out")
    advance(floor, running, cause, target, host=None)
    assert (floor.busy(), floor.expired()) == ({"h1": 0}, [])


def test_a_change_within_running_keeps_slot_and_lease(floor: Store) -> None:
    running = start(floor, HOST, BRIEF)
    floor.commit(noted(running, Note.STEP_STARTED))
    assert floor.busy() == {"h1": 1}
    assert eventually(floor.expired, "the lease that is still there")


DISJOINT = [
    (["src/*.py"], ["src/*.md"]),
    (["src/a*"], ["src/b*"]),
    (["src/a.py"], ["src/a.pyi"]),
    (["src/a"], ["src/ab"]),
    (["src/*/x"], ["src/*/y"]),
    (["*.md"], ["docs/a.md"]),
    (["a", "b/c"], ["b/d", "e"]),
    (["src/[ab].py"], ["src/[cd].py"]),
]
MEETING = [
    (["**"], ["deep/down/file.c"]),
    (["**"], ["**"]),
    (["src"], ["src/a/b.py"]),
    (["src/a"], ["src/*"]),
    (["src/**/*.py"], ["src/a/b"]),
    (["*.md"], ["**/README.md"]),
    (["a", "b/c"], ["d", "b"]),
    (["src/*.py"], ["src/m*"]),
    (["src/{a,b}/x"], ["src/b"]),
]


@pytest.mark.parametrize(("mine", "yours"), [*DISJOINT, *((yours, mine) for mine, yours in DISJOINT)])
def test_scopes_that_share_no_path_are_held_at_once(floor: Store, mine: list[str], yours: list[str]) -> None:
    start(floor, HOST, id="T1", scope=tuple(mine))
    start(floor, HOST, id="T2", scope=tuple(yours))
    assert held(floor) == [("R1", "T1"), ("R1", "T2")]


@pytest.mark.parametrize(("mine", "yours"), [*MEETING, *((yours, mine) for mine, yours in MEETING)])
def test_a_scope_that_shares_a_path_with_a_held_one_is_refused(floor: Store, mine: list[str], yours: list[str]) -> None:
    start(floor, HOST, id="T1", scope=tuple(mine))
    second = submit(floor, id="T2", scope=tuple(yours))
    assert claim(floor, second, HOST) is Refusal.SCOPE_BUSY
    assert (floor.task("T2"), floor.busy(), held(floor)) == (second, {"h1": 1}, [("R1", "T1")])


def test_the_same_scope_in_another_repository_is_free(floor: Store) -> None:
    start(floor, HOST, id="T1", scope=("**",))
    start(floor, HOST, id="T2", scope=("**",), repository="R2")
    assert held(floor) == [("R1", "T1"), ("R2", "T2")]


def test_many_scopes_at_one_node_are_each_compared(floor: Store) -> None:
    for number in range(1, 31):
        start(floor, HOST, id=f"T{number}", scope=(f"src/*.{number}x",))
    start(floor, HOST, id="T31", scope=("src/*.py",))
    assert claim(floor, submit(floor, id="T32", scope=("src/a.17x",)), HOST) is Refusal.SCOPE_BUSY
    assert claim(floor, submit(floor, id="T33", scope=("src/a.17y",)), HOST) is None


def requeued(store: Store, task: Task) -> Task:
    return advance(store, task, Cause.LEASE_EXPIRED, State.QUEUED, host=None)


def test_a_requeued_task_keeps_its_scope_and_may_claim_it_again(floor: Store) -> None:
    task = requeued(floor, start(floor, HOST, scope=("src",)))
    assert held(floor) == [("R1", "T1")]
    assert claim(floor, submit(floor, id="T2", scope=("src/a",)), HOST) is Refusal.SCOPE_BUSY
    assert claim(floor, task, HOST) is None
    assert (held(floor), floor.busy()) == ([("R1", "T1")], {"h1": 1})


def test_scopes_are_held_through_review_and_merging_until_landed(floor: Store) -> None:
    task = start(floor, HOST)
    for cause, target in WAY_HOME[:-1]:
        task = advance(floor, task, cause, target)
        assert held(floor) == [("R1", "T1")]
    advance(floor, task, Cause.LANDED, State.MERGED)
    assert floor.holdings() == []


@pytest.mark.parametrize("state", [State.RUNNING, State.REVIEW, State.MERGING])
@pytest.mark.parametrize("end", [Cause.ESCALATED, Cause.CANCELLED])
def test_scopes_are_released_when_a_task_is_given_up(floor: Store, state: State, end: Cause) -> None:
    task = start(floor, HOST, scope=("src", "docs/*.md"))
    for cause, target in WAY_HOME:
        if task.state is not state:
            task = advance(floor, task, cause, target)
    advance(floor, task, end, State(end))
    assert floor.holdings() == []
    start(floor, HOST, id="T2", scope=("**",))


def test_a_retried_task_claims_its_scope_anew(floor: Store) -> None:
    task = advance(floor, start(floor, HOST, scope=("src",)), Cause.ESCALATED, State.ESCALATED, host=None)
    other = start(floor, HOST, id="T2", scope=("src/a",))
    task = advance(floor, task, Cause.RETRIED, State.QUEUED)
    assert claim(floor, task, HOST) is Refusal.SCOPE_BUSY
    floor.commit(cancelled(other))
    assert claim(floor, task, HOST) is None


def test_a_refused_claim_stages_no_wake(floor: Store) -> None:
    start(floor, HOST)
    asked = claim_of(submit(floor, id="T2", scope=("**",)), HOST, floor.next_fence())
    wake = Wake("prepare", ("T2",), "host.h1", delay=0.001)
    commit = type(asked.commit)(asked.commit.before, asked.commit.after, asked.commit.event, (wake,))
    assert floor.claim(Claim(commit, HOST, LONG)) is Refusal.SCOPE_BUSY
    sentinel = Wake("later", (), "control", delay=0.002)
    floor.commit(noted(floor.task("T1"), Note.STARTED, sentinel))
    due = eventually(floor.due, "the wake that was staged")
    assert [each.name for each in due] == ["later"]


def ended(store: Store, task: Task) -> None:
    """Take a claimed task to its end, by another way for each."""
    way = int(task.id.strip("T")) % 5
    if way in (0, 1):  # from the queue, and by a second attempt
        task = requeued(store, task)
    if way == 1:
        assert claim(store, task, HOST) is None
        task = store.task(task.id)
    if way in (1, 2):
        for cause, target in WAY_HOME:
            task = advance(store, task, cause, target)
    elif way == 3:
        advance(store, task, Cause.ESCALATED, State.ESCALATED)
    else:
        store.commit(cancelled(task))


def test_redis_keeps_no_lock_of_tasks_that_have_ended(open_redis: Callable[[], RedisStore], keys: Keys) -> None:
    store = open_redis()
    store.ping()
    furnished(store)
    scopes = [("src/a/b/c.py", "src/a/d"), ("docs/*.md",), ("lib/**/x",), ("w", "v/[ab]"), ("*.toml", "e/f")]
    for number, scope in enumerate(scopes, start=1):
        start(store, HOST, id=f"T{number}", scope=scope, repository=f"R{number % 2 + 1}")
    for task in store.tasks([State.RUNNING]):
        ended(store, task)
    found = {key.decode() for key in store._redis.scan_iter(f"{keys.prefix}:*")}
    known = {keys.layout, keys.fences, keys.seq, keys.events, keys.hosts, keys.leases, keys.repositories}
    states = {keys.state(state) for state in (State.MERGED, State.ESCALATED, State.CANCELLED)}
    assert found == known | states | {keys.task(f"T{number}") for number in range(1, 6)}
