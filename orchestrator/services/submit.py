"""Take in new work: check it, match it to a blueprint, and write it, all or none."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Self

from pydantic import Field, ValidationError, model_validator

from blueprints.errors import ChoiceError
from orchestrator.courier import CONTROL_QUEUE, DISPATCH
from orchestrator.domain.frozen import Frozen
from orchestrator.domain.scope import normalise
from orchestrator.domain.task import Cause, Complexity, Meter, Reason, ReasonCode, State, Task, find_cycle
from orchestrator.errors import InputError, NotFoundError
from orchestrator.services.floor import Move
from orchestrator.services.policy import rules_now
from orchestrator.store import Commit, Wake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blueprints.model import Blueprint
    from orchestrator.domain.repository import Repository
    from orchestrator.services.floor import Floor
    from orchestrator.services.policy import Rules

TITLE_MAX = 300
BODY_MAX = 100_000
BATCH_MAX = 500


class Submission(Frozen):
    """What a person or a system asks for; what it leaves open, the blueprint and the repository's policy decide.

    `key` names a submission within a batch, so that others of it can depend on it. `tokens` and `minutes` are limits.
    """

    title: str
    body: str = ""
    key: str | None = None
    blueprint: str | None = None
    scope: tuple[str, ...] = ()
    priority: int = Field(default=2, ge=0, le=4)
    depends_on: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    complexity: Complexity = Complexity.M
    tokens: int | None = Field(default=None, gt=0, le=1_000_000_000)
    minutes: float | None = Field(default=None, gt=0, le=10_080)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.title.strip():
            raise ValueError("the title is empty; say in one line what is to be done")
        if len(self.title) > TITLE_MAX:
            raise ValueError(
                f"the title has {len(self.title)} characters, at most {TITLE_MAX} are allowed; put the rest in the body"
            )
        if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in self.title):
            raise ValueError("the title has a line break or a control character; put further lines in the body")
        if len(self.body) > BODY_MAX:
            raise ValueError(f"the body has {len(self.body)} characters, at most {BODY_MAX} are allowed")
        if "\x00" in self.body:
            raise ValueError("the body has a NUL character")
        words = (self.title, self.body, self.key or "", self.blueprint or "", *self.scope, *self.labels, *self.needs)
        try:
            "".join((*words, *self.depends_on)).encode()
        except UnicodeEncodeError as error:  # a lone surrogate, which a command line makes of bytes that are no UTF-8
            raise ValueError("it has characters that are no text in UTF-8") from error
        return self


def read_submission(fields: Mapping[str, object]) -> Submission:
    """A submission from plain values.

    Raises:
        InputError: the first field that cannot be used, and why.
    """
    try:
        return Submission.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = str(first.get("ctx", {}).get("error", first["msg"]))
        prefix = f"'{where}': " if where else ""
        raise InputError(f"The task cannot be taken: {prefix}{what}.", "Correct it and submit again.") from error


def submit(floor: Floor, repository: Repository, submissions: Sequence[Submission], *, who: str) -> list[Task]:
    """Take in tasks for one repository, all or none; a batch is numbered where there are several.

    Raises:
        InputError: what is wrong with which of them; nothing was written.
        GitError: the target branch cannot be read.
    """
    if not 0 < len(submissions) <= BATCH_MAX:
        raise InputError(f"{len(submissions)} tasks were submitted.", f"Submit 1 to {BATCH_MAX} at once.")
    keys = _keys_of(submissions)
    rules = rules_now(floor, repository)
    chosen = [_blueprint_for(each, rules) for each in submissions]
    known = _dependencies(floor, submissions, keys)
    _check_capabilities(floor, submissions, chosen)
    ids = floor.store.next_ids(len(submissions))
    named = {key: ids[number] for number, key in enumerate(keys) if key}
    for blueprint in {each.digest(): each for each in chosen}.values():
        floor.store.keep_blueprint(blueprint.digest(), blueprint.model_dump_json())
    tasks = [
        _task(floor, repository, rules, each, blueprint, task_id, who, [named.get(d, d) for d in each.depends_on])
        for each, blueprint, task_id in zip(submissions, chosen, ids, strict=True)
    ]
    if len(tasks) > 1:
        tasks = [task.model_copy(update={"batch": f"B{ids[0][1:]}"}) for task in tasks]
    tasks = [_placed(task, known) for task in tasks]
    wakes = (Wake(DISPATCH, (), CONTROL_QUEUE),)
    moves = [Move(task, Cause.SUBMITTED, wakes, who=who) for task in tasks]
    floor.store.create([Commit(None, move.after, floor.event(None, move), wakes) for move in moves])
    floor.send(wakes)
    return tasks


def slug(title: str) -> str:
    """A title as the end of a branch's name: at most 40 of a-z, 0-9 and dashes; `task` where nothing is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:40].rstrip("-") or "task"


def branch_of(task: Task) -> str:
    """The branch that a task's change is pushed to."""
    return f"shopfloor/{task.id}-{slug(task.title)}"


def _keys_of(submissions: Sequence[Submission]) -> list[str | None]:
    keys = [each.key for each in submissions]
    for key, count in Counter(key for key in keys if key).items():
        if count > 1:
            raise InputError(f"The key '{key}' names {count} tasks of the batch.", "Give each task a key of its own.")
    edges = {each.key: each.depends_on for each in submissions if each.key}
    cycle = find_cycle(edges)
    if cycle:
        raise InputError(f"The tasks depend on one another in a circle: {' -> '.join(cycle)}.", "Break the circle.")
    return keys


def _blueprint_for(submission: Submission, rules: Rules) -> Blueprint:
    try:
        blueprint = rules.catalog.choose(
            name=submission.blueprint,
            labels=submission.labels,
            title=submission.title,
            default=rules.policy.defaults.blueprint,
        )
    except ChoiceError as error:
        raise InputError(error.message, error.remedy) from error
    lacking = rules.policy.lacks(blueprint)
    if lacking:
        raise InputError(lacking, "Add it to .shopfloor/repo.yaml on the target branch, or choose another blueprint.")
    return blueprint


def _dependencies(floor: Floor, submissions: Sequence[Submission], keys: Sequence[str | None]) -> dict[str, State]:
    """The states of tasks outside the batch that are depended on."""
    known: dict[str, State] = {}
    for wanted in {each for submission in submissions for each in submission.depends_on} - set(keys):
        try:
            known[wanted] = floor.store.task(wanted).state
        except NotFoundError as error:
            raise NotFoundError(
                f"It depends on '{wanted}', and there is no such task.", "List the tasks with `shopfloor tasks`."
            ) from error
        if known[wanted] is State.CANCELLED:
            raise InputError(f"It depends on {wanted}, which was cancelled.", "Leave it out, or submit that work anew.")
    return known


def _check_capabilities(floor: Floor, submissions: Sequence[Submission], chosen: Sequence[Blueprint]) -> None:
    """Refuse a capability that no connected host has; where none is connected, nobody can tell."""
    hosts = floor.store.hosts()
    offered = {each for host in hosts for each in host.capabilities}
    wanted = {each for submission in submissions for each in submission.needs}
    wanted |= {each for blueprint in chosen for each in blueprint.needs}
    missing = sorted(wanted - offered)
    if hosts and missing:
        have = ", ".join(sorted(offered)) or "none"
        raise InputError(
            f"No connected host has the capability '{missing[0]}'; they have: {have}.",
            f"Start a host with it (`shopfloor up --capability {missing[0]}`), or correct the name.",
        )


def _task(
    floor: Floor,
    repository: Repository,
    rules: Rules,
    submission: Submission,
    blueprint: Blueprint,
    task_id: str,
    who: str,
    depends_on: Sequence[str],
) -> Task:
    limits = blueprint.limits
    return Task(
        id=task_id,
        repository=repository.id,
        title=submission.title.strip(),
        body=submission.body,
        blueprint=blueprint.name,
        blueprint_digest=blueprint.digest(),
        state=State.QUEUED,
        priority=submission.priority,
        scope=normalise(submission.scope or rules.policy.defaults.scope),
        needs=tuple(dict.fromkeys((*blueprint.needs, *submission.needs))),
        labels=submission.labels,
        complexity=submission.complexity,
        depends_on=tuple(dict.fromkeys(depends_on)),
        submitted_by=who,
        rounds_max=blueprint.rounds,
        next_step=blueprint.steps[0].name,
        tokens=Meter.of(submission.tokens or limits.tokens),
        minutes=Meter.of(submission.minutes or limits.minutes),
        diff_lines_max=limits.diff_lines,
        created_at=floor.clock(),
    )


def _placed(task: Task, known: Mapping[str, State]) -> Task:
    """The task in its first state: waiting while something that it depends on has not landed."""
    ahead = [each for each in task.depends_on if known.get(each) is not State.MERGED]
    if not ahead:
        return task.model_copy(update={"queued_at": task.created_at})
    return task.model_copy(update={"state": State.WAITING, "reason": waits_for(ahead)})


def waits_for(ahead: Sequence[str]) -> Reason:
    """Why a task waits that depends on others."""
    return Reason(code=ReasonCode.DEPENDENCY, text=f"waits until {', '.join(ahead)} has landed.")
