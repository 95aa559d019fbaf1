"""Events as a stream: from now on, from a number, and on from where a connection broke."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import UnreachableError
from tests.integration.api.answers import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from orchestrator.domain.task import Event
    from orchestrator.services.floor import Floor


def messages(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """Read server-sent events as their fields; comments are left out."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line and fields:
            yield fields
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def submit(client: httpx.Client, title: str) -> Any:  # noqa: ANN401 - JSON
    return client.post("/v1/tasks", json={"title": title}).json()[0]


def test_a_stream_tells_what_happens_from_now_on(client: httpx.Client) -> None:
    submit(client, "Before")
    with client.stream("GET", "/v1/events/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        task = submit(client, "After")
        message = next(messages(answer))
    event = json.loads(message["data"])
    assert (message["id"], event["seq"], event["task"], event["to"]) == ("2", 2, task["id"], "queued")


def test_a_stream_starts_behind_a_number(client: httpx.Client) -> None:
    for title in ("One", "Two", "Three"):
        submit(client, title)
    with client.stream("GET", "/v1/events/stream?after=1") as answer:
        stream = messages(answer)
        assert [next(stream)["id"], next(stream)["id"]] == ["2", "3"]


def test_a_client_that_connects_again_misses_nothing_and_hears_nothing_twice(client: httpx.Client) -> None:
    heard: list[str] = []
    for number in range(4):
        submit(client, f"Number {number}")
        last = {"Last-Event-ID": heard[-1]} if heard else {"Last-Event-ID": "0"}
        with client.stream("GET", "/v1/events/stream?after=0", headers=last) as answer:
            heard.append(next(messages(answer))["id"])
    assert heard == ["1", "2", "3", "4"]


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "\u0663", "9" * 30])
def test_an_odd_last_event_id_is_refused(client: httpx.Client, value: str) -> None:
    answer = client.get("/v1/events/stream", headers={b"Last-Event-ID": value.encode()})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "input")


def test_a_stream_whose_store_is_lost_says_so_and_ends(
    client: httpx.Client, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> list[Event]:
        raise UnreachableError("Redis cannot be reached.", "Start it.")

    monkeypatch.setattr(floor.store, "events", lost)
    with client.stream("GET", "/v1/events/stream") as answer:
        [message] = messages(answer)
    assert (message["event"], json.loads(message["data"])["error"]["code"]) == ("error", "unreachable")


def test_more_clients_may_follow_than_there_are_places_to_wait(client: httpx.Client) -> None:
    streams = [client.stream("GET", "/v1/events/stream") for _ in range(80)]
    answers = [stream.__enter__() for stream in streams]
    submit(client, "One")
    assert {next(messages(answer))["id"] for answer in answers} == {"1"}
    for stream in streams:
        stream.__exit__(None, None, None)
