"""The command of one step: how it is made, run within its limits, and what came of it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blueprints.errors import PromptError
from blueprints.prompt import Feedback as PromptFeedback
from blueprints.prompt import PromptTask, render
from orchestrator.config import inherited_environment
from orchestrator.domain.rounds import How
from orchestrator.store import Holder, Lease
from workers.agent import AgentTask, Feedback, Unlaunchable, Usage
from workers.agents.command import CommandAgent
from workers.command import Command
from workers.environment import minimal_environment
from workers.execution import Ending, execute
from workers.steplog import StepLog

if TYPE_CHECKING:
    from pathlib import Path

    from blueprints.model import Step
    from blueprints.policy import AgentSpec, RepositoryPolicy
    from orchestrator.domain.task import Task
    from orchestrator.mirror import Mirror
    from workers.agent import Agent
    from workers.execution import Execution
    from workers.station import Station

_USAGE_EVERY = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a step's command. `log` is the bounded beginning and end of its output."""

    how: How
    exit_code: int | None
    seconds: float
    log: str
    usage: Usage
    why: str = ""


class StepWork:
    """One run of one step's command on this host."""

    def __init__(self, station: Station, task: Task, step: Step) -> None:
        self._settings = station.settings
        self._state = station.state
        self._sandbox = station.sandbox
        self._task = task
        self._step = step
        self._lease = Lease(Holder.TASK, task.id, task.fence or 0)
        self._scratch = self._state.scratch / f"{task.id}-{task.fence}"
        self._log = StepLog(station.floor.store, task.id, task.attempt, task.round, step.name)
        self._stopped: tuple[How, str] | None = None
        self._agent: Agent | None = None
        self._asked = 0.0

    def run(self, mirror: Mirror, workspace: Path, policy: RepositoryPolicy) -> Done:
        """Run the step's command in the workspace to its end, its limit, or a stop."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        try:
            command = self._command(mirror, workspace, policy)
            if isinstance(command, Unlaunchable):
                self._log.say(command.why)
                return Done(How.NOT_STARTED, None, 0.0, command.why, Usage(), command.why)
            execution = execute(command, sink=self._log.write, should_stop=self._should_stop, sandbox=self._sandbox)
            return self._judged(execution)
        finally:
            self._log.close()

    def _command(self, mirror: Mirror, workspace: Path, policy: RepositoryPolicy) -> Command | Unlaunchable:
        task_file = self._write_task()
        seconds = 60 * min(self._step.minutes or self._task.minutes.left, self._task.minutes.left)
        if self._step.agent is None:
            env = minimal_environment(self._scratch, {}, self._settings.search_path)
            shell = self._step.run or policy.verify or "false"
            return Command(
                argv=("/bin/sh", "-c", shell),
                cwd=workspace,
                env=env | {"SHOPFLOOR_TASK": str(task_file)},
                seconds=seconds,
            )
        spec = policy.agents.get(self._step.agent.name)
        if spec is None:
            return Unlaunchable(f"The target branch's repo.yaml declares no agent '{self._step.agent.name}'. Add it.")
        try:
            prompt = self._prompt(self._step.agent.prompt)
        except PromptError as error:
            return Unlaunchable(f"The prompt of step '{self._step.name}' cannot be made: {error}.")
        self._agent = self._agent_of(spec, mirror)
        launch = self._agent.launch(task_file, prompt, workspace, self._scratch)
        if isinstance(launch, Unlaunchable):
            return launch
        return Command(argv=launch.argv, cwd=launch.cwd, env=launch.env, stdin=launch.stdin, seconds=seconds)

    def _agent_of(self, spec: AgentSpec, mirror: Mirror) -> Agent:
        inherited = inherited_environment()
        passed = {name: inherited[name] for name in spec.env if name in inherited}
        folder = self._policy_tree(mirror, self._task.rules or "", spec.command[0])
        return CommandAgent(spec.command, folder, passed, self._settings.search_path)

    def _policy_tree(self, mirror: Mirror, commit: str, program: str) -> Path:
        """The files of the target branch that an agent's command may need: `.shopfloor`, and its own directory."""
        folder = self._state.policies / self._task.repository / commit
        own = program.rpartition("/")[0].removeprefix("./") if not program.startswith("/") else ""
        for path in (".shopfloor", own):
            if path and ".." not in path.split("/") and not (folder / path).exists():
                part = folder.with_name(f"{folder.name}.{self._task.id}-{self._task.fence}")
                mirror.export(commit, [path], part)
                _move_over(part, folder)
        return folder

    def _write_task(self) -> Path:
        task, feedback = self._task, self._task.feedback
        told = Feedback(step=feedback.step, exit_code=feedback.exit_code, log=feedback.log) if feedback else None
        agent_task = AgentTask(
            id=task.id,
            title=task.title,
            body=task.body,
            scope=task.scope,
            blueprint=task.blueprint,
            step=self._step.name,
            round=task.round,
            feedback=told,
        )
        path = self._scratch / "task.json"
        path.write_text(agent_task.model_dump_json(), "utf-8")
        return path

    def _prompt(self, template: str) -> str:
        task, feedback = self._task, self._task.feedback
        return render(
            template,
            task=PromptTask(
                id=task.id,
                title=task.title,
                body=task.body,
                scope=task.scope,
                labels=task.labels,
                blueprint=task.blueprint,
                priority=task.priority,
            ),
            feedback=PromptFeedback(feedback.step, feedback.exit_code, feedback.log) if feedback else None,
            round_number=task.round,
            rounds=task.rounds_max,
        )

    def _should_stop(self) -> str | None:
        stop = self._state.stop_for(self._lease)
        if stop:
            self._stopped = (How.HALTED if stop.kind == "halted" else How.BROKEN, stop.why)
        elif self._agent and time.monotonic() - self._asked > _USAGE_EVERY:
            self._asked = time.monotonic()
            used = self._agent.read_usage(self._scratch).total
            if used > self._task.tokens.left:
                budget = self._task.tokens.budget
                total = self._task.tokens.spent + used
                self._stopped = (How.OVER_BUDGET, f"{total:.0f} tokens are used, the budget is {budget:.0f}.")
        return self._stopped[1] if self._stopped else None

    def _judged(self, execution: Execution) -> Done:
        usage = self._agent.read_usage(self._scratch, ended=True) if self._agent else Usage()
        how, why = self._how(execution, usage)
        if why:
            self._log.say(why)
        if usage.remark:
            self._log.say(usage.remark)
        code = execution.exit_code
        if code is None and execution.signal is not None:
            code = 128 + execution.signal  # as a shell tells it
        log = execution.tail.decode("utf-8", "replace")
        return Done(how, code, execution.seconds, log, usage, why)

    def _how(self, execution: Execution, usage: Usage) -> tuple[How, str]:
        match execution.ending:
            case Ending.not_started:
                return How.NOT_STARTED, execution.why or "it could not be started."
            case Ending.timed_out:
                return How.TIMED_OUT, execution.why or "it took too long."
            case Ending.stopped if self._stopped:
                return self._stopped
            case _ if usage.total > self._task.tokens.left:
                total, budget = self._task.tokens.spent + usage.total, self._task.tokens.budget
                return How.OVER_BUDGET, f"{total:.0f} tokens are used, the budget is {budget:.0f}."
            case _:
                return (How.PASSED if execution.exit_code == 0 else How.FAILED), ""


def _move_over(part: Path, folder: Path) -> None:
    """Put exported files in their place, together; what another process put there first is the same."""
    for path in sorted(part.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        goal = folder / path.relative_to(part)
        goal.parent.mkdir(parents=True, exist_ok=True)
        path.replace(goal)
    shutil.rmtree(part)
