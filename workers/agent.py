"""The port to coding agents: what a step hands to one, how it is launched, and what it says it used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Feedback(BaseModel):
    """What the gate that failed in the round before has to say.

    Attributes:
        step: The gate's name.
        exit_code: What it returned; None if it was killed.
        log: The beginning and the end of its output.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    exit_code: int | None
    log: str


class AgentTask(BaseModel):
    """The task as an agent reads it, in the JSON file that SHOPFLOOR_TASK names (a contract: docs/agents.md).

    Attributes:
        version: Of this contract.
        id: The task.
        title: One line.
        body: The rest of what is wanted.
        scope: Paths and globs that may be written.
        blueprint: The kind of work.
        step: The agent step that this is.
        round: From 1.
        feedback: Why there is another round; None in the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    id: str
    title: str
    body: str
    scope: tuple[str, ...]
    blueprint: str
    step: str
    round: int
    feedback: Feedback | None = None


@dataclass(frozen=True)
class Usage:
    """What an agent says it used.

    Attributes:
        input_tokens: Tokens.
        output_tokens: Tokens.
        cost_usd: US dollars.
        refused: Reports of it that made no sense and were not counted.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    refused: int = 0

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def remark(self) -> str | None:
        """A sentence for the step's log, if reports were refused."""
        return f"Usage reports that made no sense and were not counted: {self.refused}." if self.refused else None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
            self.refused + other.refused,
        )


@dataclass(frozen=True)
class Launch:
    """How to start an agent on a step.

    Attributes:
        argv: Program and arguments; the program is an absolute path.
        env: The whole environment.
        stdin: What it reads.
        cwd: Where it works.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes
    cwd: Path


@dataclass(frozen=True)
class Unlaunchable:
    """There is no such agent here.

    Attributes:
        why: What is missing, and what to do about it.
    """

    why: str


class Agent(Protocol):
    """One kind of coding agent, as one step is to be done by it. An instance serves one attempt of one step."""

    def launch(self, task_file: Path, prompt: str, workspace: Path, scratch: Path) -> Launch | Unlaunchable:
        """Prepares the scratch directory, and says how the agent is started.

        Args:
            task_file: An `AgentTask` as JSON, readable by the agent.
            prompt: What the agent is asked to do.
            workspace: The directory it edits.
            scratch: A directory for what is private to this attempt; outside the workspace.
        """

    def read_usage(self, scratch: Path, *, ended: bool = False) -> Usage:
        """Sums up what the agent has reported so far; never less than before.

        Called every second or so while the agent runs: reads only what is new.

        Args:
            scratch: The directory given to `launch`.
            ended: The agent is dead, so what looks unfinished is all there will be.
        """
