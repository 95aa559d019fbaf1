"""What a repository declares about itself in `.shopfloor/repo.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from blueprints.branch import branch_problem
from blueprints.conform import Shape, conform, describe
from blueprints.errors import one_of, refusal
from blueprints.model import COMMAND_RULE, MINUTES_RULE, NAME_RULE, Command, Minutes, Name
from blueprints.reader import read

if TYPE_CHECKING:
    from blueprints.model import Blueprint

Word = Annotated[str, Field(max_length=8192, pattern=r"^[^\x00]*$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Pattern = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]


class AgentSpec(Shape):
    """An agent that is an executable.

    Another kind of agent is another class beside this one, and `RepositoryPolicy.agents` then holds their union,
    told apart by `kind`.
    """

    kind: Literal["command"] = Field(description="'command', the one kind there is")
    command: tuple[Word, ...] = Field(
        min_length=1, max_length=256, description="a list of the executable and its arguments, each of them text"
    )
    env: tuple[Variable, ...] = Field(
        default=(), max_length=100, description="a list of names of environment variables to pass on"
    )

    @field_validator("command")
    @classmethod
    def _names_executable(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not command[0].strip():
            raise refusal("is empty", "the path or the name of an executable", 0)
        return command


class Defaults(Shape):
    """What a task gets that says nothing else."""

    blueprint: Name | None = Field(default=None, description=f"the name of a blueprint: {NAME_RULE}")
    scope: tuple[Pattern, ...] = Field(
        default=("**",), min_length=1, max_length=1000, description="a list of 1 to 1000 paths or globs"
    )

    @field_validator("scope")
    @classmethod
    def _stays_inside(cls, scope: tuple[str, ...]) -> tuple[str, ...]:
        for place, pattern in enumerate(scope):
            if pattern.startswith("/") or ".." in pattern.split("/") or not pattern.isprintable():
                raise refusal(f"is {describe(pattern)}", "a path inside the repository, without '..'", place)
        return scope


class Author(Shape):
    """Whose name the commits carry."""

    name: str = Field(pattern=r"^[^<>\x00-\x1f]{1,200}$", description="a name of 1 to 200 characters, without < and >")
    email: str = Field(pattern=r"^[^<>\s\x00-\x1f@]{1,64}@[^<>\s\x00-\x1f@]{1,190}$", description="an e-mail address")


class RepositoryPolicy(Shape):
    """How Shopfloor works on one repository."""

    version: Literal[1] = Field(description="1")
    target: str = Field(description="the name of the branch that changes land on (quote it if it reads as a number)")
    verify: Command | None = Field(default=None, description=COMMAND_RULE)
    verify_minutes: Minutes = Field(default=30.0, description=MINUTES_RULE)
    agents: dict[Name, AgentSpec] = Field(
        min_length=1, max_length=50, description=f"a mapping of 1 to 50 agents by name ({NAME_RULE})"
    )
    defaults: Defaults = Field(default=Defaults(), description="a mapping with blueprint and scope")
    author: Author | None = Field(default=None, description="a mapping with name and email")
    reworks: int = Field(default=2, ge=0, le=20, description="a whole number from 0 to 20")

    @field_validator("target")
    @classmethod
    def _is_branch(cls, target: str) -> str:
        problem = branch_problem(target)
        if problem is not None:
            raise refusal(f"{describe(target)} {problem}", "a branch name that git takes")
        return target

    def lacks(self, blueprint: Blueprint) -> str | None:
        """Say what a blueprint uses that this repository does not declare.

        Args:
            blueprint: The blueprint that a task of this repository would follow.

        Returns:
            One sentence about the first such thing, or None if all is there.
        """
        for step in blueprint.steps:
            if step.agent is not None and step.agent.name not in self.agents:
                known = one_of(step.agent.name, self.agents)
                return (
                    f"Step '{step.name}' of blueprint '{blueprint.name}' calls the agent '{step.agent.name}', "
                    f"which repo.yaml does not declare; expected {known}."
                )
            if step.verify and self.verify is None:
                return (
                    f"Step '{step.name}' of blueprint '{blueprint.name}' runs the repository's verify command, "
                    "and repo.yaml has no key 'verify'."
                )
        return None


def parse_policy(text: str | bytes, file: str) -> RepositoryPolicy:
    """Parse a `repo.yaml`.

    Args:
        text: The file's content.
        file: Its path, for errors only.

    Returns:
        The policy.

    Raises:
        BlueprintError: The first thing that is wrong with it.
    """
    return conform(read(text, file), RepositoryPolicy)
