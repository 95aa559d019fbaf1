"""Who may do what over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from orchestrator.services.submit import Submission, submit
from orchestrator.tokens import Role, add_token, remove_token
from tests.helpers.floors import publish

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.services.floor import Floor
    from tests.integration.api.conftest import OpenClient

READING = (
    "/v1/tasks",
    "/v1/tasks/T1",
    "/v1/tasks/T1/log",
    "/v1/tasks/T1/explain",
    "/v1/events",
    "/v1/events/last",
    "/v1/halts",
    "/v1/locks",
    "/v1/hosts",
    "/v1/trains",
    "/v1/fleet",
    "/v1/repositories",
    "/v1/repositories/web-1/blueprints",
    "/v1/repositories/web-1/blueprints/rename",
)
WRITING = (
    ("/v1/tasks", {"title": "One"}, Role.SUBMITTER, 201),
    ("/v1/tasks/T1/cancel", None, Role.SUBMITTER, 200),
    ("/v1/tasks/T1/retry", None, Role.SUBMITTER, 409),
    ("/v1/tasks/T1/approve", None, Role.LEAD, 200),
    ("/v1/tasks/T1/reject", {"why": "no"}, Role.LEAD, 200),
    ("/v1/halt", None, Role.LEAD, 200),
    ("/v1/resume", None, Role.LEAD, 200),
)


@pytest.fixture(autouse=True)
def task(floor: Floor) -> None:
    """A task `T1` that waits for a person."""
    [made] = submit(floor, floor.store.repository("web-1"), [Submission(title="One", labels=("rename",))], who="ann")
    publish(floor, made.id)


@pytest.mark.parametrize("role", Role)
def test_every_role_reads_everything(client_of: OpenClient, role: Role) -> None:
    client = client_of(role)
    assert {path: client.get(path).status_code for path in READING} == dict.fromkeys(READING, 200)


@pytest.mark.parametrize(("path", "body", "needed", "status"), WRITING)
def test_a_role_below_is_refused_and_changes_nothing(
    client_of: OpenClient, floor: Floor, path: str, body: object, needed: Role, status: int
) -> None:
    before = floor.store.events()
    for role in Role:
        if not role.allows(needed):
            answer = client_of(role).post(path, json=body)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (403, "forbidden")
            assert (role in error["message"], needed in error["remedy"]) == (True, True)
    assert floor.store.events() == before
    assert client_of(needed).post(path, json=body).status_code == status


def test_every_path_of_the_api_asks_for_a_token(client_of: OpenClient) -> None:
    client = client_of(None)
    paths = client.get("/openapi.json").json()["paths"]
    asked = [(method, path) for path, ways in paths.items() for method in ways if path != "/healthz"]
    assert len(asked) > len(READING) + len(WRITING)
    for method, path in asked:
        answer = client.request(method, path.replace("{", "").replace("}", ""), json={"title": "x", "why": "x"})
        assert (method, path, answer.status_code) == (method, path, 401)
        assert answer.json()["error"]["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic dTpw", "bearer \u00ff", "Bearer x y"])
def test_an_odd_token_is_refused(url: str, value: str) -> None:
    answer = httpx.get(f"{url}/v1/tasks", headers={b"Authorization": value.encode("latin-1")}, trust_env=False)
    assert answer.status_code == 401


def test_a_removed_token_is_refused_at_once(url: str, tokens: Path) -> None:
    secret = add_token(tokens, "ci", Role.VIEWER)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as client:
        assert client.get("/v1/tasks").status_code == 200
        remove_token(tokens, "ci")
        assert client.get("/v1/tasks").status_code == 401


def test_what_is_done_is_done_in_the_tokens_name(client_of: OpenClient, floor: Floor) -> None:
    client_of(Role.LEAD).post("/v1/tasks/T1/approve")
    assert floor.store.events()[-1].who == "lead"


def test_no_page_of_another_site_is_let_in(client_of: OpenClient) -> None:
    answer = client_of(Role.VIEWER).get("/v1/tasks", headers={"Origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith(("access-control-", "set-cookie"))]
