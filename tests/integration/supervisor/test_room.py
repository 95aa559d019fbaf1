"""A state directory that cannot be written is told of in a sentence, and nothing is started in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import SetupError
from orchestrator.supervision.order import Order
from orchestrator.supervisor import detach, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["file/state", "n" * 300])
def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    order = Order(name="f", state=tmp_path / name, host="h", slots=1)
    with pytest.raises(SetupError, match=r"state directory .* cannot be written"):
        detach(order)
    with pytest.raises(SetupError, match=r"state directory .* cannot be written"):
        run(order, print, print)
