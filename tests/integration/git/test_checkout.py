"""What is found where a command is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.checkout import Checkout, find_checkout
from orchestrator.errors import InputError
from tests.helpers.repositories import git, make_repository


def test_a_checkout_is_found_from_anywhere_in_it(checkout: Path) -> None:
    found = Checkout(checkout, checkout / ".git", None, "main", empty=False, dirty=False)
    assert find_checkout(checkout) == found
    assert find_checkout(checkout / "docs") == found


def test_a_remote_is_the_tracked_one_then_origin_then_the_only_one(tmp_path: Path, checkout: Path) -> None:
    git(checkout, "remote", "add", "company", "https://example.invalid/x.git")
    assert find_checkout(checkout).remote_url == "https://example.invalid/x.git"
    git(checkout, "remote", "add", "other", "git@example.invalid:x.git")
    assert find_checkout(checkout).remote_url is None
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(checkout, "remote", "add", "origin", "../origin.git")
    assert find_checkout(checkout).remote_url == str(tmp_path / "origin.git")
    git(checkout, "config", "branch.main.remote", "other")
    git(checkout, "config", "branch.main.merge", "refs/heads/main")
    assert find_checkout(checkout).remote_url == "git@example.invalid:x.git"


def test_a_detached_a_dirty_and_an_empty_checkout_are_told(tmp_path: Path, checkout: Path) -> None:
    git(checkout, "switch", "--quiet", "--detach")
    (checkout / "untracked").write_text("x")
    assert (find_checkout(checkout).head_branch, find_checkout(checkout).dirty) == (None, False)
    (checkout / "a.txt").write_text("mine\n")
    assert find_checkout(checkout).dirty
    empty = find_checkout(make_repository(tmp_path / "empty", {}, branch="trunk"))
    assert (empty.empty, empty.head_branch, empty.dirty) == (True, "trunk", False)


def test_a_linked_worktree_is_a_checkout(tmp_path: Path, checkout: Path) -> None:
    git(checkout, "worktree", "add", "--quiet", "-b", "topic", str(tmp_path / "linked"))
    found = find_checkout(tmp_path / "linked")
    assert (found.root, found.head_branch) == (tmp_path / "linked", "topic")
    assert found.git_dir == checkout / ".git" / "worktrees" / "linked"


@pytest.mark.usefixtures("hostile_configuration")
def test_variables_of_a_hook_that_started_us_do_not_mislead(checkout: Path) -> None:
    found = find_checkout(checkout)
    assert (found.root, found.empty, found.dirty) == (checkout, False, False)


def test_where_there_is_no_git_that_is_said(checkout: Path) -> None:
    program = "import sys; from orchestrator.cli.main import run; sys.exit(run(['tasks']))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=checkout,
        env={"PATH": str(checkout), "PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "Error: There is no git to start on PATH.\nInstall git, or correct PATH.\n"


def test_what_is_no_checkout_is_refused_with_a_remedy(tmp_path: Path, origin: Path) -> None:
    for path, words in (
        (tmp_path, "is not in a git repository"),
        (tmp_path / "gone", "There is no directory"),
        (origin, "is a bare repository"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            find_checkout(path)
        assert caught.value.remedy
