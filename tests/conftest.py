"""What every test may ask for: a Redis server, keys of its own on it, and the store over both adapters."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from orchestrator.store import Store
from orchestrator.stores.memory import MemoryStore
from orchestrator.stores.redis import RedisStore
from orchestrator.stores.redis.keys import Keys
from tests.helpers.servers import RedisServer

if TYPE_CHECKING:
    from pathlib import Path

ADAPTERS = ("memory", "redis")
OpenStore = Callable[[], Store]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the session (for each worker, where tests run in several processes); do not stop it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running server of the test's own, to stop, kill or starve."""
    server = RedisServer(tmp_path / "redis")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the session's server."""
    return redis_server.url


@pytest.fixture
def keys() -> Keys:
    """Names of keys that no other test uses."""
    return Keys(prefix=f"test-{uuid.uuid4()}")


@pytest.fixture
def open_redis(redis_url: str, keys: Keys) -> Iterator[Callable[[], RedisStore]]:
    """Open one more connection to the same state, as another process would."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(RedisStore(redis_url, keys)))


@pytest.fixture(params=ADAPTERS)
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Open the same state once more, over each adapter."""
    if request.param == "memory":
        memory = MemoryStore()
        return lambda: memory
    opened: OpenStore = request.getfixturevalue("open_redis")
    return opened


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """An empty store, over each adapter."""
    return open_store()
