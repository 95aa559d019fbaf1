"""A repository on a fleet's floor, with agents and gates that do what a test says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.domain.repository import Repository
from orchestrator.domain.task import State
from orchestrator.services.submit import Submission, submit
from tests.helpers.repositories import commit, git, make_repository, show, tip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.domain.task import Task
    from tests.helpers.fleet import Fleet

OBEY = """#!/bin/sh
# Does what its prompt says, which is the task's body: a shell script that edits files.
exec /bin/sh -eu -s
"""
AGENTS = {"obey": OBEY, "missing": None, "spender": OBEY}
BLUEPRINT = "work"
FEEDBACK = """feedback() { python3 -c '
import json, os
told = json.load(open(os.environ["SHOPFLOOR_TASK"]))["feedback"]
print(told["step"] + ": " + told["log"] if told else "")
'; }
"""
"""A shell function for agents: what the last failed gate had to say, or nothing."""


class Project:
    """A repository, and a blueprint `work`: the agent runs the task's body as a shell script, then a gate follows.

    Args:
        fleet: Where it is worked on.
        directory: Where its checkout and its `outside` directory are made.
        name: Its id.
        gate: The gate's shell command.
        verify: The repository's verify command.
        blueprint: Further keys of the blueprint.
        policy: Further keys of repo.yaml.
        files: Further files.

    Attributes:
        path: The user's checkout.
        outside: A directory that agents and gates tell the test things in.
        repository: As the fleet knows it.
    """

    def __init__(
        self,
        fleet: Fleet,
        directory: Path,
        name: str,
        *,
        gate: str = "true",
        verify: str = "true",
        blueprint: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.fleet = fleet
        self.path = directory / "checkout"
        self.outside = directory / "outside"
        self.outside.mkdir(parents=True)
        make_repository(self.path, {})
        rules = self.rules(gate=gate, verify=verify, blueprint=blueprint, policy=policy)
        content = {"README.md": "A repository.\n", **rules, **(files or {})}
        for agent, script in AGENTS.items():
            if script is None:
                continue
            place = self.path / ".shopfloor" / "agents" / f"{agent}.sh"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch(mode=0o755)
            content[f".shopfloor/agents/{agent}.sh"] = script
        commit(self.path, content, "Begin")
        self.repository = Repository(id=name, name=name, url=str(self.path), target="main")
        fleet.floor.store.add_repository(self.repository)

    @staticmethod
    def rules(
        *,
        gate: str = "true",
        verify: str = "true",
        blueprint: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """The files of `.shopfloor` that say how it is worked on (JSON is YAML)."""
        agents = {name: {"kind": "command", "command": [f".shopfloor/agents/{name}.sh"]} for name in AGENTS}
        repo = {
            "version": 1,
            "target": "main",
            "verify": verify,
            "agents": agents,
            "defaults": {"blueprint": BLUEPRINT},
            **(policy or {}),
        }
        work = {
            "name": BLUEPRINT,
            "steps": [
                {"name": "edit", "agent": {"name": "obey", "prompt": "{{ task.body }}"}},
                {"name": "test", "run": gate, "gate": True},
            ],
            **(blueprint or {}),
        }
        return {
            ".shopfloor/repo.yaml": json.dumps(repo, indent=2),
            ".shopfloor/blueprints/work.yaml": json.dumps(work, indent=2),
        }

    def submit(self, does: str, *, title: str = "Do as told", **fields: Any) -> Task:  # noqa: ANN401 - the fields' own types, checked by validation
        """Submit a task whose agent runs a shell script; its scope is all of the repository if none is given."""
        wanted = Submission(title=title, body=FEEDBACK + does, **fields)
        return submit(self.fleet.floor, self.repository, [wanted], who="ann")[0]

    def land(self, does: str, **fields: Any) -> Task:  # noqa: ANN401 - as above
        """Submit a task and wait until it has landed."""
        return self.landed(self.submit(does, **fields))

    def landed(self, task: Task) -> Task:
        """Wait until a task has landed."""
        return self.fleet.wait(task, State.MERGED)

    def escalated(self, task: Task) -> Task:
        """Wait until a task is in a person's hands."""
        return self.fleet.wait(task, State.ESCALATED)

    def commit(self, files: Mapping[str, str | None], message: str = "By hand") -> str:
        """Commit in the checkout, as its user does."""
        return commit(self.path, files, message)

    def told(self, name: str) -> list[str]:
        """The lines that an agent or a gate wrote into a file outside."""
        file = self.outside / name
        return file.read_text("utf-8").splitlines() if file.exists() else []

    def tell(self, name: str) -> None:
        """Make a file outside that an agent or a gate waits for."""
        (self.outside / name).touch()

    def until(self, name: str) -> str:
        """A shell command that waits until a file is there outside."""
        return f"while [ ! -e {self.outside}/{name} ]; do sleep 0.02; done"

    def branches(self) -> list[str]:
        """Its branches."""
        return git(self.path, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def read(self, file: str, rev: str = "main") -> str:
        """A file of a commit."""
        return show(self.path, rev, file)

    def tip(self, ref: str = "main") -> str:
        """The commit of a ref."""
        return tip(self.path, ref)

    def status(self) -> str:
        """What git says of the checkout; nothing where it is clean."""
        return git(self.path, "status", "--short")
