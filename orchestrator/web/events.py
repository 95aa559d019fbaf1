"""Events over HTTP: as a list, and as a stream of server-sent events."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from orchestrator.domain.task import Event
from orchestrator.errors import InputError, ShopfloorError
from orchestrator.views import error_view, event_view
from orchestrator.web.access import Viewer  # noqa: TC001 - FastAPI reads the annotations
from orchestrator.web.waits import LONGEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.desk import Desk
    from orchestrator.web.waits import Waits

router = APIRouter(prefix="/v1/events", tags=["events"])

_AT_MOST = 1000
_SEQ_MAX = 2**53
_PING = 15  # seconds between comments that keep a silent stream open

After = Annotated[int, Query(ge=0, le=_SEQ_MAX, description="the `seq` of the last event that is known")]
Limit = Annotated[int, Query(ge=1, le=_AT_MOST)]
Wait = Annotated[float, Query(ge=0, le=LONGEST, description="seconds to wait for an event")]


@router.get("", responses={200: {"model": list[Event]}})
async def events(
    request: Request, desk: Viewer, after: After = 0, limit: Limit = _AT_MOST, wait: Wait = 0.0
) -> JSONResponse:
    """List events behind a number, oldest first; answers as soon as there is one."""
    found = await request.app.state.waits.wait_for(partial(desk.events, after, limit), wait, request.is_disconnected)
    return JSONResponse([event_view(event) for event in found])


@router.get("/last")
def last(desk: Viewer) -> JSONResponse:
    """Say the number of the newest event; 0 where there is none."""
    return JSONResponse({"seq": desk.last_seq()})


@router.get(
    "/stream",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "`id:` is the event's `seq`, `data:` its JSON", "content": {"text/event-stream": {}}}
    },
)
async def stream(
    request: Request,
    desk: Viewer,
    after: Annotated[int | None, Query(ge=0, le=_SEQ_MAX, description="start behind this `seq`")] = None,
    last_event_id: Annotated[str | None, Header(description="as a client sends it that connects again")] = None,
) -> EventSourceResponse:
    """Follow events as they happen (WHATWG HTML, section 9.2, server-sent events).

    Goes on behind `Last-Event-ID`, else behind `after`; without either, it tells what happens from now on.
    """
    start = _start(after, last_event_id)
    if start is None:
        start = await run_in_threadpool(desk.last_seq)
    return EventSourceResponse(_follow(request.app.state.waits, desk, start), ping=_PING)


async def _follow(waits: Waits, desk: Desk, after: int) -> AsyncIterator[ServerSentEvent]:
    while not waits.over:  # the response watches for the client's going, and cancels this
        try:
            found = await waits.wait_for(partial(desk.events, after, _AT_MOST), LONGEST)
        except ShopfloorError as error:
            # The status has long been sent. The client connects again, and goes on where it was.
            yield ServerSentEvent(json.dumps(error_view(error)), event="error")
            return
        for event in found:
            yield ServerSentEvent(json.dumps(event_view(event)), id=str(event.seq))
            after = event.seq


def _start(after: int | None, last_event_id: str | None) -> int | None:
    if last_event_id is None:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) <= _SEQ_MAX):
        raise InputError(f"Last-Event-ID is {last_event_id[:40]!r}.", "Send the id of the last event, a number.")
    return int(last_event_id)
