"""The desk over the API: for the command line of somebody who has a URL and a token, and no Redis."""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from blueprints.model import Blueprint
from orchestrator.desk import BlueprintView, HostView, Lock, LogLine, TrainView
from orchestrator.domain.halt import Halt
from orchestrator.domain.repository import Repository
from orchestrator.domain.task import Event, Task
from orchestrator.errors import InputError, ShopfloorError, UnreachableError
from orchestrator.services.explain import Explanation
from orchestrator.services.figures import Figures
from orchestrator.views import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.domain.halt import Reach
    from orchestrator.domain.task import State
    from orchestrator.services.submit import Submission

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0  # a submission may have to fetch the target branch first
_LONGEST_WAIT = 20.0  # seconds that one request asks for; below what the API allows and proxies bear
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ERRORS = 400

_T = TypeVar("_T")


class RemoteDesk:
    """`Desk` over HTTP: see `orchestrator.desk` for the contract.

    Args:
        url: The API's URL, such as `https://shopfloor.example.org`.
        token: What the API is shown; its name is who asks.

    Raises (each method):
        UnreachableError: The API does not answer, or something else answers in its place.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def repositories(self) -> list[Repository]:
        """See `Desk.repositories`."""
        return self._get(list[Repository], "/v1/repositories")

    def submit(self, repository_id: str, submissions: Sequence[Submission]) -> list[Task]:
        """See `Desk.submit`."""
        tasks = [each.model_dump(mode="json", exclude_defaults=True) for each in submissions]
        return self._post(list[Task], "/v1/tasks", {"repository": repository_id, "tasks": tasks})

    def tasks(self, states: Sequence[State] = ()) -> list[Task]:
        """See `Desk.tasks`."""
        return self._get(list[Task], "/v1/tasks", {"state": [str(state) for state in states]})

    def task(self, task_id: str) -> Task:
        """See `Desk.task`."""
        return self._get(Task, _task(task_id))

    def log(self, task_id: str, after: str = "", wait: float = 0.0) -> list[LogLine]:
        """See `Desk.log`."""
        path = _task(task_id, "log")
        return _patiently(lambda left: self._get(list[LogLine], path, {"after": after, "wait": left}), wait)

    def events(self, after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        """See `Desk.events`."""
        asked = {"after": after, "limit": limit}
        return _patiently(lambda left: self._get(list[Event], "/v1/events", {**asked, "wait": left}), wait)

    def last_seq(self) -> int:
        """See `Desk.last_seq`."""
        return self._get(dict[str, int], "/v1/events/last")["seq"]

    def explain(self, task_id: str) -> Explanation:
        """See `Desk.explain`."""
        return self._get(Explanation, _task(task_id, "explain"))

    def approve(self, task_id: str) -> Task:
        """See `Desk.approve`."""
        return self._post(Task, _task(task_id, "approve"))

    def reject(self, task_id: str, why: str) -> Task:
        """See `Desk.reject`."""
        return self._post(Task, _task(task_id, "reject"), {"why": why})

    def retry(self, task_id: str) -> Task:
        """See `Desk.retry`."""
        return self._post(Task, _task(task_id, "retry"))

    def cancel(self, task_id: str) -> Task:
        """See `Desk.cancel`."""
        return self._post(Task, _task(task_id, "cancel"))

    def halt(self, reach: Reach, name: str, why: str) -> Halt:
        """See `Desk.halt`."""
        return self._post(Halt, "/v1/halt", {"reach": reach, "name": name, "why": why})

    def resume(self, keys: Sequence[str] = ()) -> list[Halt]:
        """See `Desk.resume`."""
        return self._post(list[Halt], "/v1/resume", {"keys": list(keys)})

    def halts(self) -> list[Halt]:
        """See `Desk.halts`."""
        return self._get(list[Halt], "/v1/halts")

    def locks(self) -> list[Lock]:
        """See `Desk.locks`."""
        return self._get(list[Lock], "/v1/locks")

    def hosts(self) -> list[HostView]:
        """See `Desk.hosts`."""
        return self._get(list[HostView], "/v1/hosts")

    def trains(self) -> list[TrainView]:
        """See `Desk.trains`."""
        return self._get(list[TrainView], "/v1/trains")

    def figures(self, window_hours: float = 24.0) -> Figures:
        """See `Desk.figures`."""
        return self._get(Figures, "/v1/fleet", {"window_hours": window_hours})

    def blueprints(self, repository_id: str) -> list[BlueprintView]:
        """See `Desk.blueprints`."""
        return self._get(list[BlueprintView], f"/v1/repositories/{_part(repository_id)}/blueprints")

    def blueprint(self, repository_id: str, name: str) -> Blueprint:
        """See `Desk.blueprint`."""
        return self._get(Blueprint, f"/v1/repositories/{_part(repository_id)}/blueprints/{_part(name)}")

    def close(self) -> None:
        """Give back the connection."""
        if "_client" in self.__dict__:
            self._client.close()

    def _get(self, shape: type[_T], path: str, query: Mapping[str, Any] | None = None) -> _T:
        return self._ask(shape, "GET", path, params=query)

    def _post(self, shape: type[_T], path: str, body: object = None) -> _T:
        return self._ask(shape, "POST", path, json=body)

    def _ask(self, shape: type[_T], method: str, path: str, **content: Any) -> _T:  # noqa: ANN401 - httpx's own arguments
        try:
            answer = self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"The API at {self._url} cannot be reached: {str(error) or type(error).__name__}.",
                "Check SHOPFLOOR_API_URL, and that the fleet runs there.",
            ) from error
        if answer.status_code >= _ERRORS:
            raise self._refused(answer)
        try:
            return TypeAdapter(shape).validate_json(answer.content)
        except ValidationError as error:
            raise self._strange(answer) from error

    def _refused(self, answer: httpx.Response) -> ShopfloorError:
        try:
            told = error_of(answer.json())
        except (json.JSONDecodeError, UnicodeDecodeError):
            told = None
        return told or self._strange(answer)

    def _strange(self, answer: httpx.Response) -> UnreachableError:
        return UnreachableError(
            f"What answers at {self._url} ({answer.status_code} {answer.reason_phrase}) is no Shopfloor API of ours.",
            "Check SHOPFLOOR_API_URL, and that both sides have the same version of Shopfloor.",
        )

    @cached_property
    def _client(self) -> httpx.Client:
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"The API's URL is '{self._url}'.", "Write it as https://HOST or http://HOST:PORT.")
        if not (self._token.isascii() and self._token.isprintable()):
            raise InputError("The token has characters that no token has.", "Check SHOPFLOOR_TOKEN.")
        return httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json"},
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=parts.hostname not in _LOOPBACK,  # no proxy leads to this machine's own loopback
        )


def _part(text: str) -> str:
    return quote(text, safe="")


def _task(task_id: str, what: str = "") -> str:
    return f"/v1/tasks/{_part(task_id)}{f'/{what}' if what else ''}"


def _patiently(ask: Callable[[float], list[_T]], seconds: float) -> list[_T]:
    """Wait in requests that each end before somebody on the way loses patience."""
    ends = time.monotonic() + seconds
    while True:
        left = max(0.0, ends - time.monotonic())
        found = ask(min(left, _LONGEST_WAIT))
        if found or left <= _LONGEST_WAIT:
            return found
