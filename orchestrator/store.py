"""The port to the fleet's shared state, and the values that cross it.

The store is the truth; a message is only a wake-up call. One change of a task is one `Commit`: the next version of the
task, its event, and the wake-ups that it causes are written together or not at all. What has to hold at the moment of
writing (nobody moved first, the scope is free, the host has room, no halt is in force) is checked by the store in the
same act. Outcomes that are to be expected are returned as values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.domain.fleet import Holding, Host
    from orchestrator.domain.halt import Halt
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.task import Event, State, Task
    from orchestrator.domain.train import Train


@dataclass(frozen=True, slots=True)
class Wake:
    """A wake-up call: the name of a Celery task, ids as its arguments, and the queue that it goes to.

    `delay` is in seconds; a delayed wake waits in the outbox, never in the broker.
    """

    name: str
    args: tuple[str | int, ...]
    queue: str
    delay: float = 0.0

    def encode(self) -> str:
        """The outbox's member: equal wakes are one."""
        return json.dumps([self.name, list(self.args), self.queue], separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Wake:
        """The inverse of `encode`."""
        name, args, queue = json.loads(text)
        return cls(name, tuple(args), queue)


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of one task. `before` is None for a new task; `expired_only` asks that its lease has run out.

    A task's scope never changes: what a claim has locked is what its end gives back.
    """

    before: Task | None
    after: Task
    event: Event
    wakes: tuple[Wake, ...] = ()
    expired_only: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A commit that moves a queued task to `running` on a host, if nothing stands against it."""

    commit: Commit
    host: Host
    lease_seconds: float


class Refusal(StrEnum):
    """Why a claim was not granted; the dispatcher chooses anew from a newer snapshot."""

    MOVED = "moved"
    HALTED = "halted"
    SCOPE_BUSY = "scope_busy"
    NO_SLOT = "no_slot"
    NO_HOST = "no_host"


@dataclass(frozen=True, slots=True)
class Beat:
    """What a host learns when it renews: leases that are no longer its own, and the halts in force."""

    lost: frozenset[Lease]
    halts: tuple[Halt, ...]


class Holder(StrEnum):
    """What a lease is for."""

    TASK = "task"
    TRAIN = "train"
    HOST = "host"  # its place on the list of hosts


HOST_LEASES = 3
"""A host that has not beaten for as long as so many leases is struck off; by the store's own clock, not by a host's."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The time-limited right to an attempt at a task or a candidate, under one fence (a host has none: 0)."""

    kind: Holder
    id: str
    fence: int

    @property
    def name(self) -> str:
        """One word, safe as a file's name."""
        return f"{self.kind}-{self.id}-{self.fence}"


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a step's output. `position` grows within a task."""

    position: str
    attempt: int
    round: int
    step: str
    text: bytes


class Store(Protocol):
    """The fleet's shared state. Every method is safe to call from many processes at once."""

    def ping(self) -> None:
        """Raise UnreachableError, with what to do, unless the state can be read and written."""

    # -- repositories and blueprints
    def add_repository(self, repository: Repository) -> None:
        """Add or update a repository."""

    def repositories(self) -> list[Repository]:
        """Every repository of the fleet."""

    def repository(self, repository_id: str) -> Repository:
        """One repository; raises NotFoundError."""

    def keep_blueprint(self, digest: str, text: str) -> None:
        """Keep the JSON of a blueprint under its digest."""

    def blueprint(self, digest: str) -> str:
        """The JSON of a blueprint; raises NotFoundError."""

    # -- tasks
    def next_ids(self, count: int) -> list[str]:
        """Ids for new tasks, never given twice."""

    def next_fence(self) -> int:
        """A fence higher than every one before it. Read the task first, take the fence after."""

    def create(self, commits: Sequence[Commit]) -> None:
        """Write new tasks, all or none; raises StaleError where one of them is there already."""

    def task(self, task_id: str) -> Task:
        """One task; raises NotFoundError."""

    def tasks(self, states: Iterable[State] = ()) -> list[Task]:
        """Tasks in these states (all states where none is named), oldest first."""

    def dependents(self, task_id: str) -> list[str]:
        """The ids of the tasks that declared a dependency on this one."""

    def commit(self, commit: Commit) -> None:
        """Write the next version of a task; raises StaleError where somebody else moved first."""

    def claim(self, claim: Claim) -> Refusal | None:
        """Grant an attempt all or nothing: None when granted."""

    def holdings(self) -> list[Holding]:
        """Every scope that is held."""

    # -- hosts and leases
    def beat(self, host: Host, leases: Sequence[Lease], lease_seconds: float) -> Beat:
        """Show that a host lives, and renew its leases in one act."""

    def remove_host(self, name: str) -> None:
        """Strike a host off."""

    def hosts(self) -> list[Host]:
        """Every host that is on the list, by name."""

    def busy(self) -> dict[str, int]:
        """How many slots of each host are taken."""

    def expired(self) -> list[Lease]:
        """Leases that have run out, by the store's own clock."""

    # -- halts
    def add_halt(self, halt: Halt, event: Event) -> Halt:
        """Put a halt in force and tell every listener; returns it with its epoch."""

    def lift_halts(self, keys: Sequence[str], event: Event) -> list[Halt]:
        """Lift halts by key (all where none is named) and tell every listener; returns what was lifted, by key."""

    def halts(self) -> list[Halt]:
        """The halts in force."""

    def nudge(self) -> None:
        """Tell every listening host to renew now."""

    def nudges(self, timeout: float) -> Iterator[None]:
        """Yield once when it listens, then at each nudge, and at the latest after `timeout` seconds; ends never.

        Raises:
            UnreachableError: the connection is lost.
        """

    # -- the merge train
    def train(self, repository: Repository) -> Train:
        """The train of a repository's target branch."""

    def commit_train(
        self, train: Train, events: Sequence[Event] = (), wakes: Sequence[Wake] = (), lease_seconds: float | None = None
    ) -> None:
        """Write the next version of a train; raises StaleError where somebody else moved first.

        `lease_seconds` starts the lease of the candidate's host; None ends it.
        """

    def acquire(self, name: str, token: str, seconds: float) -> bool:
        """Take a named, time-limited right for `token`; taking it again renews it.

        A refusal leaves a mark, which stays until the right is given back.
        """

    def release(self, name: str, token: str) -> bool:
        """Give a right back; True where somebody was refused it meanwhile (look again)."""

    # -- events and logs
    def events(self, after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        """Events with a higher `seq`, oldest first; waits up to `wait` seconds for the first one."""

    def last_seq(self) -> int:
        """The `seq` of the newest event; 0 where there is none."""

    def append_log(self, task_id: str, chunk: LogChunk) -> None:
        """Add to a task's log. The chunk's own position is ignored."""

    def log(self, task_id: str, after: str = "", wait: float = 0.0) -> list[LogChunk]:
        """Chunks behind a position, oldest first; waits up to `wait` seconds for the first one."""

    # -- the outbox
    def due(self) -> list[Wake]:
        """Staged wakes whose time has come and that nobody has confirmed; of equal wakes the earliest time counts."""

    def confirm(self, wakes: Sequence[Wake]) -> None:
        """Take wakes that were handed to the broker off the outbox."""
