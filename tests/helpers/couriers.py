"""A courier that remembers what it was given, and delivers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.store import Wake


class MemoryCourier:
    """`Courier` without a broker.

    Attributes:
        sent: Every wake that it took, in order.
        revoked: Every message id that was revoked, in order.
        reachable: Whether it takes wakes.
    """

    def __init__(self) -> None:
        self.sent: list[Wake] = []
        self.revoked: list[str] = []
        self.reachable = True

    def send(self, wake: Wake) -> bool:
        """See `Courier.send`."""
        if self.reachable:
            self.sent.append(wake)
        return self.reachable

    def revoke(self, message_ids: Sequence[str]) -> None:
        """See `Courier.revoke`."""
        self.revoked.extend(message_ids)
