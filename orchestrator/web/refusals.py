"""Every error of the API in one shape: `{"error": {"message", "remedy", "code"}}`, and the status it goes with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from orchestrator.domain.frozen import Frozen
from orchestrator.errors import InputError, NotFoundError, ShopfloorError
from orchestrator.views import error_view

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_STATUS = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "transition": 409,
    "stale": 409,
    "refused": 409,
    "too_large": 413,
    "input": 400,
    "git": 502,
    "unreachable": 503,
}
_OTHERS = 500


class ErrorBody(Frozen):
    """What was wrong, what to do about it, and the code of its kind."""

    message: str
    remedy: str
    code: str


class ErrorAnswer(Frozen):
    """The answer to a request that did not come about."""

    error: ErrorBody


class CodedError(Exception):
    """An error that only the API knows: it goes out under a code of its own.

    Args:
        error: What was wrong, and what to do about it.
        code: One of `views.ERROR_CODES`.
    """

    def __init__(self, error: ShopfloorError, code: str) -> None:
        super().__init__(str(error), code)
        self.error = error
        self.code = code


def refusal(error: ShopfloorError, code: str | None = None, status: int | None = None) -> JSONResponse:
    """The response that an error goes out as."""
    shown = error_view(error, code)
    headers = {"WWW-Authenticate": "Bearer"} if shown["error"]["code"] == "unauthenticated" else None
    return JSONResponse(shown, status or _STATUS.get(shown["error"]["code"], _OTHERS), headers=headers)


def add_refusals(app: FastAPI) -> None:
    """Give every error of an application our shape, the framework's own included."""

    @app.exception_handler(ShopfloorError)
    def _ours(_request: Request, error: ShopfloorError) -> JSONResponse:
        return refusal(error)

    @app.exception_handler(CodedError)
    def _coded(_request: Request, error: CodedError) -> JSONResponse:
        return refusal(error.error, error.code)

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return refusal(_first_of(error), status=422)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        path, remedy = request.url.path, "See GET /openapi.json."
        match error.status_code:
            case 404:
                return refusal(NotFoundError(f"There is nothing at {path}.", remedy))
            case 405:
                wrong = InputError(f"{path} takes no {request.method}.", remedy)
                return refusal(wrong, "method_not_allowed")
            case _:
                return refusal(InputError(f"{error.detail}.", remedy), status=error.status_code)

    @app.exception_handler(Exception)
    def _fault(_request: Request, _error: Exception) -> JSONResponse:
        # Only answered here: Starlette raises it on, so that the server logs it with its traceback.
        return refusal(ShopfloorError("The API failed.", "See its log on the fleet's host."), "internal")


def _first_of(error: RequestValidationError) -> InputError:
    """The first field that cannot be used, and why."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        why = first.get("ctx", {}).get("error", "it cannot be parsed")
        return InputError(f"The body is no JSON: {why}.", "Send JSON, encoded as UTF-8.")
    place, *path = (str(part) for part in first["loc"])
    named = ".".join(part for part in path if part not in {"task", "batch"})
    where = f"'{named}'" if named else f"The request's {place}"
    why = str(first.get("ctx", {}).get("error", first["msg"]))
    return InputError(f"{where} cannot be used: {why}.", "Correct it; GET /openapi.json says what is expected.")
