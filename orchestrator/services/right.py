"""A named right for as long as its holder lives: renewed meanwhile, and soon free where the holder died."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import ShopfloorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.store import Store

_log = logging.getLogger(__name__)

_RENEWALS = 3  # in the time that the right lasts


@contextmanager
def kept(store: Store, name: str, token: str, seconds: float) -> Iterator[None]:
    """Renew a right, that was acquired before, until the end of the block.

    Work that takes long (git over a slow network) keeps its right, however short that is; a holder that was killed
    keeps others waiting no longer than `seconds`. A right orders work and guards nothing: who lost it meanwhile is
    refused by the version of what it writes.
    """
    over = threading.Event()

    def renew() -> None:
        while not over.wait(seconds / _RENEWALS):
            try:
                store.acquire(name, token, seconds)
            except ShopfloorError as error:
                _log.warning("right %s was not renewed now: %s", name, error)

    thread = threading.Thread(target=renew, name=f"right {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
