"""The same random operations on both adapters: all that can be seen is the same at every step."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import TRANSITIONS, Note, State
from orchestrator.errors import ShopfloorError
from orchestrator.store import Wake
from orchestrator.stores.memory import MemoryStore
from orchestrator.stores.redis import RedisStore
from orchestrator.stores.redis.keys import Keys
from tests.helpers.tasks import (
    LONG,
    claim_of,
    lease_of,
    make_event,
    make_halt,
    make_host,
    make_repository,
    make_task,
    moved,
    noted,
    submitted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.domain.task import Task
    from orchestrator.store import Commit, Store
    from tests.helpers.servers import RedisServer

REPOSITORIES = ("R1", "R2")
HOSTS = {"h1": 1, "h2": 3}
SCOPES = (
    ("**",),
    ("src",),
    ("src/*.py",),
    ("src/*.md",),
    ("src/a/x.py",),
    ("docs/a.md", "src/a"),
    ("*.md",),
    ("docs/*", "lib/**/x"),
)
HALTS = ((Reach.FLEET, ""), (Reach.REPOSITORY, "R1"), (Reach.HOST, "h1"), (Reach.TASK, "T1"))
WAKES = (Wake("dispatch", (), "control"), Wake("prepare", ("T1", 1), "host.h1", delay=LONG))

NUMBERS = st.integers(min_value=0, max_value=50)
REPOSITORY = st.sampled_from(REPOSITORIES)
SCOPE = st.sampled_from(SCOPES)
HOST = st.sampled_from(sorted(HOSTS))
HALT = st.sampled_from(HALTS)
LEAVING = [row for row in TRANSITIONS if row.source is not None and row.target is not State.RUNNING]


class BothStores(RuleBasedStateMachine):
    """Drives the model (memory) and the real one (Redis) side by side."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.redis = RedisStore(self.server.url, Keys(prefix=f"model-{uuid.uuid4()}"))
        self.stores: tuple[Store, Store] = (MemoryStore(), self.redis)
        self.former: list[Task] = []
        for store in self.stores:
            for ident in REPOSITORIES:
                store.add_repository(make_repository(ident))

    def teardown(self) -> None:
        self.redis.close()

    def both(self, act: Callable[[Store], Any]) -> Any:  # noqa: ANN401 - whatever the two agree on
        """Act on both and compare what they answer; an error of the product is an answer, too."""
        memory, real = (self.answer(store, act) for store in self.stores)
        assert memory == real
        return memory

    @staticmethod
    def answer(store: Store, act: Callable[[Store], Any]) -> Any:  # noqa: ANN401 - as above
        try:
            return act(store)
        except ShopfloorError as error:
            return type(error)

    def commit(self, commit: Commit) -> None:
        if commit.before is not None:
            self.former.append(commit.before)
        self.both(lambda store: store.commit(commit))

    def some(self, number: int) -> Task | None:
        """One of the tasks; now and then in a version that it had before."""
        tasks = self.stores[0].tasks()
        if self.former and number % 10 == 0:
            return self.former[number % len(self.former)]
        return tasks[number % len(tasks)] if tasks else None

    @rule(rows=st.lists(st.tuples(REPOSITORY, SCOPE), min_size=1, max_size=3), wake=st.sampled_from(WAKES))
    def create(self, rows: list[tuple[str, tuple[str, ...]]], wake: Wake) -> None:
        ids = self.both(lambda store: store.next_ids(len(rows)))
        commits = [
            submitted(make_task(id=ident, repository=where, scope=scope, depends_on=("T1",)), wake)
            for ident, (where, scope) in zip(ids, rows, strict=True)
        ]
        self.both(lambda store: store.create(commits))

    @rule(number=NUMBERS)
    def create_again(self, number: int) -> None:
        task = self.some(number)
        if task is not None:
            fresh = make_task(id="T999", scope=task.scope)
            self.both(lambda store: store.create([submitted(fresh), submitted(task)]))

    @rule(name=HOST, fences=st.booleans())
    def beat(self, name: str, fences: bool) -> None:  # noqa: FBT001 - drawn, not called
        running = [task for task in self.stores[0].tasks([State.RUNNING]) if task.host == name]
        leases = [lease_of(task if fences else task.noted(fence=0)) for task in running]
        self.both(lambda store: store.beat(make_host(name, HOSTS[name]), leases, LONG))

    @rule(name=HOST)
    def strike_off(self, name: str) -> None:
        self.both(lambda store: store.remove_host(name))

    @rule(number=NUMBERS, name=HOST)
    def claim(self, number: int, name: str) -> None:
        task = self.some(number)
        fence = self.both(lambda store: store.next_fence())
        if task is None or task.state is not State.QUEUED:
            return
        self.former.append(task)
        claim = claim_of(task, make_host(name, HOSTS[name]), fence, LONG)
        self.both(lambda store: store.claim(claim))

    @rule(number=NUMBERS, way=st.sampled_from(LEAVING), expired_only=st.booleans(), repeat=st.booleans())
    def move(self, number: int, way: Any, expired_only: bool, repeat: bool) -> None:  # noqa: ANN401, FBT001 - drawn, not called
        task = self.some(number)
        if task is None or task.state is not way.source:
            return
        host = None if way.target is State.QUEUED else task.host
        commit = moved(task, way.cause, way.target, WAKES[0], expired_only=expired_only, host=host)
        self.commit(commit)
        if repeat:
            self.commit(commit)

    @rule(number=NUMBERS)
    def note(self, number: int) -> None:
        task = self.some(number)
        if task is not None:
            self.commit(noted(task, Note.CONTENTION, title=f"{task.title}!"))

    @rule(halt=HALT)
    def stop(self, halt: tuple[Reach, str]) -> None:
        self.both(lambda store: store.add_halt(make_halt(*halt), make_event("halted")))

    @rule(halt=st.none() | HALT)
    def resume(self, halt: tuple[Reach, str] | None) -> None:
        keys = [make_halt(*halt).key] if halt else []
        self.both(lambda store: store.lift_halts(keys, make_event("resumed")))

    @rule(name=st.sampled_from(["merge", "dispatch"]), token=st.sampled_from("ab"), give=st.booleans())
    def take_or_give(self, name: str, token: str, give: bool) -> None:  # noqa: FBT001 - drawn, not called
        self.both(lambda store: store.release(name, token) if give else store.acquire(name, token, LONG))

    @rule(ident=REPOSITORY, skip=st.integers(min_value=0, max_value=1))
    def drive(self, ident: str, skip: int) -> None:
        train = self.both(lambda store: store.train(make_repository(ident))).noted(None)
        written = train.model_copy(update={"version": train.version + skip})
        self.both(lambda store: store.commit_train(written, [make_event("driven")], WAKES, LONG))

    @invariant()
    def tasks_are_the_same(self) -> None:
        self.both(lambda store: (store.tasks(), [store.tasks([state]) for state in State]))

    @invariant()
    def what_is_held_is_the_same(self) -> None:
        self.both(lambda store: (store.holdings(), store.busy(), store.hosts(), store.halts(), store.expired()))

    @invariant()
    def what_was_told_is_the_same(self) -> None:
        self.both(lambda store: (store.events(), store.last_seq(), store.due(), store.dependents("T1")))

    @invariant()
    def held_scopes_never_meet(self) -> None:
        held = self.stores[0].holdings()
        for place, one in enumerate(held):
            for other in held[:place]:
                assert one.repository != other.repository or not one.scope.meets(other.scope)


def test_both_adapters_do_the_same_in_every_order(redis_server: RedisServer) -> None:
    """A run writes under a prefix of its own, so that shrinking never meets the leftovers of another run."""
    machine = type("BothStoresOnOneServer", (BothStores,), {"server": redis_server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
