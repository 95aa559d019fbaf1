"""The small repository that the benchmark works on, its null agent, and a git that tells what it is asked."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.helpers.repositories import commit, git, make_repository

if TYPE_CHECKING:
    from pathlib import Path

AGENT = ".shopfloor/agents/append.sh"
GATE = "test -s README.md"
VERIFY = "test -s README.md"

_POLICY = f"""\
version: 1
target: main
verify: "{VERIFY}"
agents:
  default: {{kind: command, command: ["{AGENT}"]}}
defaults: {{blueprint: append, scope: ["**"]}}
"""
_BLUEPRINT = f"""\
name: append
description: append a line to a file
rounds: 3
steps:
  - {{name: edit, agent: {{name: default, prompt: "{{{{ task.title }}}}"}}}}
  - {{name: test, run: "{GATE}", gate: true, on_fail: edit, minutes: 1}}
review: {{tier: auto}}
"""
# The null agent: a shell that reads the name of a file and appends a line to it; it starts no other program.
_APPEND = '#!/bin/sh\nread -r name\necho "a line" >> "$name"\n'
_SHIM = '#!/bin/sh\necho "$*" >> "{log}"\nexec "{git}" "$@"\n'
_FILES = 40


def make_small_repository(path: Path) -> Path:
    """Make a bare repository of some forty files in a few directories, with a policy, a blueprint and the agent."""
    source = make_repository(path.with_name(f"{path.name}.source"), {"README.md": "Small\n"})
    files = {f"src/part{number % 5}/file{number}.txt": f"line {number}\n" * 20 for number in range(_FILES)}
    agent = source / AGENT
    agent.parent.mkdir(parents=True)
    agent.write_text(_APPEND, "utf-8")
    agent.chmod(0o755)
    files |= {".shopfloor/repo.yaml": _POLICY, ".shopfloor/blueprints/append.yaml": _BLUEPRINT, AGENT: _APPEND}
    commit(source, files, "Add files")
    git(path.parent, "clone", "--quiet", "--bare", str(source), str(path))
    git(path, "remote", "remove", "origin")
    return path


def telling_git(directory: Path) -> tuple[Path, Path]:
    """Make a directory for the front of PATH whose git writes its arguments to a file; returns both."""
    directory.mkdir(parents=True)
    log = directory / "commands"
    log.touch()
    shim = directory / "git"
    shim.write_text(_SHIM.format(log=log, git=shutil.which("git")), "utf-8")
    shim.chmod(0o755)
    return directory, log


def told(log: Path) -> list[str]:
    """The commands that a telling git wrote down, without the options that are always given."""
    commands = []
    for line in log.read_text("utf-8").splitlines():
        words = line.split(" ")
        while words and words[0].startswith("-"):
            del words[: 2 if words[0] in ("-c", "-C") else 1]
        commands.append(" ".join(words))
    return commands
