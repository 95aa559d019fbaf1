"""What is committed of a workspace, and what a reset makes of it, whatever an agent did there."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import GitError, InputError
from orchestrator.mirror import Mirror
from tests.helpers.repositories import commit_bare, git, make_repository
from tests.integration.git.conftest import FILES, SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path

    from workers.workspaces.worktree import WorktreeWorkspace, WorktreeWorkspaces


@pytest.fixture
def _permissions(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.touch(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("whoever runs this may read everything")


def snapshot(workspace: WorktreeWorkspace, parent: str) -> str:
    return workspace.snapshot(parent, "A step", SIGNATURE)


def test_nothing_changed_is_the_parent_itself(workspace: WorktreeWorkspace, base: str) -> None:
    (workspace.path / "my.log").write_text("ignored\n")
    os.utime(workspace.path / "a.txt")
    assert snapshot(workspace, base) == base


def test_a_snapshot_is_one_commit_of_all_that_is_not_ignored(
    workspace: WorktreeWorkspace, mirror: Mirror, base: str
) -> None:
    (workspace.path / "a.txt").write_text("changed\n")
    (workspace.path / "docs" / "guide.md").unlink()
    (workspace.path / "new dir").mkdir()
    (workspace.path / "new dir" / "tool.sh").write_text("#!/bin/sh\n")
    (workspace.path / "new dir" / "tool.sh").chmod(0o755)
    (workspace.path / "my.log").write_text("ignored\n")
    (workspace.path / "cache").mkdir()
    (workspace.path / "cache" / "x").write_text("ignored\n")
    (workspace.path / "outside").symlink_to("/etc/passwd")
    made = snapshot(workspace, base)
    changed = {change.path: (change.kind.value, change.mode) for change in mirror.changes(base, made)}
    assert changed == {
        "a.txt": ("M", "100644"),
        "docs/guide.md": ("D", "000000"),
        "new dir/tool.sh": ("A", "100755"),
        "outside": ("A", "120000"),
    }
    assert mirror.read(made, "outside") == b"/etc/passwd"
    assert git(mirror.path, "show", "--no-patch", "--format=%P|%an|%s", made) == f"{base}|Shopfloor|A step"
    assert snapshot(workspace, made) == made


def test_the_same_work_gives_the_same_commit(workspaces: WorktreeWorkspaces, mirror: Mirror, base: str) -> None:
    made = set()
    for name in ("t-1-1", "t-1-2"):
        workspace = workspaces.prepare(mirror, name, base)
        (workspace.path / "new").write_text("new\n")
        made.add(snapshot(workspace, base))
    assert len(made) == 1


def test_a_file_changed_at_once_and_to_the_same_size_is_seen(
    workspaces: WorktreeWorkspaces, mirror: Mirror, base: str
) -> None:
    for number in range(5):
        workspace = workspaces.prepare(mirror, f"t-1-{number}", base)
        (workspace.path / "a.txt").write_text("ONE\ntwo\nthree\n")
        assert snapshot(workspace, base) != base


def test_whatever_the_agent_does_with_git_the_snapshot_is_its_files_on_the_parent(
    workspace: WorktreeWorkspace, mirror: Mirror, base: str
) -> None:
    inside = workspace.path
    git(inside, "switch", "--quiet", "-c", "mine")
    (inside / "a.txt").write_text("first\n")
    git(inside, "commit", "--quiet", "--all", "-m", "Mine")
    git(inside, "switch", "--quiet", "--orphan", "nothing-before")
    (inside / "a.txt").write_text("hidden\n")
    (inside / "docs").mkdir(exist_ok=True)
    (inside / "docs" / "guide.md").write_text("# Guide\n")
    (inside / ".gitignore").write_text(FILES[".gitignore"])
    git(inside, "add", "--force", ".")
    git(inside, "update-index", "--skip-worktree", "a.txt")
    git(inside, "update-index", "--assume-unchanged", "docs/guide.md")
    made = snapshot(workspace, base)
    assert git(mirror.path, "rev-list", "--parents", "-1", made) == f"{made} {base}"
    assert [change.path for change in mirror.changes(base, made)] == ["a.txt"]
    assert mirror.read(made, "a.txt") == b"hidden\n"


@pytest.mark.parametrize("instead", ["nothing", "directory", "other repository", "dangling file"])
def test_a_git_directory_that_was_rewritten_changes_nothing_and_is_put_back(
    tmp_path: Path, workspace: WorktreeWorkspace, mirror: Mirror, base: str, instead: str
) -> None:
    inner = workspace.path / ".git"
    inner.unlink()
    if instead == "directory":
        git(workspace.path, "init", "--quiet")
        git(workspace.path, "add", ".")
        git(workspace.path, "commit", "--quiet", "-m", "Mine")
    elif instead == "other repository":
        other = make_repository(tmp_path / "other", {"x": "x\n"})
        inner.write_text(f"gitdir: {other / '.git'}\n")
    elif instead == "dangling file":
        inner.write_text("gitdir: /nowhere\n")
    (workspace.path / "new").write_text("new\n")
    made = snapshot(workspace, base)
    assert [change.path for change in mirror.changes(base, made)] == ["new"]
    workspace.reset(base)
    assert git(workspace.path, "rev-parse", "HEAD") == base
    assert git(workspace.path, "status", "--porcelain") == ""


def test_a_reset_is_exactly_the_commit_but_for_ignored_files(
    workspace: WorktreeWorkspace, mirror: Mirror, origin: Path
) -> None:
    new = commit_bare(origin, {"b.txt": "b\n", "docs/guide.md": "# New\n"}, "More")
    assert mirror.fetch_target("main") == new
    inside = workspace.path
    git(inside, "switch", "--quiet", "-c", "mine")
    (inside / "a.txt").write_text("mine\n")
    git(inside, "commit", "--quiet", "--all", "-m", "Mine")
    (inside / "docs" / "guide.md").unlink()
    (inside / "docs").rmdir()
    (inside / "docs").write_text("a file now\n")
    (inside / "untracked").mkdir()
    make_repository(inside / "untracked" / "nested", {"x": "x\n"})
    (inside / "my.log").write_text("ignored\n")
    workspace.reset(new)
    assert git(inside, "rev-parse", "HEAD") == new
    assert git(inside, "status", "--porcelain", "--ignored") == "!! my.log"
    assert (inside / "a.txt").read_text() == FILES["a.txt"]
    assert (inside / "b.txt").is_file()
    assert snapshot(workspace, new) == new


def test_a_reset_ends_a_merge_that_was_begun(workspace: WorktreeWorkspace, base: str) -> None:
    inside = workspace.path
    git(inside, "switch", "--quiet", "-c", "mine")
    (inside / "a.txt").write_text("mine\n")
    git(inside, "commit", "--quiet", "--all", "-m", "Mine")
    git(inside, "switch", "--quiet", "--detach", base)
    (inside / "a.txt").write_text("other\n")
    git(inside, "commit", "--quiet", "--all", "-m", "Other")
    git(inside, "merge", "mine", ok=(1,))
    assert "unmerged" in git(inside, "status")
    workspace.reset(base)
    assert "nothing to commit" in git(inside, "status")


def test_a_reset_to_an_unknown_commit_fails_and_leaves_the_account_of_files_as_it_was(
    workspace: WorktreeWorkspace, base: str
) -> None:
    with pytest.raises(GitError):
        workspace.reset("1" * 40)
    assert snapshot(workspace, base) == base


@pytest.mark.parametrize("with_commit", [True, False])
def test_a_repository_inside_is_refused_by_name_and_taken_once_its_git_is_gone(
    workspace: WorktreeWorkspace, mirror: Mirror, base: str, *, with_commit: bool
) -> None:
    inner = make_repository(workspace.path / "vendor" / "lib", {"x.c": "x\n"} if with_commit else {})
    (inner / "x.c").write_text("x\n")
    with pytest.raises(InputError, match="vendor/lib") as caught:
        snapshot(workspace, base)
    assert ".git" in caught.value.remedy
    shutil.rmtree(inner / ".git")
    made = snapshot(workspace, base)
    assert [change.path for change in mirror.changes(base, made)] == ["vendor/lib/x.c"]


def test_an_ignored_repository_inside_is_no_matter(workspace: WorktreeWorkspace, base: str) -> None:
    make_repository(workspace.path / "cache" / "lib", {"x.c": "x\n"})
    assert snapshot(workspace, base) == base


def test_git_made_in_a_tracked_directory_hides_none_of_its_files(
    workspace: WorktreeWorkspace, mirror: Mirror, base: str
) -> None:
    git(workspace.path / "docs", "init", "--quiet")
    (workspace.path / "docs" / "guide.md").write_text("# Changed\n")
    made = snapshot(workspace, base)
    assert mirror.read(made, "docs/guide.md") == b"# Changed\n"


def test_pipes_and_sockets_are_passed_over_but_not_in_place_of_a_file(
    workspace: WorktreeWorkspace, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(workspace.path / "pipe")
    monkeypatch.chdir(workspace.path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert snapshot(workspace, base) == base
        (workspace.path / "a.txt").unlink()
        os.mkfifo(workspace.path / "a.txt")
        with pytest.raises(InputError, match=r"no regular file where one was: a\.txt"):
            snapshot(workspace, base)
    workspace.reset(base)
    assert (workspace.path / "a.txt").read_text() == FILES["a.txt"]


@pytest.mark.usefixtures("_permissions")
@pytest.mark.parametrize("path", ["secret/x", "secret.txt"])
def test_what_cannot_be_read_is_refused_by_name(workspace: WorktreeWorkspace, base: str, path: str) -> None:
    file = workspace.path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    (workspace.path / path.partition("/")[0]).chmod(0)
    with pytest.raises(InputError, match="cannot be read: secret"):
        snapshot(workspace, base)
    workspace.reset(base)
    assert not os.path.lexists(file)


@pytest.mark.usefixtures("_permissions")
def test_directories_that_may_not_be_written_are_reset_and_removed(workspace: WorktreeWorkspace, base: str) -> None:
    (workspace.path / "docs" / "guide.md").unlink()
    (workspace.path / "docs").chmod(0o500)
    workspace.reset(base)
    assert (workspace.path / "docs" / "guide.md").read_text() == "# Guide\n"
    deep = workspace.path / "cache" / "deep"
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")
    deep.chmod(0)
    deep.parent.chmod(0o500)
    workspace.remove()
    assert list(workspace.path.parent.parent.rglob("deep")) == []


def test_a_workspace_replaced_by_a_link_is_not_followed(
    tmp_path: Path, workspace: WorktreeWorkspace, base: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "diary").write_text("private\n")
    shutil.rmtree(workspace.path)
    workspace.path.symlink_to(home)
    with pytest.raises(GitError, match="something else is in its place"):
        snapshot(workspace, base)
    with pytest.raises(GitError):
        workspace.reset(base)
    workspace.remove()
    assert (home / "diary").is_file()
    assert not os.path.lexists(workspace.path)


def test_filters_hooks_and_monitors_that_an_agent_configured_do_not_run(
    tmp_path: Path, workspace: WorktreeWorkspace, mirror: Mirror, base: str
) -> None:
    trace = tmp_path / "ran"
    inside = workspace.path
    hook = mirror.path / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trace}\n")
    hook.chmod(0o755)
    git(inside, "config", "extensions.worktreeConfig", "true")
    for scope in ("--local", "--worktree"):
        git(inside, "config", scope, "filter.evil.clean", f"touch {trace}; cat")
        git(inside, "config", scope, "filter.evil.smudge", f"touch {trace}; cat")
        git(inside, "config", scope, "core.fsmonitor", f"touch {trace}; false")
    trace.unlink(missing_ok=True)
    (inside / ".gitattributes").write_text("* filter=evil\n")
    (inside / "new").write_text("new\n")
    made = snapshot(workspace, base)
    workspace.reset(made)
    assert mirror.read(made, "new") == b"new\n"
    assert not trace.exists()


def test_a_submodule_that_an_agent_filled_stays_where_it_is_and_nothing_of_it_runs(
    tmp_path: Path, workspaces: WorktreeWorkspaces
) -> None:
    inner = make_repository(tmp_path / "inner", {"x": "x\n"})
    outer = make_repository(tmp_path / "outer", FILES)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    git(outer, "commit", "--quiet", "-m", "Submodule")
    mirror = Mirror(tmp_path / "state" / "outer.git", str(outer))
    mirror.ensure()
    base = mirror.fetch_target("main")
    workspace = workspaces.prepare(mirror, "t-2-1", base)
    assert snapshot(workspace, base) == base
    trace = tmp_path / "ran"
    shutil.rmtree(workspace.path / "sub")
    filled = make_repository(workspace.path / "sub", {"y": "y\n"})
    git(filled, "config", "core.fsmonitor", f"touch {trace}; false")
    (filled / "y").write_text("changed\n")
    trace.unlink(missing_ok=True)
    (workspace.path / "new").write_text("new\n")
    made = snapshot(workspace, base)
    assert [change.path for change in mirror.changes(base, made)] == ["new"]
    workspace.reset(base)
    assert not trace.exists()


@pytest.mark.usefixtures("hostile_configuration")
def test_a_users_configuration_does_not_change_what_is_committed(
    tmp_path: Path, workspaces: WorktreeWorkspaces, mirror: Mirror
) -> None:
    base = mirror.fetch_target("main")
    workspace = workspaces.prepare(mirror, "t-1-1", base)
    (workspace.path / "new.py").write_bytes(b"a\r\nb\n")
    made = snapshot(workspace, base)
    assert mirror.read(made, "new.py") == b"a\r\nb\n"
    assert not (tmp_path / "trace").exists()
