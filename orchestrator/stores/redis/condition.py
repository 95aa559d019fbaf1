"""What a Redis server says of itself, for a person who looks whether it will do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from orchestrator.stores.redis.connection import told

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

_PINGS = 5


@dataclass(frozen=True, slots=True)
class Condition:
    """A server's condition. What it does not tell is None.

    Args:
        version: Its version.
        eviction: What it does when its memory is full (maxmemory-policy).
        append_only: Whether it keeps every write in a file.
        latency: The best of a few round trips, in seconds.
        ahead: How far its clock is ahead of this machine's, in seconds.
    """

    version: str
    eviction: str | None
    append_only: bool | None
    latency: float
    ahead: float


def condition_of(url: str, clock: Callable[[], float] = time.time) -> Condition:
    """Ask a server for its condition.

    Raises:
        UnreachableError: It does not answer.
    """
    import redis  # noqa: PLC0415 - not for the commands that ask no server

    with told(), redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5, protocol=2) as client:
        said = cast("dict[str, Any]", client.info())
        trips, ahead = zip(*(_trip(client, clock) for _ in range(_PINGS)), strict=True)
    append_only = said.get("aof_enabled")
    return Condition(
        version=str(said.get("redis_version", "unknown")),
        eviction=said.get("maxmemory_policy"),
        append_only=None if append_only is None else bool(append_only),
        latency=min(trips),
        ahead=min(ahead, key=abs),
    )


def _trip(client: redis.Redis, clock: Callable[[], float]) -> tuple[float, float]:
    """How long one question took, and how far the server's clock is ahead of the middle of it."""
    before, began = clock(), time.perf_counter()
    seconds, microseconds = client.time()
    took = time.perf_counter() - began
    return took, seconds + microseconds / 1e6 - (before + took / 2)
