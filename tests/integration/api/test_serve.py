"""The API as the process that `shopfloor up` starts: over a real Redis, with streams open, and told to stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from orchestrator.bootstrap import open_floor
from orchestrator.config import inherited_environment, settings
from orchestrator.desks.remote import RemoteDesk
from orchestrator.domain.repository import Repository
from orchestrator.domain.task import State
from orchestrator.errors import InputError, SetupError, UnreachableError
from orchestrator.services.submit import Submission
from orchestrator.tokens import TOKENS_FILE, Role, add_token
from tests.helpers.floors import FILES
from tests.helpers.repositories import make_bare
from tests.helpers.servers import RedisServer, free_port
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STOP_SECONDS = 20.0  # how long a stop may take before a test gives up; it takes about one


class Api:
    """The process, and what it was started with."""

    def __init__(self, state: Path, redis_url: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **inherited_environment(),
            "SHOPFLOOR_STATE": str(state),
            "SHOPFLOOR_REDIS_URL": redis_url,
            "SHOPFLOOR_LOG_FORMAT": "json",
        }
        self.child = self.start(self.port)
        eventually(self.answers_or_ended, "an API that answers", 30)

    def start(self, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-m", "orchestrator.web.serve", "--port", str(port)]
        return subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)

    def answers_or_ended(self) -> bool:
        if self.child.poll() is not None:
            return True
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, and give the exit code and what the process wrote."""
        self.child.send_signal(number)
        _, written = self.child.communicate(timeout=STOP_SECONDS)
        return self.child.returncode, written


@pytest.fixture
def api(own_server: RedisServer, tmp_path: Path) -> Iterator[Api]:
    origin = make_bare(tmp_path / "web.git", FILES)
    state = tmp_path / "state"
    state.mkdir()
    api = Api(state, own_server.url)
    floor = open_floor(settings(api.environment))
    floor.store.add_repository(Repository(id="web-1", name="web", url=str(origin), target="main"))
    try:
        yield api
    finally:
        api.child.kill()
        api.child.communicate()


@pytest.fixture
def token(api: Api, tmp_path: Path) -> str:
    assert api.child.poll() is None
    return add_token(tmp_path / "state" / TOKENS_FILE, "ann", Role.ADMIN)


def test_a_task_is_submitted_followed_and_cancelled_from_afar(api: Api, token: str) -> None:
    with closing(RemoteDesk(api.url, token)) as desk:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.stream("GET", f"{api.url}/v1/events/stream?after=0", headers=headers, trust_env=False) as answer:
            [task] = desk.submit("web-1", [Submission(title="One")])
            ids = (line.removeprefix("id: ") for line in answer.iter_lines() if line.startswith("id: "))
            assert next(ids) == "1"
            assert desk.cancel(task.id).state is State.CANCELLED
            assert next(ids) == "2"
        assert [event.who for event in desk.events()] == ["ann", "ann"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_although_clients_still_follow(api: Api, token: str, number: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    client = httpx.Client(base_url=api.url, headers=headers, trust_env=False, timeout=60)
    with client, client.stream("GET", "/v1/events/stream") as stream:
        assert stream.status_code == httpx.codes.OK
        waiting = threading.Thread(target=_wait_for_an_event, args=(client,))
        waiting.start()
        code, written = api.stop(number)
        waiting.join()
    assert code == 0
    assert "Traceback" not in written


def test_a_port_that_is_taken_is_said_to_be(api: Api) -> None:
    other = api.start(api.port)
    _, written = other.communicate(timeout=STOP_SECONDS)
    assert other.returncode == SetupError.exit_code
    assert f"port {api.port} of 127.0.0.1 is taken" in written
    assert "Traceback" not in written


def test_an_api_that_is_not_there_is_unreachable_and_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with closing(RemoteDesk(url, "x")) as desk, pytest.raises(UnreachableError, match=url) as caught:
        desk.tasks()
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://host", "http://"])
def test_a_url_that_is_none_is_bad_input(url: str) -> None:
    with pytest.raises(InputError, match="The API's URL is"):
        RemoteDesk(url, "x").tasks()


@pytest.mark.parametrize("token", ["\u00fc", "a\nb"])
def test_a_token_that_is_none_is_bad_input(token: str) -> None:
    with pytest.raises(InputError, match="token"):
        RemoteDesk("http://127.0.0.1:1", token).tasks()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
    ids=["text", "other JSON", "a proxy", "a login", "another protocol", "nothing"],
)
def test_what_is_no_api_of_ours_is_unreachable(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_answer_once, args=(listener, answer))
        serving.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with closing(RemoteDesk(url, "x")) as desk, pytest.raises(UnreachableError, match=url):
            desk.tasks()
        serving.join()


def test_a_token_that_nobody_knows_is_said_to_be(api: Api) -> None:
    with closing(RemoteDesk(api.url, "x")) as desk, pytest.raises(SetupError, match="does not know this token"):
        desk.tasks()


def _wait_for_an_event(client: httpx.Client) -> None:
    try:
        client.get("/v1/events?wait=30")
    except httpx.TransportError:
        return  # the server went away, as it was told to


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)
