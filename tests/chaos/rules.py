"""The rules that no fault may break; each reads the evidence and names what it found against itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.chaos.evidence import git

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.evidence import Evidence, Life, Record

THAW_SECONDS = 2.0
"""A process that was stopped cannot be killed by its own host before it goes on: for so long its last moments count as
part of the stop. It writes in a workspace of its own, and its fence is stale: nothing of it can get out."""

ENDS = {"merged", "escalated", "cancelled"}
FREES = ENDS
TABLE = {
    (None, "submitted", "queued"),
    (None, "submitted", "waiting"),
    ("waiting", "unblocked", "queued"),
    ("queued", "claimed", "running"),
    ("running", "published", "review"),
    ("running", "lease_expired", "queued"),
    ("running", "halted", "queued"),
    ("review", "approved", "merging"),
    ("review", "changes_requested", "queued"),
    ("merging", "landed", "merged"),
    ("merging", "conflicted", "queued"),
    ("merging", "verify_failed", "queued"),
    ("escalated", "retried", "queued"),
    *((state, "escalated", "escalated") for state in ("waiting", "queued", "running", "review", "merging")),
    *((s, "cancelled", "cancelled") for s in ("waiting", "queued", "running", "review", "merging", "escalated")),
}
"""SPEC.md, section Transitions, written down a second time."""


@dataclass
class Verdict:
    """What a rule found: how many things it looked at, what broke it, and what it excused and why."""

    rule: str
    checked: int = 0
    violations: list[str] = field(default_factory=list)
    excused: int = 0


def scopes_held_apart(evidence: Evidence) -> Verdict:
    """By the event log: no task is claimed while another holds a scope that meets its own."""
    verdict = Verdict("no claim on a scope that is held (events)")
    held: set[str] = set()
    for event in evidence.events:
        task = event["task"]
        if task not in evidence.tasks:
            continue
        if event["type"] == "claimed":
            verdict.checked += 1
            met = [each for each in held if each != task and evidence.overlapping(each, task)]
            verdict.violations += [f"seq {event['seq']}: {task} was claimed while {each} held" for each in met]
            held.add(task)
        elif event["to"] in FREES:
            held.discard(task)
    return verdict


def agents_apart(evidence: Evidence) -> Verdict:
    """By the agents' own logs: no two agents with scopes that meet at the same time."""
    verdict = Verdict("no two agents on meeting scopes at once (agents)", checked=len(evidence.lives))
    for one, other in _at_once(evidence.lives):
        if one.task != other.task and evidence.overlapping(one.task, other.task):
            _judge(evidence, verdict, one, other)
    return verdict


def one_attempt_a_step(evidence: Evidence) -> Verdict:
    """By the agents' own logs: no task is worked on by two agents at once."""
    verdict = Verdict("no step by two live attempts at once (agents)", checked=len(evidence.lives))
    for one, other in _at_once(evidence.lives):
        if one.task == other.task:
            _judge(evidence, verdict, one, other)
    return verdict


def none_lost(evidence: Evidence) -> Verdict:
    """Every task that was taken in has landed, or is a person's, or was cancelled."""
    verdict = Verdict("no task lost", checked=len(evidence.tasks))
    last: dict[str, str] = {event["task"]: event["to"] for event in evidence.events if event["task"] and event["to"]}
    verdict.violations = [f"{task} is left {last.get(task)}" for task in evidence.tasks if last.get(task) not in ENDS]
    return verdict


def landed_once(evidence: Evidence) -> Verdict:
    """A task lands at most once, and is in its target's history exactly as often as the events say."""
    verdict = Verdict("each task landed at most once, and is in the history once")
    noted = Counter(event["task"] for event in evidence.events if event["type"] == "landed")
    merges = [merge for name in evidence.run["repositories"] for merge in evidence.history(name)]
    there = Counter(merge.task for merge in merges if merge.task)
    for task in evidence.tasks:
        verdict.checked += 1
        if noted[task] > 1 or noted[task] != there[task]:
            verdict.violations.append(f"{task}: {noted[task]} landed events, {there[task]} merges in the history")
    return verdict


def verified_before_landing(evidence: Evidence) -> Verdict:
    """What landed is a candidate that passed before, by the events and by the verify command's own notes."""
    verdict = Verdict("every landed commit was verified before")
    merged = {m.task: m.commit for name in evidence.run["repositories"] for m in evidence.history(name) if m.task}
    built: dict[tuple[str, int], str] = {}
    passed: dict[str, set[str]] = {}
    for event in evidence.events:
        key = (event["task"], event["fence"])
        if event["type"] == "candidate_built":
            built[key] = event["text"]
        elif event["type"] == "verify_passed":
            passed.setdefault(event["task"], set()).add(built.get(key, "?"))
        elif event["type"] == "landed":
            verdict.checked += 1
            commit = merged.get(event["task"], "")
            if commit not in passed.get(event["task"], set()):
                verdict.violations.append(f"{event['task']} landed as {commit[:12]} without verify_passed before")
            if commit not in evidence.verified:
                verdict.violations.append(f"{event['task']}: the verify command never passed on {commit[:12]}")
    return verdict


def linear(evidence: Evidence) -> Verdict:
    """The target moves by merges of its last tip and a change, or by the commits that came from outside."""
    verdict = Verdict("target history: merges on the last tip, each verified as it is")
    for name in evidence.run["repositories"]:
        for before, merge in pairwise([None, *evidence.history(name)]):
            assert merge is not None
            verdict.checked += 1
            if merge.commit in evidence.outside:
                continue
            if merge.task not in evidence.tasks or len(merge.parents) != 2:
                verdict.violations.append(f"{name}: {merge.commit[:12]} is neither a task's merge nor from outside")
            elif before is not None and merge.parents[0] != before.commit:
                verdict.violations.append(f"{name}: {merge.commit[:12]} is not on the tip before it")
    return verdict


def work_kept(evidence: Evidence) -> Verdict:
    """Every landed task's work is in the target, whole and once; of the others there is nothing."""
    verdict = Verdict("the target holds the landed work, once, and no other")
    landed = {event["task"] for event in evidence.events if event["type"] == "landed"}
    for name, place in evidence.run["repositories"].items():
        for task in (each for each in evidence.tasks.values() if each["repository"] == name):
            for path in task["paths"]:
                verdict.checked += 1
                text = git(evidence.root / place, "show", f"main:{path}")
                count = text.splitlines().count(task["id"])
                if count != int(task["id"] in landed):
                    verdict.violations.append(f"{name}: {path} has the work of {task['id']} {count} times")
    return verdict


def nothing_claimed_in_halt(evidence: Evidence) -> Verdict:
    """Between a halt and its resume nothing that it reaches is claimed; by the order of events."""
    verdict = Verdict("nothing claimed during a halt that reaches it")
    inforce: dict[str, tuple[str, str]] = {}
    for event in evidence.events:
        if event["type"] == "halt":
            reach, _, name = event["text"].partition(":")[0].partition(" ")
            inforce[f"{reach}:{name}" if name else reach] = (reach, name)
            verdict.checked += 1
        elif event["type"] == "resume":
            keys = list(inforce) if event["text"] == "all" else event["text"].split(", ")
            for key in keys:
                inforce.pop(key, None)
        elif event["type"] == "claimed" and any(_reaches(evidence, event, *halt) for halt in inforce.values()):
            verdict.violations.append(f"seq {event['seq']}: {event['task']} was claimed in a halt")
    return verdict


def dead_in_halt(evidence: Evidence) -> Verdict:
    """A bound after a fleet-wide halt no agent lives: by a scan of the machine, and by the agents' own lines."""
    verdict = Verdict("no agent alive after a halt plus its bound")
    for scan in evidence.scans:
        verdict.checked += 1
        if scan["alive"]:
            verdict.violations.append(f"{len(scan['alive'])} processes live {scan['after']:.2f} s after a halt")
        late = [life for life in evidence.lives if life.begin < scan["until"] and life.last > scan["at"]]
        verdict.violations += [f"{life.name} lived {life.last - scan['halted']:.2f} s into a halt" for life in late]
    return verdict


def fences_grow(evidence: Evidence) -> Verdict:
    """Each claim's fence is higher than all before it of its task, and no two claims share one."""
    verdict = Verdict("fences only grow, and none is given twice")
    seen: set[int] = set()
    highest: dict[str, int] = {}
    for event in evidence.events:
        if event["type"] != "claimed":
            continue
        verdict.checked += 1
        if event["fence"] <= highest.get(event["task"], 0) or event["fence"] in seen:
            verdict.violations.append(f"seq {event['seq']}: {event['task']} got fence {event['fence']} after a higher")
        highest[event["task"]] = event["fence"]
        seen.add(event["fence"])
    return verdict


def transitions_allowed(evidence: Evidence) -> Verdict:
    """Every move is in the table, and leaves the state that the move before it entered."""
    verdict = Verdict("every transition is allowed, and leaves where the last one led")
    at: dict[str, str | None] = {}
    for event in evidence.events:
        task, source, target = event["task"], event["from"], event["to"]
        if target is None or task is None:
            continue
        verdict.checked += 1
        if (source, event["type"], target) not in TABLE:
            verdict.violations.append(f"seq {event['seq']}: {task} went {source} -{event['type']}-> {target}")
        if source != at.get(task):
            verdict.violations.append(f"seq {event['seq']}: {task} left {source}, but was {at.get(task)}")
        at[task] = target
    return verdict


def events_whole(evidence: Evidence) -> Verdict:
    """The event log has no gap."""
    verdict = Verdict("the event log has no gap", checked=len(evidence.events))
    for before, after in pairwise([0, *(event["seq"] for event in evidence.events)]):
        if after != before + 1:
            verdict.violations.append(f"seq {after} follows {before}")
    return verdict


def dependencies_first(evidence: Evidence) -> Verdict:
    """No task is claimed before all that it depends on has landed (a retry by hand may give up on a cancelled one)."""
    verdict = Verdict("nothing claimed before what it depends on has landed")
    landed: set[str] = set()
    retried: set[str] = set()
    for event in evidence.events:
        task = event["task"]
        if event["type"] == "landed":
            landed.add(task)
        elif event["type"] == "retried":
            retried.add(task)
        elif event["type"] == "claimed" and task in evidence.tasks:
            verdict.checked += 1
            missing = set(evidence.tasks[task]["depends_on"]) - landed
            if missing and task not in retried:
                verdict.violations.append(f"seq {event['seq']}: {task} was claimed before {sorted(missing)} landed")
    return verdict


RULES: tuple[Callable[[Evidence], Verdict], ...] = (
    scopes_held_apart,
    agents_apart,
    one_attempt_a_step,
    none_lost,
    landed_once,
    verified_before_landing,
    linear,
    work_kept,
    nothing_claimed_in_halt,
    dead_in_halt,
    fences_grow,
    transitions_allowed,
    events_whole,
    dependencies_first,
)


def _at_once(lives: list[Life]) -> Iterator[tuple[Life, Life]]:
    """Pairs of agents that lived at the same time; lives are in the order of their begin."""
    open_: list[Life] = []
    for life in lives:
        open_ = [each for each in open_ if each.last > life.begin]
        yield from ((each, life) for each in open_)
        open_.append(life)


def _judge(evidence: Evidence, verdict: Verdict, one: Life, other: Life) -> None:
    """Count a meeting: excused where it lies in the stop of either's host and the moment after it."""
    begin, end = max(one.begin, other.begin), min(one.last, other.last)
    for fault in evidence.faults:
        stopped = fault["kind"] == "freeze" and fault["host"] in (one.host, other.host)
        if stopped and fault["begin"] <= begin and end <= fault["end"] + THAW_SECONDS:
            verdict.excused += 1
            return
    verdict.violations.append(f"{one.name} and {other.name}, for {end - begin:.2f} s")


def _reaches(evidence: Evidence, event: Record, reach: str, name: str) -> bool:
    task = evidence.tasks.get(event["task"], {})
    match reach:
        case "fleet":
            return True
        case "task":
            return bool(name == event["task"])
        case "host":
            return bool(name == event["host"])
        case "blueprint":
            return bool(name == task.get("blueprint"))
        case _:
            return bool(name == event.get("repository"))
