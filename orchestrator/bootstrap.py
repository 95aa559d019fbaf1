"""Wires the ports to their adapters: the one place that knows them all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.couriers.celery import CeleryCourier
from orchestrator.errors import UnreachableError
from orchestrator.forges.local import LocalForge
from orchestrator.mirror import Mirror
from orchestrator.services.floor import Floor
from orchestrator.stores.redis import RedisStore

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.config import Settings
    from orchestrator.domain.repository import Repository
    from orchestrator.forge import Forge


def utc_now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


def open_floor(settings: Settings) -> Floor:
    """The floor of the fleet that the settings name.

    Raises:
        UnreachableError: they name none.
    """
    if settings.redis_url is None:
        raise UnreachableError(
            "No fleet is named here.", "Start one with `shopfloor up`, or set SHOPFLOOR_REDIS_URL to the fleet's Redis."
        )
    state = settings.state or settings.state_home / "shared"
    return Floor(
        store=RedisStore(settings.redis_url),
        courier=CeleryCourier(settings.redis_url),
        clock=utc_now,
        mirror=_Mirrors(state / "mirrors"),
        forge=_forge,
        lease_seconds=settings.lease_seconds,
    )


class _Mirrors:
    """This machine's mirrors, each opened once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: dict[str, Mirror] = {}

    def __call__(self, repository: Repository) -> Mirror:
        if repository.id not in self._opened:
            self._opened[repository.id] = Mirror(self._root / f"{repository.id}.git", repository.url)
        return self._opened[repository.id]


def _forge(_repository: Repository) -> Forge:
    return LocalForge()
