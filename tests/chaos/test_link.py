"""The relay between a host and Redis does what each fault says."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from tests.chaos.link import Link
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

_SILENCE = 0.1  # seconds; what a cut link lets through in that time is nothing


@pytest.fixture
def link() -> Iterator[Link]:
    """A link to a server that sends everything back."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        thread = threading.Thread(target=_echo, args=(listener,), daemon=True)
        thread.start()
        started = Link(lambda: port).start()
        try:
            yield started
        finally:
            started.stop()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _echo(listener: socket.socket) -> None:
    with suppress(OSError):  # the listener was shut
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_send_back, args=(connection,), daemon=True).start()


def _send_back(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while told := connection.recv(1024):
            connection.sendall(told)


def _client(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=10)


def test_what_is_sent_while_a_link_is_cut_arrives_when_it_is_healed(link: Link) -> None:
    with _client(link) as client:
        client.sendall(b"before")
        assert client.recv(1024) == b"before"
        link.cut()
        client.sendall(b"meanwhile")
        client.settimeout(_SILENCE)
        with pytest.raises(TimeoutError):
            client.recv(1024)
        link.heal()
        client.settimeout(10)
        assert client.recv(1024) == b"meanwhile"


def test_a_severed_link_ends_connections_and_refuses_new_ones_until_it_is_healed(link: Link) -> None:
    with _client(link) as client:
        client.sendall(b"before")
        assert client.recv(1024) == b"before"
        link.sever()
        assert _ended(client)
    with _client(link) as refused:
        assert _ended(refused)
    link.heal()
    with _client(link) as client:
        client.sendall(b"after")
        assert client.recv(1024) == b"after"


def test_a_server_that_is_down_ends_connections() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
    link = Link(lambda: port).start()
    try:
        with _client(link) as client:
            assert eventually(lambda: _ended(client), "an ended connection")
    finally:
        link.stop()


def _ended(client: socket.socket) -> bool:
    try:
        return client.recv(1024) == b""
    except ConnectionResetError:
        return True
