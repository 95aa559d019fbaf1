"""Bounds what a request may bring: nobody fills the API's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import InputError
from orchestrator.web.refusals import refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_MAX = 1024 * 1024
"""Bytes of a request's body."""


class BodyBound:
    """Refuses a body that is too large, whether or not the request said so beforehand.

    The body is read before the application sees the request: it is small, and a refusal can then still be answered.
    """

    def __init__(self, app: ASGIApp, most: int = BODY_MAX) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        messages = await self._read(scope, receive)
        if messages is None:
            wrong = InputError(f"The body has more than {self._most} bytes.", "Send less at once.")
            await refusal(wrong, "too_large")(scope, receive, send)
            return
        messages.reverse()

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> list[Message] | None:
        if _declared(scope) > self._most:
            return None
        messages: list[Message] = []
        size = 0
        more = True
        while more:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._most:
                return None
            more = bool(message.get("more_body", False))
        return messages


def _declared(scope: Scope) -> int:
    said = dict(scope["headers"]).get(b"content-length", b"0")
    return int(said) if said.isdigit() else 0
