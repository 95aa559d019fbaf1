"""What `up` was asked for."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.repository import Repository


class Order(Frozen):
    """What to start on this machine, and where.

    Args:
        name: The fleet's name here.
        state: The state directory of what is started.
        host: This host's name in the fleet.
        slots: How many attempts run at once here.
        capabilities: What this host offers.
        redis_url: The fleet's Redis; None: start one for it.
        control: Whether to start all that a fleet needs once, and not this host's worker alone.
        port: The API's port; None: any that is free.
        flower: Whether to start Flower.
        repository: The repository of the checkout that `up` was given in, to make it known to the fleet.
    """

    name: str
    state: Path
    host: str
    slots: int = Field(ge=1)
    capabilities: tuple[str, ...] = ()
    redis_url: str | None = Field(default=None, repr=False)
    control: bool = True
    port: int | None = None
    flower: bool = False
    repository: Repository | None = None


class Summary(Frozen):
    """What came of it, once tasks can be taken."""

    pid: int
    api_url: str | None = None
    flower_url: str | None = None
