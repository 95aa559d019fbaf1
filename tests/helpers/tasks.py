"""Tasks, hosts and the commits that carry tasks along, for tests of anything that has a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.domain.fleet import Host
from orchestrator.domain.halt import Halt, Reach
from orchestrator.domain.repository import Repository
from orchestrator.domain.task import Cause, Event, Meter, Note, State, Task
from orchestrator.store import Claim, Commit, Holder, Lease

if TYPE_CHECKING:
    from orchestrator.store import Refusal, Store, Wake

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG = 600.0  # seconds: a lease that does not run out in a test
BRIEF = 0.05  # seconds: a lease that runs out in a test

WAY_HOME = (
    (Cause.PUBLISHED, State.REVIEW),
    (Cause.APPROVED, State.MERGING),
    (Cause.LANDED, State.MERGED),
)
"""The causes and states from `running` to `merged`."""


def make_repository(ident: str = "R1", **changes: Any) -> Repository:  # noqa: ANN401 - the fields' own types, checked by validation
    fields: dict[str, Any] = {"id": ident, "name": ident.lower(), "url": f"file:///srv/{ident}", "target": "main"}
    return Repository(**fields | changes)


def make_host(name: str = "h1", slots: int = 4, **changes: Any) -> Host:  # noqa: ANN401 - as above
    fields: dict[str, Any] = {"name": name, "slots": slots, "started_at": NOW, "seen_at": NOW}
    return Host(**fields | changes)


def make_task(**changes: Any) -> Task:  # noqa: ANN401 - as above
    """A queued task `T1` of repository `R1` whose scope is `src/T1/**`; tasks are created a second apart, by id."""
    ident = str(changes.get("id", "T1"))
    fields: dict[str, Any] = {
        "id": ident,
        "repository": "R1",
        "title": f"Change {ident}",
        "blueprint": "codemod",
        "blueprint_digest": "d1",
        "state": State.QUEUED,
        "scope": (f"src/{ident}",),
        "rounds_max": 3,
        "next_step": "edit",
        "tokens": Meter.of(1000),
        "minutes": Meter.of(20),
        "diff_lines_max": 2000,
        "created_at": NOW + timedelta(seconds=int(ident.strip("T") or 0)),
    }
    return Task(**fields | changes)


def make_event(kind: str, task: Task | None = None, **changes: Any) -> Event:  # noqa: ANN401 - as above
    fields: dict[str, Any] = {"at": NOW, "task": task.id if task else None, "type": kind}
    return Event(**fields | changes)


def make_halt(reach: Reach = Reach.FLEET, name: str = "") -> Halt:
    return Halt(epoch=0, reach=reach, name=name, why="a test", who="ann", at=NOW)


def submitted(task: Task, *wakes: Wake) -> Commit:
    """The commit of a new task."""
    return Commit(None, task, make_event(Cause.SUBMITTED, task, target=task.state), wakes)


def moved(
    task: Task,
    cause: Cause,
    target: State,
    *wakes: Wake,
    expired_only: bool = False,
    **changes: Any,  # noqa: ANN401 - as above
) -> Commit:
    """The commit that moves a task."""
    after = task.moved(cause, target, **changes)
    event = make_event(cause, task, source=task.state, target=target, fence=after.fence, host=after.host)
    return Commit(task, after, event, wakes, expired_only)


def noted(task: Task, note: Note, *wakes: Wake, **changes: Any) -> Commit:  # noqa: ANN401 - as above
    """The commit that notes something about a task and leaves its state."""
    return Commit(task, task.noted(**changes), make_event(note, task), wakes)


def cancelled(task: Task) -> Commit:
    return moved(task, Cause.CANCELLED, State.CANCELLED, ended_at=NOW)


def claim_of(task: Task, host: Host, fence: int, lease_seconds: float = LONG) -> Claim:
    """The claim of a queued task for a host."""
    commit = moved(task, Cause.CLAIMED, State.RUNNING, host=host.name, fence=fence, attempt=task.attempt + 1)
    return Claim(commit, host, lease_seconds)


def lease_of(task: Task) -> Lease:
    return Lease(Holder.TASK, task.id, task.fence or 0)


def submit(store: Store, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """Put a new task into a store."""
    task = make_task(**changes)
    store.create([submitted(task)])
    return task


def claim(store: Store, task: Task, host: Host, lease_seconds: float = LONG) -> Refusal | None:
    """Claim a task, in the version given, under a new fence."""
    return store.claim(claim_of(task, host, store.next_fence(), lease_seconds))


def start(store: Store, host: Host, lease_seconds: float = LONG, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """Put a new task into a store and claim it; a refusal fails the test."""
    task = submit(store, **changes)
    refusal = claim(store, task, host, lease_seconds)
    assert refusal is None, f"{task.id} was refused: {refusal}"
    return store.task(task.id)


def advance(store: Store, task: Task, cause: Cause, target: State, **changes: Any) -> Task:  # noqa: ANN401 - as above
    """Move a task in a store and give its next version."""
    commit = moved(task, cause, target, **changes)
    store.commit(commit)
    return commit.after
