"""Command lines as processes, at a fleet whose state is in a real Redis server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import orchestrator
from orchestrator.config import inherited_environment
from orchestrator.stores.redis import RedisStore
from tests.helpers.servers import RedisServer
from tests.helpers.tasks import make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(orchestrator.__file__).parent.parent


class Terminal:
    """Starts `shopfloor` with an environment of its own, and leaves none running.

    Args:
        directory: Where commands are given; in no checkout.
        redis_url: The fleet's Redis.
    """

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.directory = directory
        # Unbuffered, Python takes a write that was cut off by a closed pipe for a whole one.
        decided = ("SHOPFLOOR_", "SENTRY_", "PYTHONUNBUFFERED")
        kept = {name: text for name, text in inherited_environment().items() if not name.startswith(decided)}
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "SHOPFLOOR_REDIS_URL": redis_url,
            "XDG_STATE_HOME": str(directory / "state"),
        }
        self._children: list[subprocess.Popen[str]] = []

    def argv(self, *arguments: str) -> list[str]:
        """What starts a command."""
        return [sys.executable, "-m", "orchestrator.cli", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command, and go on while it runs."""
        child = subprocess.Popen(
            self.argv(*arguments),
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._children.append(child)
        return child

    def close(self) -> None:
        """End what still runs."""
        for child in self._children:
            child.kill()
            child.communicate()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield running
    running.stop()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    """The state of a fleet with one repository, emptied for each test."""
    import redis  # noqa: PLC0415 - only to empty the server between tests

    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    made = RedisStore(server.url)
    made.ping()
    made.add_repository(make_repository("web-1"))
    yield made
    made.close()


@pytest.fixture
def terminal(tmp_path: Path, server: RedisServer) -> Iterator[Terminal]:
    made = Terminal(tmp_path, server.url)
    yield made
    made.close()
