"""The fleet over HTTP: the kill switch, what is held by whom, the figures, the catalog."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from blueprints.model import Blueprint
from orchestrator.desk import BlueprintView, HostView, Lock, TrainView
from orchestrator.domain.halt import Halt
from orchestrator.domain.repository import Repository
from orchestrator.git import redacted
from orchestrator.services.figures import Figures
from orchestrator.views import view, views
from orchestrator.web.access import Lead, Viewer  # noqa: TC001 - FastAPI reads the annotations
from orchestrator.web.bodies import HaltOrder, ResumeOrder

router = APIRouter(prefix="/v1", tags=["fleet"])

_YEAR = 24 * 366


@router.post("/halt", responses={200: {"model": Halt}})
def halt(desk: Lead, body: HaltOrder | None = None) -> JSONResponse:
    """Stop everything within reach until it is lifted; the whole fleet where nothing is said."""
    order = body or HaltOrder()
    return JSONResponse(view(desk.halt(order.reach, order.name, order.why)))


@router.post("/resume", responses={200: {"model": list[Halt]}})
def resume(desk: Lead, body: ResumeOrder | None = None) -> JSONResponse:
    """Lift halts, all where none is named; answers with those that were lifted."""
    return JSONResponse(views(desk.resume(body.keys if body else ())))


@router.get("/halts", responses={200: {"model": list[Halt]}})
def halts(desk: Viewer) -> JSONResponse:
    """List the halts in force."""
    return JSONResponse(views(desk.halts()))


@router.get("/locks", responses={200: {"model": list[Lock]}})
def locks(desk: Viewer) -> JSONResponse:
    """List every scope that is held, and by which task."""
    return JSONResponse(views(desk.locks()))


@router.get("/hosts", responses={200: {"model": list[HostView]}})
def hosts(desk: Viewer) -> JSONResponse:
    """List the hosts, with what runs on them."""
    return JSONResponse(views(desk.hosts()))


@router.get("/trains", responses={200: {"model": list[TrainView]}})
def trains(desk: Viewer) -> JSONResponse:
    """Show the merge train of each repository: what is being verified, and what is behind it."""
    return JSONResponse(views(desk.trains()))


@router.get("/fleet", responses={200: {"model": Figures}})
def fleet(desk: Viewer, window_hours: Annotated[float, Query(gt=0, le=_YEAR)] = 24.0) -> JSONResponse:
    """Show the fleet's figures: throughput, success, time to change, cost, queue depth."""
    return JSONResponse(view(desk.figures(window_hours)))


@router.get("/repositories", responses={200: {"model": list[Repository]}})
def repositories(desk: Viewer) -> JSONResponse:
    """List the fleet's repositories; a URL is shown without the credentials in it."""
    shown = [each.model_copy(update={"url": redacted(each.url)}) for each in desk.repositories()]
    return JSONResponse(views(shown))


@router.get("/repositories/{repository_id}/blueprints", responses={200: {"model": list[BlueprintView]}})
def blueprints(repository_id: str, desk: Viewer) -> JSONResponse:
    """List the blueprints of a repository, as its target branch has them."""
    return JSONResponse(views(desk.blueprints(repository_id)))


@router.get("/repositories/{repository_id}/blueprints/{name}", responses={200: {"model": Blueprint}})
def blueprint(repository_id: str, name: str, desk: Viewer) -> JSONResponse:
    """Show one blueprint of a repository."""
    return JSONResponse(view(desk.blueprint(repository_id, name)))
