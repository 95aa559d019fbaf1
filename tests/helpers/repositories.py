"""Makes and reads real git repositories, whatever the configuration of the user who runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from orchestrator.config import inherited_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.invalid",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.invalid",
}
_NOBODYS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def git(path: Path, *args: str, ok: tuple[int, ...] = (0,), stdin: str = "") -> str:
    """Run git in a directory as a person called Test with no configuration, and return what it wrote."""
    inherited = {name: value for name, value in inherited_environment().items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *args],
        cwd=path,
        env={**inherited, **_NOBODYS, **_IDENTITY},
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    assert done.returncode in ok, f"git {' '.join(args)}: {done.stderr}"
    return done.stdout.strip()


def make_repository(path: Path, files: Mapping[str, str], branch: str = "main") -> Path:
    """Make a repository with a working tree whose first commit holds some files; with no file, no commit either."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", f"--initial-branch={branch}")
    if files:
        commit(path, files, "Begin")
    return path


def make_bare(path: Path, files: Mapping[str, str], branch: str = "main") -> Path:
    """Make a bare repository whose first commit holds some files; without files, one without a commit."""
    source = make_repository(path.with_name(f"{path.name}.source"), files, branch)
    git(path.parent, "clone", "--quiet", "--bare", str(source), str(path))
    git(path, "remote", "remove", "origin")
    return path


def commit(path: Path, files: Mapping[str, str | None], message: str) -> str:
    """Write files (None deletes one) in a working tree, commit exactly these, and return the commit."""
    for name, content in files.items():
        file = path / name
        if content is None:
            file.unlink()
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    git(path, "add", "--all", "--force", "--", *files)
    git(path, "commit", "--quiet", "--allow-empty", "--message", message)
    return tip(path, "HEAD")


def commit_bare(path: Path, files: Mapping[str, str], message: str, branch: str = "main") -> str:
    """Commit files on top of a branch of a bare repository, as somebody would by pushing, and return the commit."""
    made = path.with_name(f"{path.name}.pushing")
    git(path.parent, "clone", "--quiet", "--branch", branch, str(path), str(made))
    sha = commit(made, files, message)
    git(made, "push", "--quiet", "origin", branch)
    shutil.rmtree(made)
    return sha


def tip(path: Path, ref: str = "main") -> str:
    """Return the commit that a ref is at."""
    return git(path, "rev-parse", "--verify", f"{ref}^{{commit}}")


def show(path: Path, rev: str, file: str) -> str:
    """Return the content of a file in a commit, without blanks at its end."""
    return git(path, "show", f"{rev}:{file}")


def refs(path: Path) -> dict[str, str]:
    """Return every ref of a repository with the commit it is at."""
    lines = git(path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)
