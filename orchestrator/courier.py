"""The port to the broker: it carries wake-up calls to workers, and the kill switch's broadcast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.store import Wake

CONTROL_QUEUE = "control"
"""Dispatch, reconcile and merge: short work that needs no slot."""

VERIFY_QUEUE = "verify"
"""Verification of candidates, by any host."""

DISPATCH = "shopfloor.dispatch"
RECONCILE = "shopfloor.reconcile"
MERGE = "shopfloor.merge"
PREPARE = "shopfloor.prepare"
CLEAR = "shopfloor.clear"
VERIFY = "shopfloor.verify"


def host_queue(host: str) -> str:
    """The queue of a host's own steps."""
    return f"host.{host}"


def message_id(task_id: str, fence: int, round_number: int, step: str) -> str:
    """The id of a step's message, known to whoever wants to revoke it: `T12.f34.r1.edit`."""
    return f"{task_id}.f{fence}.r{round_number}.{step}"


class Courier(Protocol):
    """Sends messages by name. A message carries ids only."""

    def send(self, wake: Wake) -> bool:
        """Hand a wake to the broker; False where the broker could not be reached (the outbox keeps it)."""

    def revoke(self, message_ids: Sequence[str]) -> None:
        """Broadcast a revocation of messages to every worker that is connected."""
