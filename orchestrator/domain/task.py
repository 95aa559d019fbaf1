"""A task: its shape, its states, and the one table of the ways between them.

Every change of a task is made by `Task.moved` (from one state to another) or `Task.noted` (something happened within a
state); both are pure and return the next version. The store commits such a pair together with its event.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field

from blueprints.model import StepKind, Tier
from orchestrator.domain.frozen import Frozen
from orchestrator.errors import TransitionError


class State(StrEnum):
    """Where a task is (SPEC.md, section States)."""

    WAITING = "waiting"  # for tasks that it depends on
    QUEUED = "queued"
    RUNNING = "running"
    REVIEW = "review"
    MERGING = "merging"
    MERGED = "merged"
    ESCALATED = "escalated"  # a person decides
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """What moved a task; it is also the `type` of the event that tells of it."""

    SUBMITTED = "submitted"
    UNBLOCKED = "unblocked"
    CLAIMED = "claimed"
    PUBLISHED = "published"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    LANDED = "landed"
    CONFLICTED = "conflicted"
    VERIFY_FAILED = "verify_failed"
    LEASE_EXPIRED = "lease_expired"
    HALTED = "halted"
    RETRIED = "retried"
    ESCALATED = "escalated"
    CANCELLED = "cancelled"


class Note(StrEnum):
    """What happened to a task without moving it; the `type` of an event whose `from` and `to` are null."""

    STARTED = "started"
    STEP_STARTED = "step_started"
    STEP_ENDED = "step_ended"
    ROUND_STARTED = "round_started"
    CANDIDATE_BUILT = "candidate_built"
    VERIFY_STARTED = "verify_started"
    VERIFY_PASSED = "verify_passed"
    CONTENTION = "contention"
    LANDING_BLOCKED = "landing_blocked"


class Transition(NamedTuple):
    """One allowed move. `source` is None for a task that does not exist yet."""

    source: State | None
    cause: Cause
    target: State
    meaning: str


_OPEN = (State.WAITING, State.QUEUED, State.RUNNING, State.REVIEW, State.MERGING)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(None, Cause.SUBMITTED, State.QUEUED, "a person or a system asked for it"),
    Transition(None, Cause.SUBMITTED, State.WAITING, "the same, and a task that it depends on has not landed"),
    Transition(State.WAITING, Cause.UNBLOCKED, State.QUEUED, "the last task that it depends on has landed"),
    Transition(State.QUEUED, Cause.CLAIMED, State.RUNNING, "scope, slot and fence were granted to an attempt"),
    Transition(State.RUNNING, Cause.PUBLISHED, State.REVIEW, "gates passed, branch pushed, change opened"),
    Transition(State.RUNNING, Cause.LEASE_EXPIRED, State.QUEUED, "the host was lost; goes on from its checkpoint"),
    Transition(State.RUNNING, Cause.HALTED, State.QUEUED, "a halt stopped the attempt; goes on when it is lifted"),
    Transition(State.REVIEW, Cause.APPROVED, State.MERGING, "the change was accepted, by its tier's rule"),
    Transition(State.REVIEW, Cause.CHANGES_REQUESTED, State.QUEUED, "a reviewer sent it back for rework"),
    Transition(State.MERGING, Cause.LANDED, State.MERGED, "the verified candidate is the target's tip"),
    Transition(State.MERGING, Cause.CONFLICTED, State.QUEUED, "it does not merge with the target; rework"),
    Transition(State.MERGING, Cause.VERIFY_FAILED, State.QUEUED, "its candidate failed the verify command; rework"),
    Transition(State.ESCALATED, Cause.RETRIED, State.QUEUED, "a person asked for another try"),
    Transition(State.ESCALATED, Cause.RETRIED, State.WAITING, "the same, and a task that it depends on has not landed"),
    *(
        Transition(state, Cause.ESCALATED, State.ESCALATED, "a person has to decide; the reason says why")
        for state in _OPEN
    ),
    *(
        Transition(state, Cause.CANCELLED, State.CANCELLED, "given up; the work stays under its refs")
        for state in (*_OPEN, State.ESCALATED)
    ),
)
_ALLOWED = frozenset((row.source, row.cause, row.target) for row in TRANSITIONS)

FINAL = frozenset({State.MERGED, State.CANCELLED})
"""States that nothing leaves."""


def check_transition(source: State | None, cause: Cause, target: State, task: str = "The task") -> None:
    """Refuse a move that the table does not hold.

    Args:
        source: Where it is; None before it is submitted.
        cause: What would move it.
        target: Where to.
        task: Who is meant, as the error's message begins with it.

    Raises:
        TransitionError: naming the task's state and what may be done from there.
    """
    if (source, cause, target) in _ALLOWED:
        return
    causes = sorted({row.cause.value for row in TRANSITIONS if row.source == source})
    allowed = ", ".join(causes) or "nothing"
    raise TransitionError(
        f"{task} is {source or 'not there yet'}, and cannot become {target} by '{cause}'.",
        f"From there it allows: {allowed}.",
    )


def holds_scope(state: State) -> bool:
    """Tell whether a task in this state may hold its scope: until it has landed or was given up."""
    return state not in {State.MERGED, State.CANCELLED, State.ESCALATED}


def holds_slot(state: State) -> bool:
    """Tell whether a task in this state occupies a slot and a lease of its host."""
    return state is State.RUNNING


class ReasonCode(StrEnum):
    """Why a task is where it is: one list for the whole product (SPEC.md, section Reasons)."""

    DEPENDENCY = "dependency"
    DEPENDENCY_CANCELLED = "dependency_cancelled"
    HALT = "halt"
    SCOPE_BUSY = "scope_busy"
    SCOPE_RESERVED = "scope_reserved"
    BACKOFF = "backoff"
    NO_HOST = "no_host"
    NO_CAPABILITY = "no_capability"
    NO_SLOT = "no_slot"
    NEXT = "next"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    MERGE_QUEUE = "merge_queue"
    VERIFYING = "verifying"
    LANDING_BLOCKED = "landing_blocked"
    HOST_LOST = "host_lost"
    HALTED = "halted"
    REJECTED = "rejected"
    ROUNDS_EXHAUSTED = "rounds_exhausted"
    NO_PROGRESS = "no_progress"
    NO_CHANGES = "no_changes"
    AGENT_FAILED = "agent_failed"
    AGENT_MISSING = "agent_missing"
    STEP_FAILED = "step_failed"
    STEP_TIMEOUT = "step_timeout"
    TIME_EXCEEDED = "time_exceeded"
    BUDGET_EXCEEDED = "budget_exceeded"
    DIFF_TOO_LARGE = "diff_too_large"
    SCOPE_VIOLATION = "scope_violation"
    CONFLICT = "conflict"
    VERIFY_FAILED = "verify_failed"
    POLICY = "policy"
    INFRA_ERROR = "infra_error"
    LANDED = "landed"
    CANCELLED = "cancelled"


class Reason(Frozen):
    """A code from the one list, and a sentence for a person."""

    code: ReasonCode
    text: str


class Meter(Frozen):
    """How much of something a task may use, and has used (tokens, or minutes); a retry adds the allowance anew."""

    budget: float
    spent: float = 0
    allowance: float

    @classmethod
    def of(cls, allowance: float) -> Meter:
        """A meter that nothing was spent of."""
        return cls(budget=allowance, allowance=allowance)

    @property
    def left(self) -> float:
        """What is left; never below zero."""
        return max(0.0, self.budget - self.spent)

    def used(self, amount: float) -> Meter:
        """The meter after some more was spent."""
        return self.model_copy(update={"spent": round(self.spent + amount, 6)})

    def renewed(self) -> Meter:
        """The meter with its allowance granted once more, on top of what was spent."""
        return self.model_copy(update={"budget": self.spent + self.allowance})


class Change(Frozen):
    """The pull request of a task, or its local equivalent."""

    id: str
    url: str
    state: str  # open, merged, closed
    tier: Tier


class StepState(StrEnum):
    """How far one run of a step has come."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"


class StepRun(Frozen):
    """One run of one step."""

    name: str
    kind: StepKind
    round: int
    attempt: int
    host: str
    state: StepState
    exit_code: int | None = None
    started_at: datetime
    ended_at: datetime | None = None


class Feedback(Frozen):
    """What the next round is told: the step that failed, its exit code and the end of its log."""

    step: str
    exit_code: int | None
    log: str


class Complexity(StrEnum):
    """A submitter's guess at the size of a task."""

    S = "S"
    M = "M"
    L = "L"


class Task(Frozen):
    """One piece of work; its JSON is the contract of `show --json`.

    `version` grows by one with every commit; `fence` is the ever-growing number of the attempt that holds the task, and
    stays with it through review and merging. `next_step` is where an attempt begins: a step of the blueprint, or
    `publish`. `base` is what its diff is taken against, `rules` the target's commit whose policy the attempt follows.
    `head` is the last checkpoint, kept under the ref `checkpoint` of the repository; `published_head` is what the
    branch was last pushed at. After a failure not its own, a task waits until `retry_at`, and goes to another host than
    `avoid_host` if it can. Times are UTC; tokens are as the agent reported them; minutes are a host's.
    """

    id: str
    repository: str
    title: str
    body: str = ""
    blueprint: str
    blueprint_digest: str
    state: State
    version: int = 1
    priority: int = Field(default=2, ge=0, le=4)
    scope: tuple[str, ...]
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    complexity: Complexity = Complexity.M
    depends_on: tuple[str, ...] = ()
    batch: str | None = None
    submitted_by: str | None = None
    round: int = 0
    rounds_max: int
    reworks: int = 0
    attempt: int = 0
    infra_failures: int = 0
    retry_at: datetime | None = None
    avoid_host: str | None = None
    fence: int | None = None
    host: str | None = None
    next_step: str
    branch: str | None = None
    base: str | None = None
    rules: str | None = None
    head: str | None = None
    checkpoint: str | None = None
    published_head: str | None = None
    change: Change | None = None
    merged_as: str | None = None
    tokens: Meter
    minutes: Meter
    cost_usd: float = 0.0
    diff_lines_max: int
    reason: Reason | None = None
    feedback: Feedback | None = None
    steps: tuple[StepRun, ...] = ()
    created_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    attempt_started_at: datetime | None = None
    change_opened_at: datetime | None = None
    merging_at: datetime | None = None
    ended_at: datetime | None = None

    def moved(self, cause: Cause, target: State, **changes: Any) -> Task:  # noqa: ANN401 - the fields' own types, checked by validation
        """The next version of this task, in another state.

        Raises:
            TransitionError: the table does not allow it.
        """
        check_transition(self.state, cause, target, self.id)
        return self.noted(state=target, **changes)

    def noted(self, **changes: Any) -> Task:  # noqa: ANN401 - as above
        """The next version of this task, in the same state."""
        return self.model_copy(update={**changes, "version": self.version + 1})

    @property
    def progress(self) -> str:
        """`round 2/3`, or nothing before the first round."""
        return f"round {self.round}/{self.rounds_max}" if self.round else ""


class Event(Frozen):
    """One thing that happened. `seq` is given by the store: it grows by one with each event of the fleet."""

    seq: int = 0
    at: datetime
    task: str | None
    type: str
    source: State | None = Field(default=None, serialization_alias="from", validation_alias="from")
    target: State | None = Field(default=None, serialization_alias="to", validation_alias="to")
    fence: int | None = None
    host: str | None = None
    repository: str | None = None
    who: str | None = None
    step: str | None = None
    round: int | None = None
    exit_code: int | None = None
    reason: Reason | None = None
    text: str | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def find_cycle(edges: dict[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """A cycle among tasks that depend on one another.

    Args:
        edges: A task's key -> the keys it depends on; a key that is not in the map ends there.

    Returns:
        The keys along one cycle, each before one that it depends on, the first one repeated at the end; None where
        there is none.
    """
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]  # each one before the one that depends on it
        return tuple(reversed(found))
    return None
