"""The command agent: any executable, in a minimal environment."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.integration.execution.conftest import SEARCH_PATH
from workers.agent import AgentTask, Feedback, Launch, Unlaunchable, Usage
from workers.agents.command import CommandAgent
from workers.command import Command
from workers.environment import minimal_environment
from workers.execution import Execution, execute
from workers.sandbox import Level
from workers.sandboxes.none import Unconfined


@dataclass
class Place:
    """Directories of one attempt."""

    policy: Path
    workspace: Path
    scratch: Path

    def agent(self, *command: str, **passed: str) -> CommandAgent:
        return CommandAgent(command, self.policy, passed, SEARCH_PATH)

    def launch(self, *command: str, **passed: str) -> Launch | Unlaunchable:
        agent = self.agent(*command, **passed)
        return agent.launch(self.scratch / "task.json", "do it \U0001f600", self.workspace, self.scratch)

    def run(self, *command: str, **passed: str) -> Execution:
        launch = self.launch(*command, **passed)
        assert isinstance(launch, Launch)
        ready = Command(argv=launch.argv, cwd=launch.cwd, env=launch.env, stdin=launch.stdin, seconds=30)
        return execute(ready, sink=lambda _: None, should_stop=lambda: None, sandbox=Unconfined())

    def script(self, name: str, text: str, mode: int = 0o755) -> None:
        path = self.policy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("policy", "workspace", "scratch"):
        (tmp_path / name).mkdir()
    return Place(tmp_path / "policy", tmp_path / "workspace", tmp_path / "scratch")


def test_an_agent_gets_the_prompt_and_works_in_the_workspace(place: Place) -> None:
    place.script("agents/apply.sh", "#!/bin/sh\ncat > prompt\n")
    assert place.run("agents/apply.sh").exit_code == 0
    assert (place.workspace / "prompt").read_text() == "do it \U0001f600"


def test_an_agents_environment_is_exactly_this(place: Place) -> None:
    execution = place.run("env", "-0", MODEL_KEY="k", HOME="/root", PATH="/evil")
    pairs = dict(entry.split("=", 1) for entry in execution.tail.decode().split("\0")[:-1])
    assert pairs == {
        "PATH": SEARCH_PATH,
        "HOME": str(place.scratch / "home"),
        "TMPDIR": str(place.scratch / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "none",
        "SHOPFLOOR_TASK": str(place.scratch / "task.json"),
        "SHOPFLOOR_USAGE": str(place.scratch / "usage.jsonl"),
        "MODEL_KEY": "k",
    }
    assert all(Path(pairs[name]).stat().st_mode & 0o777 == 0o700 for name in ("HOME", "TMPDIR"))


def test_a_git_push_has_no_transport_unless_the_host_allows_one(place: Place) -> None:
    remote = place.scratch / "remote.git"
    env = minimal_environment(place.scratch, {}, SEARCH_PATH)
    allowing = minimal_environment(place.scratch, {"GIT_ALLOW_PROTOCOL": "file"}, SEARCH_PATH)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    for words in (
        ["init", "-q", "--bare", str(remote)],
        ["init", "-q", "-b", "main"],
        [*identity, "commit", "-q", "--allow-empty", "-m", "one"],
    ):
        subprocess.run(["git", *words], cwd=place.workspace, env=env, check=True)
    push = ["git", "push", "-q", str(remote), "main"]
    refused = subprocess.run(push, cwd=place.workspace, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode == 128
    assert "transport 'file' not allowed" in refused.stderr
    subprocess.run(push, cwd=place.workspace, env=allowing, check=True)


def test_a_relative_entry_of_the_search_path_leads_nowhere(place: Place) -> None:
    assert minimal_environment(place.scratch, {}, "bin:/usr/bin::.")["PATH"] == "/usr/bin"
    assert minimal_environment(place.scratch, {}, "")["PATH"] == os.defpath


def test_a_program_in_the_workspace_is_not_the_agent(place: Place) -> None:
    program = place.workspace / "apply.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in ("./apply.sh", "apply.sh"):
        assert isinstance(place.launch(name), Unlaunchable)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ((), "is empty"),
        (("",), "is empty"),
        (("no-such-agent",), "no-such-agent is not on this host's PATH"),
        (("agents/none.sh",), "agents/none.sh does not exist on the target branch"),
        (("agents",), "agents is not on"),
        (("./agents",), "./agents does not exist on the target branch"),
        (("/no/such/agent",), "/no/such/agent does not exist on this host"),
        (("../policy/agents/plain.sh",), "leads out of the repository"),
        (("agents/plain.sh",), "is not executable on the target branch"),
    ],
)
def test_an_agent_that_is_not_there_is_named(place: Place, command: tuple[str, ...], why: str) -> None:
    place.script("agents/plain.sh", "#!/bin/sh\n", mode=0o644)
    launch = place.launch(*command)
    assert isinstance(launch, Unlaunchable)
    assert why in launch.why


def test_an_agents_usage_is_read(place: Place) -> None:
    place.script("a.sh", '#!/bin/sh\nprintf \'{"input_tokens": 5}\\n{"output_tokens": 2}\' >> "$SHOPFLOOR_USAGE"\n')
    assert place.run("./a.sh").exit_code == 0
    agent = place.agent("./a.sh")
    assert agent.read_usage(place.scratch) == Usage(5)
    assert agent.read_usage(place.scratch, ended=True) == Usage(5, 2)


def test_the_task_file_has_the_promised_shape() -> None:
    task = AgentTask(
        id="t1",
        title="T",
        body="B",
        scope=("src/**",),
        blueprint="codemod",
        step="edit",
        round=2,
        feedback=Feedback(step="test", exit_code=1, log="E"),
    )
    assert json.loads(task.model_dump_json()) == {
        "version": 1,
        "id": "t1",
        "title": "T",
        "body": "B",
        "scope": ["src/**"],
        "blueprint": "codemod",
        "step": "edit",
        "round": 2,
        "feedback": {"step": "test", "exit_code": 1, "log": "E"},
    }
    with pytest.raises(ValidationError):
        AgentTask.model_validate({**task.model_dump(), "more": 1})


def test_unconfined_says_so() -> None:
    assert Unconfined().level is Level.none
