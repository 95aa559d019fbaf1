"""A bare repository, a person's checkout, and a mirror of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from orchestrator.git import Signature
from orchestrator.mirror import Mirror
from tests.helpers.repositories import make_bare, make_repository
from workers.workspaces.worktree import WorktreeWorkspace, WorktreeWorkspaces

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"a.txt": "one\ntwo\nthree\n", "docs/guide.md": "# Guide\n", ".gitignore": "*.log\ncache/\n"}
SIGNATURE = Signature("Shopfloor", "shopfloor@example.invalid", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
HOSTILE = """
[commit]
    gpgSign = true
[user]
    useConfigOnly = true
[core]
    autocrlf = true
    hooksPath = {hooks}
    excludesFile = {hooks}/excludes
    fsmonitor = {hooks}/any
[merge]
    ff = false
    autoStash = true
[init]
    defaultBranch = trunk
[diff]
    external = false
    noprefix = true
    renames = copies
[fetch]
    prune = true
[push]
    gpgSign = true
    followTags = true
[color]
    ui = always
[gpg]
    program = false
"""


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return make_bare(tmp_path / "origin.git", FILES)


@pytest.fixture
def mirror(tmp_path: Path, origin: Path) -> Mirror:
    made = Mirror(tmp_path / "state" / "mirror.git", str(origin))
    made.ensure()
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "checkout", FILES)


@pytest.fixture
def checkout_mirror(tmp_path: Path, checkout: Path) -> Mirror:
    made = Mirror(tmp_path / "state" / "checkout-mirror.git", str(checkout))
    made.ensure()
    return made


@pytest.fixture
def base(mirror: Mirror) -> str:
    return mirror.fetch_target("main")


@pytest.fixture
def workspaces(tmp_path: Path) -> WorktreeWorkspaces:
    return WorktreeWorkspaces(tmp_path / "state" / "workspaces")


@pytest.fixture
def workspace(workspaces: WorktreeWorkspaces, mirror: Mirror, base: str) -> WorktreeWorkspace:
    return workspaces.prepare(mirror, "t-1-1", base)


@pytest.fixture
def hostile_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up a user's configuration that gets in the way of all it can; returns where its hooks leave a trace."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    trace = tmp_path / "trace"
    for name in ("any", "pre-push", "post-checkout", "post-merge", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {trace}\nexit 1\n")
        (hooks / name).chmod(0o755)
    (hooks / "excludes").write_text("*.py\n")
    config = tmp_path / "gitconfig"
    config.write_text(HOSTILE.format(hooks=hooks))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    return trace
