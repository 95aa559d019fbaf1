"""Sets the stage: the repository, and what is asked for."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from git import Actor, Repo

from orchestrator.services.submit import Submission

if TYPE_CHECKING:
    from pathlib import Path

_AUTHOR = Actor("Shopfloor demo", "demo@localhost")


def make_repository(path: Path) -> Path:
    """Make the demonstration's repository, with one commit on its branch `main`."""
    with as_file(files("orchestrator.demo").joinpath("repository")) as source:
        shutil.copytree(source, path, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "shopfloor").rename(path / ".shopfloor")
    (path / ".shopfloor" / "agents" / "scripted.py").chmod(0o755)
    (path / ".gitignore").write_text("__pycache__/\n", "utf-8")
    repository = Repo.init(path, initial_branch="main")
    repository.git.add(all=True)
    repository.index.commit("Begin the calculator", author=_AUTHOR, committer=_AUTHOR)
    repository.close()
    return path


WORK: tuple[Submission, ...] = (
    Submission(
        key="fix",
        title="fix: subtract() gives the wrong sign",
        body="subtract(5, 3) is -2.",
        scope=("calc/arithmetic.py", "tests/test_arithmetic.py"),
        priority=1,
    ),
    Submission(key="guide", title="docs: write the guide", scope=("docs/index.md",)),
    Submission(
        key="hints",
        title="codemod: add type hints",
        body="Shares calc/arithmetic.py with the first task, so the two never run at once.",
        scope=("calc/arithmetic.py", "calc/report.py"),
    ),
    Submission(
        key="reference",
        title="docs: list every function in the reference",
        body="Depends on the type hints: they are to be in the list.",
        scope=("docs/reference.md",),
        depends_on=("hints",),
    ),
    Submission(
        key="divide",
        title="Add divide(), with an answer for zero",
        body="Its first result fails the tests; their log is the feedback for the second round.",
        scope=("calc/division.py", "tests/test_division.py"),
    ),
    Submission(
        key="circle",
        title="Add the squared circle",
        body="No round of this passes: after the last one a person is asked.",
        scope=("calc/circle.py", "tests/test_circle.py"),
    ),
)
"""Independent ones, two that overlap, one that depends on another, one that needs two rounds, one that never passes."""
