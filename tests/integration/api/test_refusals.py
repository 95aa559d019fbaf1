"""Requests that cannot be met: each is refused in the one shape, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from orchestrator.services.submit import BODY_MAX
from orchestrator.tokens import Role, add_token
from orchestrator.web.app import create_app
from orchestrator.web.bound import BODY_MAX as BOUND
from tests.helpers.floors import make_floor, serving
from tests.integration.api.answers import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.services.floor import Floor


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Floor:
    """One for the module: nothing here may change it."""
    return make_floor(tmp_path_factory.mktemp("floor"))


@pytest.fixture(scope="module")
def client(floor: Floor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    tokens = tmp_path_factory.mktemp("state") / "tokens.json"
    headers = {"Authorization": f"Bearer {add_token(tokens, 'ann', Role.ADMIN)}"}
    with serving(create_app(floor, tokens)) as url, httpx.Client(base_url=url, headers=headers, trust_env=False) as one:
        yield one


BAD: dict[str, tuple[object, int, str]] = {
    "no body": (None, 422, "The request's body"),
    "a list": ([], 422, "The request's body"),
    "a number": (5, 422, "The request's body"),
    "no title": ({}, 422, "'title'"),
    "an unknown key": ({"title": "x", "titel": "y"}, 422, "'titel'"),
    "a type": ({"title": ["x"]}, 422, "'title'"),
    "a blank title": ({"title": " "}, 422, "the title is empty"),
    "a line break": ({"title": "a\nb"}, 422, "line break"),
    "a long title": ({"title": "x" * 10_000}, 422, "10000 characters"),
    "a long body": ({"title": "x", "body": "x" * (BODY_MAX + 1)}, 422, "the body has"),
    "a scope upwards": ({"title": "x", "scope": ["../y"]}, 400, "../y"),
    "a scope of one text": ({"title": "x", "scope": "src"}, 422, "'scope'"),
    "a priority": ({"title": "x", "priority": 9}, 422, "'priority'"),
    "no tasks": ({"tasks": []}, 422, "'tasks'"),
    "tasks that are none": ({"tasks": [{"title": "x"}, 7]}, 422, "'tasks.1'"),
    "a fault deep inside": ({"tasks": [{"title": "x"}, {"title": "y", "minutes": -1}]}, 422, "'tasks.1.minutes'"),
    "too many": ({"tasks": [{"title": "x"}] * 501}, 422, "'tasks'"),
    "a circle": ({"tasks": [{"title": "x", "key": "a", "depends_on": ["a"]}]}, 400, "circle"),
    "a blueprint": ({"title": "x", "blueprint": "nonsense"}, 400, "nonsense"),
    "a capability": ({"title": "x", "needs": ["gpu"]}, 400, "gpu"),
    "a dependency": ({"title": "x", "depends_on": ["T99"]}, 404, "T99"),
}


@pytest.mark.parametrize(("body", "status", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_submission_names_what_is_wrong(
    client: httpx.Client,
    floor: Floor,
    body: object,
    status: int,
    words: str,
) -> None:
    answer = client.post("/v1/tasks", json=body)
    assert answer.status_code == status
    assert words in error_of(answer)["message"]
    assert floor.store.tasks() == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'"\\ud800"', b"[" * 100_000, b'{"title": NaN}'])
def test_what_is_no_json_is_refused(client: httpx.Client, content: bytes) -> None:
    answer = client.post("/v1/tasks", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code in {400, 422}, error_of(answer)["code"]) == (True, "input")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.Client) -> None:
    told = client.post("/v1/tasks", content=b"x" * (BOUND + 1))
    assert (told.status_code, error_of(told)["code"]) == (413, "too_large")


def test_a_body_that_does_not_say_its_size_is_bounded_too(client: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(BOUND // 65_536 + 1):
            yield b"x" * 65_536

    answer = client.post("/v1/tasks", content=parts())
    assert (answer.status_code, error_of(answer)["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/tasks/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("DELETE", "/v1/tasks/T1", 405, "method_not_allowed"),
        ("GET", "/v1/tasks?state=nonsense", 422, "input"),
        ("GET", "/v1/events?after=-1", 422, "input"),
        ("GET", "/v1/events?limit=0", 422, "input"),
        ("GET", "/v1/events?wait=31", 422, "input"),
        ("GET", "/v1/events?after=99999999999999999999", 422, "input"),
        ("GET", "/v1/tasks/T1/log?after=x", 422, "input"),
        ("GET", "/v1/fleet?window_hours=nan", 422, "input"),
        ("GET", "/v1/tasks/T99", 404, "not_found"),
        ("POST", "/v1/tasks/T99/approve", 404, "not_found"),
        ("POST", "/v1/resume", 200, ""),
    ],
)
def test_an_odd_request_is_answered_in_the_one_shape(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert not code or error_of(answer)["code"] == code
