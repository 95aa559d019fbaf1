"""Tasks over HTTP: submit, look, decide."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from orchestrator.desk import Desk, LogLine
from orchestrator.domain.task import State, Task
from orchestrator.errors import InputError, NotFoundError
from orchestrator.services.explain import Explanation
from orchestrator.views import task_view, view, views
from orchestrator.web.access import Lead, Submitter, Viewer  # noqa: TC001 - FastAPI reads the annotations
from orchestrator.web.bodies import NewBatch, Rejection, Work
from orchestrator.web.waits import LONGEST

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

Position = Annotated[str, Query(pattern=r"^(\d{1,20}(-\d{1,20})?)?$", description="the `position` of a line")]
Wait = Annotated[float, Query(ge=0, le=LONGEST, description="seconds to wait for something new")]


@router.post("", status_code=201, responses={201: {"model": list[Task]}})
def submit(body: Work, desk: Submitter) -> JSONResponse:
    """Submit one task, or a batch: all of it is taken, or nothing.

    Answers with a list, in the order of the request. `repository` may be left out where the fleet has one.
    """
    submissions = body.tasks if isinstance(body, NewBatch) else (body,)
    tasks = desk.submit(repository_meant(desk, body.repository), submissions)
    return JSONResponse([task_view(task) for task in tasks], 201)


@router.get("", responses={200: {"model": list[Task]}})
def tasks(desk: Viewer, state: Annotated[tuple[State, ...], Query()] = ()) -> JSONResponse:
    """List tasks, oldest first, without `body` and `steps`; `state` may be given more than once."""
    return JSONResponse([task_view(task, brief=True) for task in desk.tasks(state)])


@router.get("/{task_id}", responses={200: {"model": Task}})
def task(task_id: str, desk: Viewer) -> JSONResponse:
    """Show one task."""
    return JSONResponse(task_view(desk.task(task_id)))


@router.get("/{task_id}/log", responses={200: {"model": list[LogLine]}})
async def log(request: Request, task_id: str, desk: Viewer, after: Position = "", wait: Wait = 0.0) -> JSONResponse:
    """Read what a task's steps wrote behind a position; answers as soon as there is something.

    To follow a log, ask again with the `position` of the last piece.
    """
    lines = await request.app.state.waits.wait_for(partial(desk.log, task_id, after), wait, request.is_disconnected)
    return JSONResponse(views(lines))


@router.get("/{task_id}/explain", responses={200: {"model": Explanation}})
def explain(task_id: str, desk: Viewer) -> JSONResponse:
    """Say why a task is where it is: which scope, task, host, limit or halt holds it."""
    return JSONResponse(view(desk.explain(task_id)))


@router.post("/{task_id}/approve", responses={200: {"model": Task}})
def approve(task_id: str, desk: Lead) -> JSONResponse:
    """Accept a change that waits for a person."""
    return JSONResponse(task_view(desk.approve(task_id)))


@router.post("/{task_id}/reject", responses={200: {"model": Task}})
def reject(task_id: str, body: Rejection, desk: Lead) -> JSONResponse:
    """Send a change back, with the reviewer's words as feedback."""
    return JSONResponse(task_view(desk.reject(task_id, body.why)))


@router.post("/{task_id}/retry", responses={200: {"model": Task}})
def retry(task_id: str, desk: Submitter) -> JSONResponse:
    """Give an escalated task another try, with its rounds and limits anew."""
    return JSONResponse(task_view(desk.retry(task_id)))


@router.post("/{task_id}/cancel", responses={200: {"model": Task}})
def cancel(task_id: str, desk: Submitter) -> JSONResponse:
    """Give a task up: its agent is killed, its scope given back; its work stays under its refs."""
    return JSONResponse(task_view(desk.cancel(task_id)))


def repository_meant(desk: Desk, wanted: str | None) -> str:
    """The id of the repository that a submission is for: by id, by name, or the only one.

    Raises:
        NotFoundError: There is none of that id or name; lists the repositories.
        InputError: It cannot be told which is meant; lists them too.
    """
    known = desk.repositories()
    found = [each for each in known if wanted in (None, each.id)] or [each for each in known if each.name == wanted]
    if len(found) == 1:
        return found[0].id
    listed = ", ".join(each.id for each in known)
    if not known:
        raise InputError("The fleet has no repository yet.", "Run `shopfloor up` or `shopfloor submit` in a checkout.")
    if wanted is None:
        raise InputError("The fleet has several repositories.", f"Name one as 'repository': {listed}.")
    if not found:
        raise NotFoundError(f"The fleet knows no repository '{wanted}'.", f"It knows: {listed}.")
    raise InputError(f"{len(found)} repositories are named '{wanted}'.", f"Give the id, one of: {listed}.")
