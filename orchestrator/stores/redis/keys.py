"""Every key of the fleet's state in Redis, and what it holds (SPEC.md, section Redis state).

All begin with `shopfloor:`; the layout's own version is the value of `shopfloor:layout`.
"""

from __future__ import annotations

from dataclasses import dataclass

LAYOUT = "1"
"""The layout's version: a fleet of another version is refused, never rewritten."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of keys under one prefix."""

    prefix: str = "shopfloor"

    def _key(self, *parts: str) -> str:
        return ":".join((self.prefix, *parts))

    @property
    def layout(self) -> str:
        """String: version of this layout."""
        return self._key("layout")

    @property
    def task_ids(self) -> str:
        """Counter: ids of tasks."""
        return self._key("counter", "task")

    @property
    def fences(self) -> str:
        """Counter: fences."""
        return self._key("counter", "fence")

    @property
    def seq(self) -> str:
        """Counter: events."""
        return self._key("counter", "event")

    @property
    def epochs(self) -> str:
        """Counter: halts."""
        return self._key("counter", "halt")

    def task(self, task_id: str) -> str:
        """Hash of a task: v version, s state, f fence, d the task's JSON."""
        return self._key("task", task_id)

    def dependents(self, task_id: str) -> str:
        """Set: ids of tasks that depend on this one."""
        return self._key("dependents", task_id)

    def log(self, task_id: str) -> str:
        """Stream: a task's log; fields a attempt, r round, s step, t text."""
        return self._key("log", task_id)

    def state(self, state: str) -> str:
        """Sorted set: ids of the tasks in a state, scored by creation (Unix milliseconds)."""
        return self._key("state", state)

    @property
    def events(self) -> str:
        """Stream: every event; its id is `SEQ-0`, field e its JSON without seq."""
        return self._key("events")

    @property
    def outbox(self) -> str:
        """Sorted set: staged wakes, scored by when to send them (Unix milliseconds)."""
        return self._key("outbox")

    @property
    def leases(self) -> str:
        """Sorted set: KIND:ID of each lease, scored by when it runs out (Unix milliseconds)."""
        return self._key("leases")

    @property
    def hosts(self) -> str:
        """Hash: host's name -> its JSON."""
        return self._key("hosts")

    def slots(self, host: str) -> str:
        """Set: ids of the tasks that occupy a host's slots."""
        return self._key("slots", host)

    @property
    def halts(self) -> str:
        """Hash: REACH or REACH:NAME -> the halt's JSON. Any value at all in field `fleet` halts the fleet."""
        return self._key("halts")

    @property
    def nudge(self) -> str:
        """Channel: hosts renew at once when anything is published here."""
        return self._key("nudge")

    @property
    def repositories(self) -> str:
        """Hash: repository's id -> its JSON."""
        return self._key("repositories")

    def blueprint(self, digest: str) -> str:
        """String: JSON of a blueprint."""
        return self._key("blueprint", digest)

    def train(self, repository: str) -> str:
        """Hash of a train: v version, f fence of its candidate, d the train's JSON."""
        return self._key("train", repository)

    def right(self, name: str) -> str:
        """Hash with a time to live: token of the holder, marked where somebody was refused it."""
        return self._key("right", name)

    def held(self, repository: str) -> str:
        """Hash: task's id -> JSON list of the patterns that it holds."""
        return self._key("held", repository)

    def lock(self, repository: str, node: tuple[str, ...]) -> str:
        """Set: ids of tasks that hold a pattern whose literal prefix is this node of the path tree."""
        return self._key("lock", repository, "/".join(node))

    def intention(self, repository: str, node: tuple[str, ...]) -> str:
        """Set: ids of tasks that hold a pattern somewhere beneath this node (Gray 1976, intention lock)."""
        return self._key("intention", repository, "/".join(node))
