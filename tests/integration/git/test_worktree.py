"""What a worktree of the mirror gives an attempt, and what becomes of what is done in it."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import inherited_environment
from orchestrator.errors import InputError
from orchestrator.mirror import Mirror
from tests.helpers.repositories import git, make_bare, refs
from tests.integration.git.conftest import FILES, SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path

    from workers.workspaces.worktree import WorktreeWorkspace, WorktreeWorkspaces


def left(workspaces_root: Path, mirror: Mirror) -> list[str]:
    """List what is left of any workspace, on disk and in git."""
    roots = [workspaces_root / part for part in ("trees", "records", "trash")] + [mirror.path / "worktrees"]
    return [str(path) for root in roots if root.is_dir() for path in root.iterdir()]


def root_of(workspace: WorktreeWorkspace) -> Path:
    return workspace.path.parent.parent


def test_a_workspace_holds_the_files_of_the_commit_and_git_works_in_it(workspace: WorktreeWorkspace, base: str) -> None:
    assert {name: (workspace.path / name).read_text() for name in FILES} == FILES
    assert git(workspace.path, "rev-parse", "HEAD") == base
    assert git(workspace.path, "status", "--porcelain") == ""
    assert git(workspace.path, "branch", "--show-current") == ""


def test_an_agent_without_any_configuration_can_commit(workspace: WorktreeWorkspace, tmp_path: Path) -> None:
    environment = {"PATH": inherited_environment()["PATH"], "HOME": str(tmp_path / "nowhere")}
    (workspace.path / "a.txt").write_text("mine\n")
    subprocess.run(["git", "commit", "-qam", "Mine"], cwd=workspace.path, env=environment, check=True)


def test_many_workspaces_are_prepared_at_once_and_share_nothing(
    workspaces: WorktreeWorkspaces, mirror: Mirror, base: str
) -> None:
    def work(number: int) -> tuple[str, ...]:
        workspace = workspaces.prepare(mirror, f"t-{number}-1", base)
        (workspace.path / f"n{number}").write_text("x\n")
        made = workspace.snapshot(base, "A step", SIGNATURE)
        workspace.remove()
        return tuple(change.path for change in mirror.changes(base, made))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(16))) == [(f"n{number}",) for number in range(16)]


def test_a_workspace_is_found_again_and_prepared_again_as_a_reset(
    workspaces: WorktreeWorkspaces, mirror: Mirror, base: str, workspace: WorktreeWorkspace
) -> None:
    (workspace.path / "my.log").write_text("ignored\n")
    (workspace.path / "untracked").write_text("x\n")
    found = workspaces.find(mirror, "t-1-1")
    assert found is not None
    assert found.path == workspace.path
    assert workspaces.find(mirror, "t-1-2") is None
    again = workspaces.prepare(mirror, "t-1-1", base)
    assert {path.name for path in again.path.iterdir()} == {".git", ".gitignore", "a.txt", "docs", "my.log"}


@pytest.mark.parametrize("half", ["registered only", "no account of files", "files only", "record only"])
def test_what_a_crash_left_half_made_is_made_anew(
    workspaces: WorktreeWorkspaces, mirror: Mirror, base: str, workspace: WorktreeWorkspace, half: str
) -> None:
    record = root_of(workspace) / "records" / "t-1-1"
    if half == "registered only":
        shutil.rmtree(workspace.path)
        shutil.rmtree(record)
    elif half == "no account of files":
        (record / "index").unlink()
    elif half == "files only":
        shutil.rmtree(mirror.path / "worktrees")
        shutil.rmtree(record)
    else:
        shutil.rmtree(workspace.path)
        shutil.rmtree(mirror.path / "worktrees")
    assert git(workspaces.prepare(mirror, "t-1-1", base).path, "status", "--porcelain") == ""


def test_removing_leaves_nothing_and_may_be_asked_again(workspace: WorktreeWorkspace, mirror: Mirror) -> None:
    git(workspace.path, "switch", "--quiet", "-c", "mine")
    git(workspace.path, "switch", "--quiet", "-c", "yours/too")
    git(workspace.path, "worktree", "lock", str(workspace.path))
    workspace.remove()
    workspace.remove()
    assert left(root_of(workspace), mirror) == []
    assert [ref for ref in refs(mirror.path) if ref.startswith("refs/heads/")] == []


def test_a_branch_that_another_workspace_is_on_is_not_removed(
    workspaces: WorktreeWorkspaces, mirror: Mirror, base: str, workspace: WorktreeWorkspace
) -> None:
    other = workspaces.prepare(mirror, "t-2-1", base)
    git(workspace.path, "switch", "--quiet", "-c", "shared")
    git(workspace.path, "switch", "--quiet", "--detach")
    git(other.path, "switch", "--quiet", "shared")
    workspace.remove()
    assert git(other.path, "rev-parse", "HEAD") == base


def test_a_sweep_removes_what_nobody_keeps_whole_or_half(
    tmp_path: Path, workspaces: WorktreeWorkspaces, mirror: Mirror, base: str
) -> None:
    other = Mirror(tmp_path / "state" / "other.git", str(make_bare(tmp_path / "other.git", {"x": "x\n"})))
    other.ensure()
    kept = workspaces.prepare(mirror, "t-1-1", base)
    workspaces.prepare(mirror, "t-2-1", base)
    shutil.rmtree(workspaces.prepare(other, "t-3-1", other.fetch_target("main")).path)
    (root_of(kept) / "trash" / "old").mkdir(parents=True)
    assert workspaces.sweep({"t-1-1"}) == ("t-2-1", "t-3-1")
    assert workspaces.sweep({"t-1-1"}) == ()
    assert git(kept.path, "status", "--porcelain") == ""
    assert left(root_of(kept), other) == [str(kept.path), str(root_of(kept) / "records" / "t-1-1")]
    assert workspaces.sweep(set()) == ("t-1-1",)
    assert left(root_of(kept), mirror) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".x", "a b", "x.lock"])
def test_a_name_that_leads_elsewhere_is_refused(
    workspaces: WorktreeWorkspaces, mirror: Mirror, base: str, name: str
) -> None:
    with pytest.raises(InputError, match="cannot name a workspace"):
        workspaces.prepare(mirror, name, base)
