"""An API on loopback over a floor in memory, and clients of every role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from orchestrator.tokens import Role, add_token
from orchestrator.web.app import create_app
from tests.helpers.floors import make_floor, serving

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.services.floor import Floor

OpenClient = Callable[[Role | None], httpx.Client]


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return make_floor(tmp_path)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def url(floor: Floor, tokens: Path) -> Iterator[str]:
    with serving(create_app(floor, tokens)) as served:
        yield served


@pytest.fixture
def client_of(url: str, tokens: Path) -> Iterator[OpenClient]:
    """Open a client whose token has a role and is named after it; None for one without a token."""
    with ExitStack() as stack:

        def open_client(role: Role | None) -> httpx.Client:
            headers = {"Authorization": f"Bearer {add_token(tokens, role, role)}"} if role else {}
            return stack.enter_context(httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30))

        yield open_client


@pytest.fixture
def client(client_of: OpenClient) -> httpx.Client:
    """A client that may do everything."""
    return client_of(Role.ADMIN)
