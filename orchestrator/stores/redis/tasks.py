"""Tasks, their scopes and their claims in Redis."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, cast

from orchestrator.domain.fleet import Holding
from orchestrator.domain.halt import Reach
from orchestrator.domain.scope import Scope
from orchestrator.domain.task import Event, State, Task, holds_scope, holds_slot
from orchestrator.errors import NotFoundError, StaleError
from orchestrator.store import Holder, Refusal
from orchestrator.stores.redis.connection import RedisConnection, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.store import Claim, Commit, Wake

EVENTS_KEPT = 200_000
OUTBOX_GRACE = 30_000
"""Milliseconds that a wake's author has to hand it to the broker before the reconciler sends it again."""

NARROW_REACHES = frozenset(Reach) - {Reach.FLEET}
"""A halt whose field is none of these and a name stops the fleet."""


def encode_event(event: Event) -> str:
    """An event as it is kept: its number is the stream's id."""
    return event.model_dump_json(by_alias=True, exclude={"seq"}, exclude_defaults=True)


def encode_wakes(wakes: Sequence[Wake]) -> list[list[str | int]]:
    """Wakes as the scripts take them: delay in milliseconds, member."""
    return [[math.ceil(wake.delay * 1000), wake.encode()] for wake in wakes]


def stale_tasks(commits: Sequence[Commit]) -> StaleError:
    """The error of a commit that came too late."""
    names = ", ".join(commit.after.id for commit in commits)
    return StaleError(f"Task {names} was changed by somebody else at the same moment.", "Look again and repeat.")


def halt_fields(task: Task, host: str) -> list[str]:
    """The fields of the halts' hash that stop a task on a host."""
    halts = (Reach.REPOSITORY, task.repository), (Reach.BLUEPRINT, task.blueprint), (Reach.HOST, host)
    return [Reach.FLEET, *(f"{reach}:{name}" for reach, name in (*halts, (Reach.TASK, task.id)))]


class RedisTasks(RedisConnection):
    """The part of the store that holds tasks."""

    def next_ids(self, count: int) -> list[str]:
        """See `Store.next_ids`."""
        with told():
            last = self._redis.incrby(self.keys.task_ids, count)
        return [f"T{number}" for number in range(last - count + 1, last + 1)]

    def next_fence(self) -> int:
        """See `Store.next_fence`."""
        with told():
            return self._redis.incr(self.keys.fences)

    def create(self, commits: Sequence[Commit]) -> None:
        """See `Store.create`."""
        if not commits:
            return
        keys: list[str] = []
        docs: list[str] = []
        orders = []
        for commit in commits:
            task = commit.after
            keys += self._task_keys(commit)
            keys += [self.keys.dependents(each) for each in task.depends_on]
            docs += [task.model_dump_json(), encode_event(commit.event)]
            orders.append(self._order(commit) | {"depends": len(task.depends_on)})
        if self.run("create", keys, [json.dumps(orders), *docs]) != b"ok":
            raise stale_tasks(commits)

    def task(self, task_id: str) -> Task:
        """See `Store.task`."""
        with told():
            doc = self._redis.hget(self.keys.task(task_id), "d")
        if doc is None:
            raise NotFoundError(f"There is no task '{task_id}'.", "List the tasks with `shopfloor tasks`.")
        return Task.model_validate_json(cast("bytes", doc), extra="ignore")

    def tasks(self, states: Iterable[State] = ()) -> list[Task]:
        """See `Store.tasks`."""
        wanted = frozenset(states) or frozenset(State)
        with told():
            with self._redis.pipeline(transaction=True) as pipeline:  # one moment: nobody is in two states, or in none
                for state in wanted:
                    pipeline.zrange(self.keys.state(state), 0, -1, withscores=True)
                found = [pair for row in pipeline.execute() for pair in row]
            found.sort(key=lambda pair: (pair[1], len(pair[0]), pair[0]))
            with self._redis.pipeline(transaction=False) as pipeline:
                for task_id, _ in found:
                    pipeline.hget(self.keys.task(task_id.decode()), "d")
                docs = pipeline.execute()
        tasks = [Task.model_validate_json(doc, extra="ignore") for doc in docs if doc is not None]
        return [task for task in tasks if task.state in wanted]  # one may have moved on since

    def dependents(self, task_id: str) -> list[str]:
        """See `Store.dependents`."""
        with told():
            found = cast("set[bytes]", self._redis.smembers(self.keys.dependents(task_id)))
        return sorted((member.decode() for member in found), key=lambda each: (len(each), each))

    def commit(self, commit: Commit) -> None:
        """See `Store.commit`."""
        order = self._order(commit)
        args = [json.dumps(order), commit.after.model_dump_json(), encode_event(commit.event)]
        answer = self.run("commit", self._task_keys(commit), args)
        if answer != b"ok":
            raise stale_tasks([commit])

    def claim(self, claim: Claim) -> Refusal | None:
        """See `Store.claim`.

        Whoever stands at the same node of the path tree is compared exactly, once; the script is then told which
        patterns do not meet. One round trip where nobody stands there.
        """
        commit, host = claim.commit, claim.host
        task = commit.after
        scope = Scope.of(task.scope)
        own = sorted(set(scope.prefixes()))
        above = sorted({node[:depth] for node in own for depth in range(len(node))})
        where = task.repository
        keys = [
            *self._task_keys(commit)[:9],
            self.keys.halts,
            self.keys.hosts,
            *(self.keys.lock(where, node) for node in own),
            *(self.keys.intention(where, node) for node in own),
            *(self.keys.lock(where, node) for node in above),
            *(self.keys.intention(where, node) for node in above),
        ]
        order = self._order(commit) | {
            "host": host.name,
            "slots": host.slots,
            "ttl": int(claim.lease_seconds * 1000),
            "halt_fields": dict.fromkeys(halt_fields(task, host.name), True),
            "reaches": dict.fromkeys(sorted(NARROW_REACHES), True),
            "own": len(own),
            "above": len(above),
            "patterns": json.dumps(task.scope),
        }
        cleared: dict[str, str] = {}
        while True:
            args = [json.dumps(order | {"cleared": cleared}), task.model_dump_json(), encode_event(commit.event)]
            answer = [word.decode() for word in self.run("claim", keys, args)]
            if answer[0] == "ok":
                return None
            if answer[0] != "holders":
                return Refusal(answer[0])
            near = dict(zip(answer[1::2], answer[2::2], strict=True))
            if any(scope.meets(Scope.of(json.loads(patterns))) for patterns in near.values()):
                return Refusal.SCOPE_BUSY
            cleared |= near

    def holdings(self) -> list[Holding]:
        """See `Store.holdings`."""
        with told():
            where = sorted(key.decode() for key in cast("list[bytes]", self._redis.hkeys(self.keys.repositories)))
            rows = [(each, cast("dict[bytes, bytes]", self._redis.hgetall(self.keys.held(each)))) for each in where]
        return [
            Holding(task_id.decode(), repository, Scope.of(json.loads(patterns)))
            for repository, row in rows
            for task_id, patterns in sorted(row.items(), key=lambda item: (len(item[0]), item[0]))
        ]

    def _task_keys(self, commit: Commit) -> list[str]:
        before, after = commit.before, commit.after
        keys = [
            self.keys.task(after.id),
            self.keys.events,
            self.keys.seq,
            self.keys.outbox,
            self.keys.leases,
            self.keys.state(before.state if before else after.state),
            self.keys.state(after.state),
            self.keys.slots((before.host if before and holds_slot(before.state) else after.host) or ""),
            self.keys.held(after.repository),
        ]
        if before and not holds_scope(after.state):
            own = set(Scope.of(before.scope).prefixes())
            above = {node[:depth] for node in own for depth in range(len(node))}
            keys += [self.keys.lock(after.repository, node) for node in sorted(own)]
            keys += [self.keys.intention(after.repository, node) for node in sorted(above)]
        return keys

    def _order(self, commit: Commit) -> dict[str, Any]:
        before, after = commit.before, commit.after
        return {
            "id": after.id,
            "expected": before.version if before else 0,
            "version": after.version,
            "state": after.state,
            "fence": after.fence or 0,
            "created": int(after.created_at.timestamp() * 1000),
            "moves": before is None or before.state != after.state,
            "ends_lease": before is not None and holds_slot(before.state) and not holds_slot(after.state),
            "ends_scope": before is not None and holds_scope(before.state) and not holds_scope(after.state),
            "expired_only": commit.expired_only,
            "lease": f"{Holder.TASK}:{after.id}",
            "wakes": encode_wakes(commit.wakes),
            "grace": OUTBOX_GRACE,
            "events_kept": EVENTS_KEPT,
        }
