"""Which fleet and which repository a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.desk import Access, choose_repository, open_access
from orchestrator.config import settings
from orchestrator.desks.direct import DirectDesk
from orchestrator.desks.remote import RemoteDesk
from orchestrator.errors import InputError, NotFoundError, UnreachableError
from orchestrator.place import repository_of
from tests.helpers.floors import FILES, make_floor
from tests.helpers.repositories import make_repository
from tests.helpers.tasks import make_repository as known_repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOPFLOOR_API_URL", "SHOPFLOOR_TOKEN", "SHOPFLOOR_REDIS_URL", "SHOPFLOOR_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "checkout", FILES)


def test_a_checkout_without_a_fleet_is_told_how_to_start_one(checkout: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        open_access(checkout)
    assert str(caught.value) == "No fleet is running for this checkout. Start one with `shopfloor up`."


def test_outside_of_a_checkout_the_environment_must_name_a_fleet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SHOPFLOOR_API_URL or SHOPFLOOR_REDIS_URL"):
        open_access(tmp_path)


def test_an_api_comes_before_a_redis(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFLOOR_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SHOPFLOOR_REDIS_URL", "redis://127.0.0.1:9/0")
    with pytest.raises(InputError, match="SHOPFLOOR_TOKEN is not"):
        open_access(checkout)
    monkeypatch.setenv("SHOPFLOOR_TOKEN", "t")
    access = open_access(checkout)
    assert isinstance(access.desk, RemoteDesk)
    access.close()


def test_a_redis_that_does_not_answer_is_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFLOOR_REDIS_URL", "redis://127.0.0.1:9/0")
    with pytest.raises(UnreachableError):
        open_access(tmp_path)


def test_the_checkouts_repository_is_made_known_where_that_may_be(tmp_path: Path, checkout: Path) -> None:
    floor = make_floor(tmp_path)
    own = repository_of(checkout, settings())
    desk = DirectDesk(floor, who="ann")
    with pytest.raises(NotFoundError, match="does not know the repository"):
        choose_repository(Access(desk, checkout), None)
    assert choose_repository(Access(desk, checkout, floor.store.add_repository), None) == own
    assert own in desk.repositories()
    assert choose_repository(Access(desk, checkout), None) == own


def test_a_checkout_that_is_not_set_up_is_told_so(tmp_path: Path) -> None:
    bare = make_repository(tmp_path / "plain", {"a": "b"})
    with pytest.raises(InputError, match="shopfloor init"):
        choose_repository(Access(DirectDesk(make_floor(tmp_path), who="ann"), bare), None)


def test_a_fleet_without_a_repository_says_how_one_becomes_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = DirectDesk(make_floor(tmp_path), who="ann")
    monkeypatch.setattr(desk, "repositories", list)
    with pytest.raises(InputError, match="in a checkout of one"):
        choose_repository(Access(desk, tmp_path), None)


def test_outside_of_a_checkout_the_only_repository_is_meant(tmp_path: Path) -> None:
    floor = make_floor(tmp_path)
    access = Access(DirectDesk(floor, who="ann"), tmp_path)
    assert choose_repository(access, None).id == "web-1"
    floor.store.add_repository(known_repository("other-1", name="web"))
    with pytest.raises(InputError, match="not plain which repository"):
        choose_repository(access, None)
    assert choose_repository(access, "other-1").id == "other-1"
    with pytest.raises(InputError, match="2 repositories are named 'web'"):
        choose_repository(access, "web")
