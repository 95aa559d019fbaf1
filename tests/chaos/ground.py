"""What is worked on in a chaos run: repositories, how they are worked on, and a seeded mix of tasks."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.domain.repository import Repository
from orchestrator.services.submit import Submission
from tests.chaos import agent
from tests.chaos.overlap import covered
from tests.helpers.repositories import commit, git, make_repository

if TYPE_CHECKING:
    from random import Random

FILES = 5
_PROGRAM = ".shopfloor/agents/scripted.py"


@dataclass(frozen=True, slots=True)
class Ground:
    """One repository of a run.

    Attributes:
        repository: As the fleet knows it.
        path: Where it is, from the run's directory.
        universe: Every path that tasks may write.
        outsider: A clone that somebody outside of the fleet pushes from; None where the target is checked out.
    """

    repository: Repository
    path: str
    universe: tuple[str, ...]
    outsider: Path | None


def break_ground(root: Path, name: str, folders: int, *, bare: bool) -> Ground:
    """Make a repository with files in folders, and the agents and blueprints of a chaos run.

    Args:
        root: The run's directory.
        name: The repository's id.
        folders: How many folders of five files.
        bare: Whether it has no working tree; somebody outside can then push to its target.
    """
    universe = tuple(f"src/{chr(97 + d // 10)}{d % 10}/f{f}.txt" for d in range(folders) for f in range(FILES))
    checkout = make_repository(root / f"{name}.checkout", {})
    program = checkout / _PROGRAM
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    source = Path(agent.__file__).read_text("utf-8")
    content = dict.fromkeys(universe, "start\n") | _rules(root / "verified" / f"{name}.log")
    commit(checkout, {**content, _PROGRAM: f"#!{sys.executable} -IS\n{source}"}, "Begin")
    path = checkout
    if bare:
        path = root / f"{name}.git"
        git(root, "clone", "--quiet", "--bare", str(checkout), str(path))
        git(path, "remote", "remove", "origin")
        git(checkout, "remote", "add", "origin", str(path))
    repository = Repository(id=name, name=name, url=str(path), target="main")
    return Ground(repository, path.name, universe, checkout if bare else None)


def push_from_outside(ground: Ground, path: str, line: str) -> str | None:
    """Add a line to a file of the target as somebody who knows nothing of the fleet; None where it moved meanwhile."""
    place = ground.outsider
    assert place is not None, "nobody can push to a branch that is checked out"
    git(place, "fetch", "--quiet", "origin", "main")
    git(place, "reset", "--quiet", "--hard", "FETCH_HEAD")
    file = place / path
    before = file.read_text("utf-8") if file.exists() else ""
    made = commit(place, {path: f"{before}{line}\n"}, "From outside")
    git(place, "push", "--quiet", "origin", "HEAD:main", ok=(0, 1))
    there = git(place, "ls-remote", "origin", "refs/heads/main").split()[0]
    return made if there == made else None


def submission(random: Random, ground: Ground, older: list[str], *, seconds: float) -> Submission:
    """One task of the mix: its scope, its length, its rounds and what it depends on."""
    scope = _scope(random, ground.universe)
    choice = sorted(covered(scope, ground.universe))
    paths = sorted(random.sample(choice, min(len(choice), random.choice((1, 1, 2)))))
    plan: dict[str, Any] = {
        "seconds": round(random.uniform(0.1, seconds), 2),
        "paths": paths,
        "unfinished": random.choice((0, 0, 0, 1)),
    }
    depends = (random.choice(older),) if older and random.random() < 0.15 else ()
    return Submission(
        title=f"Write {len(paths)} files",
        body=json.dumps(plan),
        blueprint=random.choice(("one", "one", "two")),
        scope=scope,
        priority=random.choice((1, 2, 2, 2, 3)),
        depends_on=depends,
    )


def _scope(random: Random, universe: tuple[str, ...]) -> tuple[str, ...]:
    file = random.choice(universe)
    folder, name = file.rsplit("/", 1)
    other = random.choice(universe).split("/")[1]
    mine = folder.split("/")[1]
    kinds = {
        (file,): 60,
        (file, random.choice(universe)): 15,
        (f"{folder}/**",): 6,
        (folder,): 3,
        (f"{folder}/f[0-2].txt",): 5,
        (f"src/{{{mine},{other}}}/{name}",): 6,
        (f"src/?{mine[1]}/{name}",): 3,
        (f"src/*/{name}",): 2,
    }
    return random.choices(list(kinds), list(kinds.values()))[0]


def _rules(verified: Path) -> dict[str, str]:
    gate = "! grep -rq unfinished src"
    repo = {
        "version": 1,
        "target": "main",
        "verify": f"{gate} && git rev-parse HEAD >> {verified}",
        "reworks": 10,
        "agents": {"scripted": {"kind": "command", "command": [_PROGRAM], "env": ["CHAOS_LOG", "CHAOS_HOST"]}},
        "defaults": {"blueprint": "one"},
    }
    edit = {"name": "edit", "agent": {"name": "scripted", "prompt": "{{ task.title }}"}}
    polish = {"name": "polish", "agent": {"name": "scripted", "prompt": "{{ task.title }}"}}
    test = {"name": "test", "run": gate, "gate": True, "on_fail": "edit"}
    auto = {"tier": "auto"}
    one = {"name": "one", "description": "One agent.", "rounds": 8, "steps": [edit, test], "review": auto}
    two = {"name": "two", "description": "Two agents.", "rounds": 8, "steps": [edit, polish, test], "review": auto}
    return {
        ".shopfloor/repo.yaml": json.dumps(repo),
        ".shopfloor/blueprints/one.yaml": json.dumps(one),
        ".shopfloor/blueprints/two.yaml": json.dumps(two),
    }
