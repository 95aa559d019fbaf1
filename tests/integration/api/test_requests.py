"""What the API makes of requests, good and bad."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orchestrator.domain.repository import Repository
from orchestrator.domain.task import State
from orchestrator.errors import UnreachableError
from orchestrator.tokens import Role
from tests.integration.api.answers import error_of

if TYPE_CHECKING:
    import httpx
    import pytest

    from orchestrator.services.floor import Floor
    from tests.integration.api.conftest import OpenClient


def test_one_task_is_answered_as_a_list_of_one(client: httpx.Client) -> None:
    answer = client.post("/v1/tasks", json={"title": "One", "scope": ["src"], "complexity": "S"})
    assert answer.status_code == 201
    [task] = answer.json()
    assert (task["title"], task["state"], task["repository"], task["batch"]) == ("One", "queued", "web-1", None)
    assert client.get(f"/v1/tasks/{task['id']}").json() == task


def test_a_batch_is_answered_in_its_order(client: httpx.Client) -> None:
    body = {"repository": "web", "tasks": [{"title": "One", "key": "a"}, {"title": "Two", "depends_on": ["a"]}]}
    one, two = client.post("/v1/tasks", json=body).json()
    assert (one["title"], two["title"], two["depends_on"]) == ("One", "Two", [one["id"]])
    assert one["batch"] == two["batch"] is not None


def test_of_several_repositories_one_has_to_be_named(client: httpx.Client, floor: Floor) -> None:
    web = floor.store.repository("web-1")
    floor.store.add_repository(Repository(id="web-2", name="web", url=web.url, target="main"))
    missing = client.post("/v1/tasks", json={"title": "One"})
    assert (missing.status_code, "web-1, web-2" in error_of(missing)["remedy"]) == (400, True)
    unclear = client.post("/v1/tasks", json={"title": "One", "repository": "web"})
    assert (unclear.status_code, "web-1, web-2" in error_of(unclear)["remedy"]) == (400, True)
    unknown = client.post("/v1/tasks", json={"title": "One", "repository": "x"})
    assert (unknown.status_code, "web-1, web-2" in error_of(unknown)["remedy"]) == (404, True)
    named = client.post("/v1/tasks", json={"title": "One", "repository": "web-2"})
    assert named.json()[0]["repository"] == "web-2"


def test_a_list_of_tasks_leaves_out_body_and_steps_and_may_be_narrowed(client: httpx.Client) -> None:
    for title in ("One", "Two"):
        client.post("/v1/tasks", json={"title": title, "body": "text"})
    client.post("/v1/tasks/T2/cancel")
    shown = client.get("/v1/tasks?state=cancelled&state=merged").json()
    assert [task["id"] for task in shown] == ["T2"]
    assert not {"body", "steps"} & set(shown[0])
    assert len(client.get("/v1/tasks").json()) == 2


def test_odd_characters_are_kept_as_they_are(client: httpx.Client) -> None:
    title = '"quotes" $(rm -rf /) {{ task }} \U0001f6e0\ufe0f \u202e'
    [task] = client.post("/v1/tasks", json={"title": title}).json()
    assert client.get(f"/v1/tasks/{task['id']}").json()["title"] == title


def test_a_decision_that_does_not_fit_the_state_is_a_conflict(client: httpx.Client) -> None:
    client.post("/v1/tasks", json={"title": "One"})
    answer = client.post("/v1/tasks/T1/approve")
    assert (answer.status_code, error_of(answer)["code"]) == (409, "transition")


def test_a_store_that_is_gone_is_service_unavailable(
    client: httpx.Client, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise UnreachableError("Redis cannot be reached.", "Start it.")

    monkeypatch.setattr(floor.store, "tasks", gone)
    answer = client.get("/v1/tasks")
    assert (answer.status_code, error_of(answer)) == (
        503,
        {"message": "Redis cannot be reached.", "remedy": "Start it.", "code": "unreachable"},
    )


def test_a_fault_of_ours_tells_nothing_of_its_inside(
    client: httpx.Client, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(floor.store, "tasks", broken)
    answer = client.get("/v1/tasks")
    assert (answer.status_code, error_of(answer)["code"], "secret" in answer.text) == (500, "internal", False)


def test_health_asks_for_no_token(client_of: OpenClient) -> None:
    answer = client_of(None).get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_api_describes_itself(client_of: OpenClient) -> None:
    described = client_of(None).get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    ways = [way for path in described["paths"].values() for way in path.values()]
    assert [way["operationId"] for way in ways if not way.get("description")] == []


def test_a_repositorys_credentials_are_not_shown(client: httpx.Client, floor: Floor) -> None:
    secret = Repository(id="web-1", name="web", url="https://bot:hunter2@git.example/web.git", target="main")
    floor.store.add_repository(secret)
    answer = client.get("/v1/repositories")
    assert "hunter2" not in answer.text
    assert answer.json()[0]["url"] == "https://***@git.example/web.git"


def test_halting_without_a_body_halts_the_fleet(client: httpx.Client, floor: Floor) -> None:
    assert client.post("/v1/halt").json()["reach"] == "fleet"
    assert len(floor.store.halts()) == 1
    assert [halt["reach"] for halt in client.post("/v1/resume").json()] == ["fleet"]
    assert floor.store.halts() == []


def test_halting_narrowly_halts_no_more(client: httpx.Client) -> None:
    halt = client.post("/v1/halt", json={"reach": "blueprint", "name": "docs", "why": "loops"}).json()
    assert (halt["reach"], halt["name"], halt["why"], halt["who"]) == ("blueprint", "docs", "loops", "admin")


def test_a_wait_ends_when_there_is_something(client: httpx.Client, client_of: OpenClient) -> None:
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get("/v1/events?wait=30")))
    waiting.start()
    client_of(Role.SUBMITTER).post("/v1/tasks", json={"title": "One"})
    waiting.join()
    assert [event["to"] for event in answers[0].json()] == [State.QUEUED]


def test_many_who_wait_keep_nobody_else_waiting(client_of: OpenClient) -> None:
    client = client_of(Role.ADMIN)
    seen: list[int] = []
    waiting = [
        threading.Thread(target=lambda: seen.append(len(client.get("/v1/events?wait=30").json()))) for _ in range(60)
    ]
    for each in waiting:
        each.start()
    client_of(Role.SUBMITTER).post("/v1/tasks", json={"title": "One"}, timeout=10)
    for each in waiting:
        each.join()
    assert seen == [1] * 60
