"""What a blueprint is: steps, gates, rounds, limits and who must accept the change.

Everything is frozen, and equal again after a trip through JSON. The reference of every key is `docs/blueprints.md`.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import SchemaError, SchemaValidator, core_schema

from blueprints.conform import Shape
from blueprints.errors import one_of, refusal

RESERVED_STEPS = frozenset({"prepare", "publish", "merge"})
"""Steps that every chain has around those of its blueprint."""

NAME_RULE = "1 to 40 lower-case letters, digits and dashes, a letter first"
MINUTES_RULE = "a number of minutes above 0 and at most 1440"
COMMAND_RULE = "a shell command, text of 1 to 8192 characters (quote it if it reads as a number)"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Minutes = Annotated[float, Field(gt=0, le=1440)]
Command = Annotated[str, Field(min_length=1, max_length=8192, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Label = Annotated[str, Field(pattern=r"^\S(.{0,98}\S)?$")]
Capability = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:=+-]{0,63}$")]


class StepKind(StrEnum):
    """How a step does its work."""

    RUN = "run"
    AGENT = "agent"


class Tier(StrEnum):
    """Who must accept a change."""

    AUTO = "auto"
    HUMAN = "human"


class AgentCall(Shape):
    """Which agent a step calls, and with what prompt."""

    name: Name = Field(default="default", description=f"the name of an agent of repo.yaml: {NAME_RULE}")
    prompt: str = Field(min_length=1, max_length=65_536, description="a template, text of 1 to 65536 characters")


class Step(Shape):
    """A node of a blueprint: an agent's work, a command, or the repository's own verify command.

    `on_fail` is None in a step that is no gate; in a gate of a `Blueprint` it always names an agent step.
    """

    name: Name = Field(description=f"a step's name: {NAME_RULE}")
    agent: AgentCall | None = Field(default=None, description="a mapping with name and prompt")
    run: Command | None = Field(default=None, description=COMMAND_RULE)
    verify: bool = Field(default=False, description="true or false")
    gate: bool = Field(default=False, description="true or false")
    on_fail: Name | None = Field(default=None, description="the name of an earlier agent step")
    minutes: Minutes | None = Field(default=None, description=MINUTES_RULE)

    @property
    def kind(self) -> StepKind:
        """Whether an agent does the work, or a command."""
        return StepKind.RUN if self.agent is None else StepKind.AGENT

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name in RESERVED_STEPS:
            raise refusal(f"'{self.name}' is a reserved name", "another name", "name")
        given = [key for key in ("agent", "run", "verify") if getattr(self, key)]
        if len(given) != 1:
            had = " and ".join(given) if given else "none of agent, run and verify"
            raise refusal(f"has {had}", "exactly one of agent, run and verify")
        if self.gate and self.kind is StepKind.AGENT:
            raise refusal("an agent step cannot be a gate", "gate only beside run or verify", "gate")
        if self.on_fail is not None and not self.gate:
            raise refusal("is given, but the step is no gate", "gate: true beside it, or no on_fail", "on_fail")
        return self


class Limits(Shape):
    """What one task may use up."""

    minutes: Minutes = Field(default=60.0, description=MINUTES_RULE)
    tokens: int = Field(default=1_000_000, gt=0, le=1_000_000_000, description="a whole number from 1 to 1000000000")
    diff_lines: int = Field(default=2_000, gt=0, le=1_000_000, description="a whole number from 1 to 1000000")


class Match(Shape):
    """Which tasks a blueprint is for; without labels and title, only those that name it."""

    labels: tuple[Label, ...] = Field(
        default=(), max_length=20, description="a list of at most 20 labels, each 1 to 100 characters"
    )
    title: str | None = Field(
        default=None, min_length=1, max_length=200, description="a regular expression of 1 to 200 characters"
    )

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        for place, label in enumerate(labels):
            if label.casefold() in {other.casefold() for other in labels[:place]}:
                raise refusal(f"'{label}' is there already", "each label once (case does not count)", place)
        return labels

    @field_validator("title")
    @classmethod
    def _compiles(cls, title: str | None) -> str | None:
        if title is not None:
            try:
                _searcher(title)
            except SchemaError as error:
                cause = str(error).strip().splitlines()[-1].strip().removeprefix("error: ")
                raise refusal(
                    f"the regular expression cannot be used: {cause}",
                    "one in the syntax of Rust's regex crate (no look-around, no backreference)",
                ) from error
        return title

    def has_labels(self, labels: frozenset[str]) -> bool:
        """Tell whether there are labels here and all are among these, which are case-folded."""
        return bool(self.labels) and all(label.casefold() in labels for label in self.labels)

    def has_title(self, title: str) -> bool:
        """Tell whether there is a pattern here and the title contains what it describes."""
        return self.title is not None and _searcher(self.title).isinstance_python(title)


class Review(Shape):
    """Who must accept the change."""

    tier: Tier = Field(default=Tier.AUTO, description="auto or human")


class Blueprint(Shape):
    """The declared way to do one kind of task."""

    name: Name = Field(description=f"the blueprint's name: {NAME_RULE}")
    description: str = Field(default="", max_length=500, description="text of at most 500 characters")
    match: Match = Field(default=Match(), description="a mapping with labels and title")
    needs: tuple[Capability, ...] = Field(
        default=(), max_length=20, description="a list of at most 20 capabilities, such as gpu or python3.12"
    )
    limits: Limits = Field(default=Limits(), description="a mapping with minutes, tokens and diff_lines")
    rounds: int = Field(default=3, ge=1, le=20, description="a whole number from 1 to 20")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=50, description="a list of 1 to 50 steps")
    review: Review = Field(default=Review(), description="a mapping with tier")

    @field_validator("steps")
    @classmethod
    def _connect(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Check that names are unique, and write into each gate the agent step that it goes back to."""
        connected: list[Step] = []
        for place, step in enumerate(steps):
            if step.name in {earlier.name for earlier in connected}:
                raise refusal(f"'{step.name}' is the name of an earlier step", "another name", place, "name")
            goal = _goal(step, connected, place) if step.gate else None
            connected.append(step.model_copy(update={"on_fail": goal}))
        return tuple(connected)

    def step(self, name: str) -> Step:
        """Find a step by its name.

        Raises:
            KeyError: There is none of that name.
        """
        return self.steps_from(name)[0]

    def steps_from(self, name: str) -> tuple[Step, ...]:
        """Give a step and all behind it, in order.

        Raises:
            KeyError: There is none of that name.
        """
        for place, step in enumerate(self.steps):
            if step.name == name:
                return self.steps[place:]
        raise KeyError(name)

    def digest(self) -> str:
        """Give the SHA-256, in hex, of the canonical JSON: equal blueprints have equal digests."""
        content = self.model_dump(mode="json")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _goal(gate: Step, earlier: list[Step], place: int) -> str:
    agents = [step.name for step in earlier if step.kind is StepKind.AGENT]
    if not agents:
        raise refusal("a gate has no agent step before it to go back to", "an agent step earlier", place, "gate")
    if gate.on_fail is None:
        return agents[-1]
    if gate.on_fail not in agents:
        raise refusal(f"'{gate.on_fail}' is no earlier agent step", one_of(gate.on_fail, agents), place, "on_fail")
    return gate.on_fail


@lru_cache(maxsize=512)
def _searcher(pattern: str) -> SchemaValidator:
    """Compile a pattern for searching in linear time.

    Titles come from outside, and Python's `re` can be made to backtrack for hours by a title that suits its pattern.
    Rust's regex crate, which pydantic brings, cannot (https://docs.rs/regex/#untrusted-input).
    """
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
