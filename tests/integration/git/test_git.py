"""How git is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import GitError, InputError, SetupError
from orchestrator.git import Git, checked_ref, git_directory
from tests.helpers.repositories import git, make_repository, tip

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failure_names_the_command_its_exit_code_and_gits_own_words(origin: Path) -> None:
    with pytest.raises(
        GitError, match=r"git rev-parse --verify nope failed \(exit 128\): fatal: Needed a single revision"
    ):
        Git(origin).run("rev-parse", "--verify", "nope")


def test_an_expected_exit_code_is_no_failure(origin: Path) -> None:
    assert Git(origin).run("rev-parse", "--verify", "--quiet", "nope", ok=(0, 1)) == b""


def test_a_failure_hides_the_credentials_of_a_url(origin: Path) -> None:
    with pytest.raises(GitError) as caught:
        Git(origin).run("fetch", "https://user:secret@localhost:1/x.git")
    assert "secret" not in str(caught.value)
    assert "***@localhost" in str(caught.value)


def test_variables_of_the_caller_do_not_choose_the_repository(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other", {"b": "b\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git" / "objects"))
    assert Git(origin).run("rev-parse", "main").decode().strip() == tip(origin)


def test_the_users_configuration_is_read_only_when_it_is_asked_for(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[some]\n\tkey = theirs\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert Git(origin).ask("config", "some.key").code == 1
    assert Git(origin, as_user=True).run("config", "some.key") == b"theirs\n"


def test_a_command_that_hangs_is_killed_with_what_it_started(origin: Path) -> None:
    with pytest.raises(GitError, match=r"took longer than 0\.2 seconds"):
        Git(origin).run("-c", "alias.hang=!sleep 60 | cat", "hang", timeout=0.2)


def test_the_beginning_of_an_endless_output_is_all_that_is_read(origin: Path) -> None:
    text, complete = Git(origin).beginning(10, "-c", "alias.flood=!yes", "flood")
    assert (text, complete) == (b"y\ny\ny\ny\ny\n", False)


def test_a_short_output_is_read_whole_and_its_failure_is_raised(origin: Path) -> None:
    assert Git(origin).beginning(100, "rev-parse", "main") == (f"{tip(origin)}\n".encode(), True)
    with pytest.raises(GitError, match="exit 128"):
        Git(origin).beginning(100, "rev-parse", "nope")


def test_a_directory_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="is not there"):
        Git(tmp_path / "gone").run("status")


def test_a_machine_without_git_is_told_to_install_it(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError, match="git is not installed"):
        Git(origin, environment={"PATH": "/nowhere"}).run("version")


@pytest.mark.parametrize("ref", ["main", "a/b", "refs/heads/shopfloor/t-1-fix", "täsk", "v1.0", "a-b_c"])
def test_a_name_that_git_allows_is_taken(ref: str, origin: Path) -> None:
    assert checked_ref(ref) == ref
    git(origin, "check-ref-format", "--allow-onelevel", ref)


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-f",
        "a b",
        "a..b",
        "a.lock",
        "a/",
        "/a",
        "a//b",
        ".a",
        "a/.b",
        "a~1",
        "a^",
        "a:b",
        "a\n",
        "@",
        "a@{1}",
        "a*",
    ],
)
def test_a_name_that_git_does_not_allow_is_refused(ref: str) -> None:
    with pytest.raises(InputError, match="not a name that git allows"):
        checked_ref(ref)


def test_a_repository_is_found_at_its_own_path_only(tmp_path: Path, origin: Path, checkout: Path) -> None:
    git(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert git_directory(origin) == origin
    assert git_directory(checkout) == checkout / ".git"
    assert git_directory(tmp_path / "linked") == checkout / ".git" / "worktrees" / "linked"
    assert git_directory(checkout / "docs") is None
    assert git_directory(tmp_path / "nothing") is None
