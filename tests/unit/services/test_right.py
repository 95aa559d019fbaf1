"""A right outlives the time that it lasts only for as long as its holder lives."""

from __future__ import annotations

import threading

import pytest

from orchestrator.errors import UnreachableError
from orchestrator.services.right import kept
from orchestrator.stores.memory import MemoryStore

_SHORT = 0.05  # seconds


def test_a_right_is_renewed_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    renewals: list[tuple[str, str, float]] = []
    often = threading.Event()

    def acquire(name: str, token: str, seconds: float) -> bool:
        renewals.append((name, token, seconds))
        if len(renewals) == 3:
            often.set()
        return True

    monkeypatch.setattr(store, "acquire", acquire)
    with kept(store, "merge:R1", "mine", _SHORT):
        assert often.wait(10)
    after = len(renewals)
    assert set(renewals) == {("merge:R1", "mine", _SHORT)}
    assert not [thread for thread in threading.enumerate() if thread.name == "right merge:R1"]
    assert len(renewals) == after


def test_a_renewal_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    tried = threading.Semaphore(0)

    def acquire(*_: object) -> bool:
        tried.release()
        raise UnreachableError("Redis cannot be reached.", "Wait.")

    monkeypatch.setattr(store, "acquire", acquire)
    with kept(store, "merge:R1", "mine", _SHORT):
        assert tried.acquire(timeout=10)
        assert tried.acquire(timeout=10)
    assert "merge:R1 was not renewed" in caplog.text


def test_what_goes_wrong_in_the_block_ends_the_renewals_and_passes_on() -> None:
    with pytest.raises(ValueError, match="of the block"), kept(MemoryStore(), "merge:R1", "mine", _SHORT):
        raise ValueError("of the block")
    assert not [thread for thread in threading.enumerate() if thread.name == "right merge:R1"]
