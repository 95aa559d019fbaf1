"""The store in one process's memory: the model that the Redis store is held against, and quick tests run on."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.domain.fleet import Holding, Host
from orchestrator.domain.halt import Halt, halt_of
from orchestrator.domain.scope import Scope
from orchestrator.domain.task import Event, State, Task, holds_scope, holds_slot
from orchestrator.domain.train import Train
from orchestrator.errors import NotFoundError, StaleError
from orchestrator.store import HOST_LEASES, Beat, Commit, Holder, Lease, LogChunk, Refusal, Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.domain.repository import Repository
    from orchestrator.store import Claim

_GRACE = 30.0  # seconds


class MemoryStore:
    """`Store` without a server: see `orchestrator.store` for the contract.

    Args:
        clock: Seconds, growing; what leases, rights and the outbox are measured by.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._tasks: dict[str, Task] = {}
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._repositories: dict[str, Repository] = {}
        self._blueprints: dict[str, str] = {}
        self._hosts: dict[str, Host] = {}
        self._slots: dict[str, set[str]] = defaultdict(set)
        self._held: dict[str, Holding] = {}
        self._leases: dict[tuple[Holder, str], float] = {}
        self._halts: dict[str, Halt] = {}
        self._trains: dict[str, Train] = {}
        self._rights: dict[str, tuple[str, float, bool]] = {}
        self._events: list[Event] = []
        self._logs: dict[str, list[LogChunk]] = defaultdict(list)
        self._outbox: dict[str, float] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._nudged = 0

    def ping(self) -> None:
        """See `Store.ping`."""

    def add_repository(self, repository: Repository) -> None:
        """See `Store.add_repository`."""
        with self._changed:
            self._repositories[repository.id] = repository

    def repositories(self) -> list[Repository]:
        """See `Store.repositories`."""
        with self._changed:
            return sorted(self._repositories.values(), key=lambda each: each.id)

    def repository(self, repository_id: str) -> Repository:
        """See `Store.repository`."""
        with self._changed:
            if repository_id not in self._repositories:
                known = ", ".join(sorted(self._repositories)) or "none"
                raise NotFoundError(f"The fleet knows no repository '{repository_id}'.", f"It knows: {known}.")
            return self._repositories[repository_id]

    def keep_blueprint(self, digest: str, text: str) -> None:
        """See `Store.keep_blueprint`."""
        with self._changed:
            self._blueprints[digest] = text

    def blueprint(self, digest: str) -> str:
        """See `Store.blueprint`."""
        with self._changed:
            if digest not in self._blueprints:
                raise NotFoundError(f"The fleet keeps no blueprint with digest {digest}.", "Submit the task again.")
            return self._blueprints[digest]

    def next_ids(self, count: int) -> list[str]:
        """See `Store.next_ids`."""
        return [f"T{self._count('task')}" for _ in range(count)]

    def next_fence(self) -> int:
        """See `Store.next_fence`."""
        return self._count("fence")

    def create(self, commits: Sequence[Commit]) -> None:
        """See `Store.create`."""
        with self._changed:
            there = [self._tasks[each.after.id] for each in commits if each.after.id in self._tasks]
            if there and there == [each.after for each in commits]:
                return
            if there:
                raise _stale(there[0].id)
            for commit in commits:
                for dependency in commit.after.depends_on:
                    self._dependents[dependency].add(commit.after.id)
                self._write(commit)

    def task(self, task_id: str) -> Task:
        """See `Store.task`."""
        with self._changed:
            if task_id not in self._tasks:
                raise NotFoundError(f"There is no task '{task_id}'.", "List the tasks with `shopfloor tasks`.")
            return self._tasks[task_id]

    def tasks(self, states: Iterable[State] = ()) -> list[Task]:
        """See `Store.tasks`."""
        wanted = tuple(states) or tuple(State)
        with self._changed:
            found = [task for task in self._tasks.values() if task.state in wanted]
        return sorted(found, key=lambda task: (int(task.created_at.timestamp() * 1000), len(task.id), task.id))

    def dependents(self, task_id: str) -> list[str]:
        """See `Store.dependents`."""
        with self._changed:
            return sorted(self._dependents[task_id], key=lambda each: (len(each), each))

    def commit(self, commit: Commit) -> None:
        """See `Store.commit`."""
        before, after = commit.before, commit.after
        with self._changed:
            found = self._tasks.get(after.id)
            if (found.version if found else 0) != (before.version if before else 0):
                if found == after:
                    return
                raise _stale(after.id)
            if commit.expired_only and self._leases.get((Holder.TASK, after.id), 0.0) > self._clock():
                raise _stale(after.id)
            self._write(commit)

    def claim(self, claim: Claim) -> Refusal | None:
        """See `Store.claim`."""
        task, host = claim.commit.after, claim.host
        with self._changed:
            found = self._tasks.get(task.id)
            before = claim.commit.before
            if found is None or before is None or found.version != before.version:
                return None if found == task else Refusal.MOVED
            if halt_of(self._halts.values(), task, host.name):
                return Refusal.HALTED
            if host.name not in self._hosts:
                return Refusal.NO_HOST
            if len(self._slots[host.name]) >= host.slots:
                return Refusal.NO_SLOT
            wanted = Holding(task.id, task.repository, Scope.of(task.scope))
            for held in self._held.values():
                same_tree = held.repository == wanted.repository and held.task != wanted.task
                if same_tree and held.scope.meets(wanted.scope):
                    return Refusal.SCOPE_BUSY
            self._held[task.id] = wanted
            self._slots[host.name].add(task.id)
            self._leases[Holder.TASK, task.id] = self._clock() + claim.lease_seconds
            self._write(claim.commit)
            return None

    def holdings(self) -> list[Holding]:
        """See `Store.holdings`."""
        with self._changed:
            return sorted(self._held.values(), key=lambda held: (held.repository, len(held.task), held.task))

    def beat(self, host: Host, leases: Sequence[Lease], lease_seconds: float) -> Beat:
        """See `Store.beat`."""
        with self._changed:
            self._hosts[host.name] = host
            self._leases[Holder.HOST, host.name] = self._clock() + HOST_LEASES * lease_seconds
            lost = set()
            for lease in leases:
                key = (lease.kind, lease.id)
                if key in self._leases and self._fence(lease.kind, lease.id) == lease.fence:
                    self._leases[key] = self._clock() + lease_seconds
                else:
                    lost.add(lease)
            return Beat(frozenset(lost), tuple(self.halts()))

    def remove_host(self, name: str) -> None:
        """See `Store.remove_host`."""
        with self._changed:
            self._hosts.pop(name, None)
            self._leases.pop((Holder.HOST, name), None)

    def hosts(self) -> list[Host]:
        """See `Store.hosts`."""
        with self._changed:
            return sorted(self._hosts.values(), key=lambda host: host.name)

    def busy(self) -> dict[str, int]:
        """See `Store.busy`."""
        with self._changed:
            return {name: len(self._slots[name]) for name in self._hosts}

    def expired(self) -> list[Lease]:
        """See `Store.expired`."""
        with self._changed:
            now = self._clock()
            late = [key for key, ends in self._leases.items() if ends <= now]
            return [Lease(kind, ident, self._fence(kind, ident)) for kind, ident in late]

    def add_halt(self, halt: Halt, event: Event) -> Halt:
        """See `Store.add_halt`."""
        with self._changed:
            numbered = halt.model_copy(update={"epoch": self._count("halt")})
            self._halts[halt.key] = numbered
            self._tell(event)
            self.nudge()
            return numbered

    def lift_halts(self, keys: Sequence[str], event: Event) -> list[Halt]:
        """See `Store.lift_halts`."""
        with self._changed:
            lifted = [self._halts.pop(key) for key in sorted(keys or self._halts) if key in self._halts]
            if lifted:
                self._tell(event)
                self.nudge()
            return lifted

    def halts(self) -> list[Halt]:
        """See `Store.halts`."""
        with self._changed:
            return [self._halts[key] for key in sorted(self._halts)]

    def nudge(self) -> None:
        """See `Store.nudge`."""
        with self._changed:
            self._nudged += 1
            self._changed.notify_all()

    def nudges(self, timeout: float) -> Iterator[None]:
        """See `Store.nudges`."""
        seen = self._nudged
        yield
        while True:
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._nudged > seen, timeout)  # type: ignore[misc]
                seen = self._nudged
            yield

    def train(self, repository: Repository) -> Train:
        """See `Store.train`."""
        with self._changed:
            return self._trains.get(repository.id) or Train(repository=repository.id, target=repository.target)

    def commit_train(
        self, train: Train, events: Sequence[Event] = (), wakes: Sequence[Wake] = (), lease_seconds: float | None = None
    ) -> None:
        """See `Store.commit_train`."""
        with self._changed:
            found = self._trains.get(train.repository)
            if (found.version if found else 0) != train.version - 1:
                if found == train:
                    return
                raise StaleError(f"The train of {train.repository} was moved by somebody else at the same moment.")
            self._trains[train.repository] = train
            key = (Holder.TRAIN, train.repository)
            if lease_seconds:
                self._leases[key] = self._clock() + lease_seconds
            else:
                self._leases.pop(key, None)
            for event in events:
                self._tell(event)
            self._stage(wakes)

    def acquire(self, name: str, token: str, seconds: float) -> bool:
        """See `Store.acquire`."""
        with self._changed:
            holder, ends, marked = self._right(name)
            if holder not in ("", token):
                self._rights[name] = (holder, ends, True)
                return False
            self._rights[name] = (token, self._clock() + seconds, marked)
            return True

    def release(self, name: str, token: str) -> bool:
        """See `Store.release`."""
        with self._changed:
            holder, _, marked = self._right(name)
            if holder != token:
                return False
            del self._rights[name]
            return marked

    def events(self, after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        """See `Store.events`."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) > after, wait)
            return self._events[after : after + limit]

    def last_seq(self) -> int:
        """See `Store.last_seq`."""
        return len(self._events)

    def append_log(self, task_id: str, chunk: LogChunk) -> None:
        """See `Store.append_log`."""
        with self._changed:
            chunks = self._logs[task_id]
            chunks.append(LogChunk(str(len(chunks) + 1), chunk.attempt, chunk.round, chunk.step, chunk.text))
            self._changed.notify_all()

    def log(self, task_id: str, after: str = "", wait: float = 0.0) -> list[LogChunk]:
        """See `Store.log`."""
        start = int(after or 0)
        with self._changed:
            self._changed.wait_for(lambda: len(self._logs[task_id]) > start, wait)
            return self._logs[task_id][start:]

    def due(self) -> list[Wake]:
        """See `Store.due`."""
        with self._changed:
            now = self._clock()
            late = sorted((when, member) for member, when in self._outbox.items() if when <= now)
            return [Wake.decode(member) for _, member in late]

    def confirm(self, wakes: Sequence[Wake]) -> None:
        """See `Store.confirm`."""
        with self._changed:
            for wake in wakes:
                self._outbox.pop(wake.encode(), None)

    def _write(self, commit: Commit) -> None:
        before, after = commit.before, commit.after
        self._tasks[after.id] = after
        if before and holds_slot(before.state) and not holds_slot(after.state):
            self._leases.pop((Holder.TASK, after.id), None)
            self._slots[before.host or ""].discard(after.id)
        if not holds_scope(after.state):
            self._held.pop(after.id, None)
        self._tell(commit.event)
        self._stage(commit.wakes)

    def _tell(self, event: Event) -> None:
        self._events.append(event.model_copy(update={"seq": len(self._events) + 1}))
        self._changed.notify_all()

    def _stage(self, wakes: Sequence[Wake]) -> None:
        for wake in wakes:
            member, due = wake.encode(), self._clock() + (wake.delay or _GRACE)
            self._outbox[member] = min(due, self._outbox.get(member, due))

    def _right(self, name: str) -> tuple[str, float, bool]:
        """Who has a right, until when, and whether somebody was refused it; what has run out is not there."""
        right = self._rights.get(name)
        return right if right and right[1] > self._clock() else ("", 0.0, False)

    def _fence(self, kind: Holder, ident: str) -> int:
        if kind is Holder.HOST:
            return 0
        if kind is Holder.TASK:
            return self._tasks[ident].fence or 0
        candidate = self._trains[ident].candidate
        return candidate.fence if candidate else 0

    def _count(self, name: str) -> int:
        with self._changed:
            self._counts[name] += 1
            return self._counts[name]


def _stale(task_id: str) -> StaleError:
    return StaleError(f"Task {task_id} was changed by somebody else at the same moment.", "Look again and repeat.")
