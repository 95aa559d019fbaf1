"""Which repository a checkout is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config import Settings, settings
from orchestrator.errors import InputError
from orchestrator.place import register_repository, repository_of
from orchestrator.stores.memory import MemoryStore
from tests.helpers.repositories import git, make_bare, make_repository

if TYPE_CHECKING:
    from pathlib import Path

POLICY = 'version: 1\ntarget: main\nagents:\n  default: {kind: command, command: ["true"]}\n'
FILES = {".shopfloor/repo.yaml": POLICY}


@pytest.fixture
def told(tmp_path: Path) -> Settings:
    return settings({"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "url",
    [
        "https://forge.example/team/Floor.git",
        "https://me:secret@Forge.example:443/team/Floor",
        "git@forge.example:team/Floor.git",
        "ssh://git@forge.example:22/team/Floor/",
    ],
)
def test_every_spelling_of_a_remote_is_one_repository(tmp_path: Path, told: Settings, url: str) -> None:
    checkout = make_repository(tmp_path / "r", FILES)
    git(checkout, "remote", "add", "origin", url)
    found = repository_of(checkout, told)
    assert (found.id, found.url, found.target) == ("floor-f278946b60", url, "main")


def test_another_port_is_another_repository(tmp_path: Path, told: Settings) -> None:
    ids = set()
    for port in (3000, 4000):
        checkout = make_repository(tmp_path / str(port), FILES)
        git(checkout, "remote", "add", "origin", f"http://localhost:{port}/r.git")
        ids.add(repository_of(checkout, told).id)
    assert len(ids) == 2


def test_a_clone_and_its_local_remote_are_one_repository(tmp_path: Path, told: Settings) -> None:
    bare = make_bare(tmp_path / "hub.git", FILES)
    git(tmp_path, "clone", "--quiet", str(bare), "a")
    git(tmp_path, "clone", "--quiet", f"file://{bare}", "b")
    first, second = repository_of(tmp_path / "a", told), repository_of(tmp_path / "b", told)
    assert first.id == second.id
    assert first.name == "hub"


def test_without_a_remote_it_is_the_main_checkout_itself(tmp_path: Path, told: Settings) -> None:
    main = make_repository(tmp_path / "r", FILES)
    git(main, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    found = repository_of(main, told)
    assert found.url == str(main)
    assert repository_of(tmp_path / "linked", told) == found


def test_the_target_is_what_the_working_tree_says_else_head_else_the_default_branch(
    tmp_path: Path, told: Settings
) -> None:
    checkout = make_repository(tmp_path / "r", FILES)
    git(checkout, "branch", "next")
    policy = checkout / ".shopfloor/repo.yaml"
    policy.write_text(POLICY.replace("main", "next"))
    assert repository_of(checkout, told).target == "next"
    policy.unlink()
    assert repository_of(checkout, told).target == "main"
    git(checkout, "switch", "--quiet", "--orphan", "other")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "Other")
    assert repository_of(checkout, told).target == "main"


def test_a_detached_head_will_do(tmp_path: Path, told: Settings) -> None:
    checkout = make_repository(tmp_path / "r", FILES)
    git(checkout, "switch", "--quiet", "--detach")
    assert repository_of(checkout, told).target == "main"


def test_an_empty_repository_is_refused(tmp_path: Path, told: Settings) -> None:
    with pytest.raises(InputError, match="no commit yet"):
        repository_of(make_repository(tmp_path / "r", {}), told)


def test_a_repository_without_a_policy_is_refused(tmp_path: Path, told: Settings) -> None:
    with pytest.raises(InputError, match="shopfloor init"):
        repository_of(make_repository(tmp_path / "r", {"a": "1"}), told)


def test_a_missing_target_branch_is_refused(tmp_path: Path, told: Settings) -> None:
    checkout = make_repository(tmp_path / "r", FILES, branch="trunk")
    with pytest.raises(InputError, match="no branch 'main'"):
        repository_of(checkout, told)


def test_a_policy_that_cannot_be_used_is_told_with_its_line(tmp_path: Path, told: Settings) -> None:
    checkout = make_repository(tmp_path / "r", {".shopfloor/repo.yaml": "version: 1\ntarget: [\n"})
    with pytest.raises(InputError, match=r"repo\.yaml:\d"):
        repository_of(checkout, told)


def test_registering_again_updates_the_target(tmp_path: Path, told: Settings) -> None:
    store = MemoryStore()
    repository = repository_of(make_repository(tmp_path / "r", FILES), told)
    register_repository(store, repository)
    register_repository(store, repository)
    moved = repository.model_copy(update={"target": "next"})
    register_repository(store, moved)
    assert store.repositories() == [moved]
