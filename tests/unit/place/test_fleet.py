"""Which fleet a command means, and what its record says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from orchestrator.config import Settings, settings
from orchestrator.errors import InputError, RefusedError, SetupError, UnreachableError
from orchestrator.place import Fleet, find_fleet, read_fleet, write_fleet
from orchestrator.supervision.hold import Hold, holder
from tests.helpers.repositories import git, make_repository


def told(home: Path, **names: str) -> Settings:
    return settings({"HOME": str(home), **names})


def test_linked_worktrees_share_a_fleet_and_other_checkouts_do_not(tmp_path: Path) -> None:
    main = make_repository(tmp_path / "My Project", {"a": "1"})
    other = make_repository(tmp_path / "x" / "My Project", {"a": "1"})
    git(main, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    found = find_fleet(main, told(tmp_path))
    assert find_fleet(tmp_path / "linked", told(tmp_path)) == found
    assert find_fleet(other, told(tmp_path)).name != found.name
    assert found.name.startswith("my-project-")
    assert found.state == tmp_path / ".local/state/shopfloor/fleets" / found.name


def test_looking_for_a_fleet_writes_nothing(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {})
    find_fleet(checkout, told(tmp_path))
    assert not (tmp_path / ".local").exists()
    assert git(checkout, "status", "--porcelain") == ""


def test_a_redis_url_names_a_fleet_anywhere_whatever_its_password(tmp_path: Path) -> None:
    first = find_fleet(tmp_path, told(tmp_path, SHOPFLOOR_REDIS_URL="redis://:one@Redis.example:6379/0"))
    same = find_fleet(tmp_path, told(tmp_path, SHOPFLOOR_REDIS_URL="redis://u:two@redis.example"))
    other = find_fleet(tmp_path, told(tmp_path, SHOPFLOOR_REDIS_URL="redis://redis.example/1"))
    assert first.name == same.name != other.name
    assert first.redis() == "redis://:one@Redis.example:6379/0"
    assert "one" not in first.name


def test_an_api_url_names_a_fleet(tmp_path: Path) -> None:
    fleet = find_fleet(tmp_path, told(tmp_path, SHOPFLOOR_API_URL="https://floor.example", SHOPFLOOR_TOKEN="t"))
    assert (fleet.api_url, fleet.token) == ("https://floor.example", "t")


def test_a_relative_place_for_state_is_not_taken_for_one_in_the_checkout(tmp_path: Path) -> None:
    said = settings({"HOME": str(tmp_path), "XDG_STATE_HOME": "here", "SHOPFLOOR_STATE": "there"})
    assert said.state_home == tmp_path / ".local/state/shopfloor"
    assert said.state == Path("there").absolute()


def test_a_url_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Invalid IPv6 URL"):
        find_fleet(tmp_path, told(tmp_path, SHOPFLOOR_API_URL="http://[bad"))


def test_a_redis_url_with_a_strange_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="port"):
        find_fleet(tmp_path, told(tmp_path, SHOPFLOOR_REDIS_URL="redis://h:x"))


def test_a_directory_outside_of_git_has_no_fleet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not in a git repository"):
        find_fleet(tmp_path, told(tmp_path))


def test_the_record_is_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_fleet(Fleet(name="f", state=state, token="secret"))
    assert stat.S_IMODE((state / "fleet.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert "secret" not in repr(read_fleet("f", state))


def test_what_a_record_says_of_processes_counts_only_while_they_run(tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    written = Fleet(name="f", state=tmp_path, redis_url=url, embedded_url=url, token="t", pid=os.getpid())
    write_fleet(written)
    stale = read_fleet("f", tmp_path)
    assert (stale.pid, stale.redis_url, stale.embedded_url, stale.token) == (None, None, url, "t")
    with pytest.raises(UnreachableError, match="shopfloor up"):
        stale.redis()
    hold = Hold(tmp_path)
    assert read_fleet("f", tmp_path) == written
    hold.release()
    assert read_fleet("f", tmp_path) == stale


def test_a_place_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with pytest.raises(RefusedError, match=f"pid {os.getpid()}"):
        Hold(tmp_path)
    assert holder(tmp_path) == os.getpid()
    hold.release()
    assert holder(tmp_path) is None
    Hold(tmp_path).release()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_damaged_record_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "fleet.json").write_text(text)
    with pytest.raises(SetupError, match="damaged"):
        read_fleet("f", tmp_path)


def test_a_record_of_a_newer_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text('{"token": "t", "more": 1}')
    assert read_fleet("f", tmp_path).token == "t"
