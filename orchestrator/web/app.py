"""The application: routes, the shape of errors, the bound on what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from orchestrator.web import events, fleet, tasks
from orchestrator.web.bound import BodyBound
from orchestrator.web.refusals import ErrorAnswer, add_refusals
from orchestrator.web.waits import Waits

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.services.floor import Floor

_DESCRIPTION = """\
Submit work to a fleet of coding agents, follow it, and decide about it.

Every path under `/v1` wants a token (`Authorization: Bearer TOKEN`), whose role is one of `viewer` (reads everything),
`submitter` (also submits, cancels, retries), `lead` (also approves, rejects, halts, resumes) and `admin`.

An error is `{"error": {"message", "remedy", "code"}}`: one sentence of what was wrong, and one of what to do about it.
"""
_SAID: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "What was given cannot be used"},
    401: {"model": ErrorAnswer, "description": "No token, or one that nobody knows"},
    403: {"model": ErrorAnswer, "description": "The token's role does not allow it"},
    404: {"model": ErrorAnswer, "description": "Names something that does not exist"},
    409: {"model": ErrorAnswer, "description": "The state of things does not allow it"},
    422: {"model": ErrorAnswer, "description": "A field cannot be used"},
    503: {"model": ErrorAnswer, "description": "The fleet's Redis cannot be reached"},
}


def create_app(floor: Floor, tokens: Path, *, version: str = "0.1.0") -> FastAPI:
    """Make the application over a fleet.

    Args:
        floor: The fleet.
        tokens: The file of tokens (`orchestrator.tokens`); it is read at each request.
        version: What OpenAPI says the API's version is.
    """
    # No pages of the framework's: they load scripts from elsewhere.
    app = FastAPI(
        title="Shopfloor",
        version=version,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.floor = floor
    app.state.tokens = tokens
    app.state.waits = Waits()
    for part in (tasks, events, fleet):
        app.include_router(part.router, responses=_SAID)
    app.add_api_route("/healthz", _health, methods=["GET"], tags=["health"])
    add_refusals(app)
    app.add_middleware(BodyBound)
    return app


def _health() -> JSONResponse:
    """Say that the API answers. It wants no token, and does not ask Redis."""
    return JSONResponse({"status": "ok"})
