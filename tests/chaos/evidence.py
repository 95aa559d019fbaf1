"""What a chaos run leaves behind, read from its files by plain JSON and plain git: the checker's only sources."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.chaos.overlap import covered

if TYPE_CHECKING:
    from pathlib import Path

Record = dict[str, Any]

_ALWAYS: Record = {"task": None, "from": None, "to": None, "fence": None, "host": None}
"""Fields of an event that Redis holds only where they say something."""


@dataclass(frozen=True, slots=True)
class Life:
    """One agent, by its own log. Times are monotonic seconds of the machine.

    An agent writes a line every 50 ms while it lives, so `last` is a lower bound of its end also where it was killed:
    whatever overlaps [begin, last] was seen to overlap. What the bound can miss is 50 ms.
    """

    task: str
    fence: int
    round: int
    step: str
    host: str
    pid: int
    begin: float
    last: float
    ended: bool

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.task}-{self.fence} {self.step} round {self.round} on {self.host} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Merge:
    """One commit of a target's first-parent history."""

    commit: str
    parents: tuple[str, ...]
    task: str | None
    fence: int | None


class Evidence:
    """A run's directory.

    Args:
        root: Holds run.json, tasks.jsonl, events.jsonl, faults.jsonl, scans.jsonl, outside.jsonl, agents/, verified/.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run: Record = json.loads((root / "run.json").read_text("utf-8"))
        self.tasks: dict[str, Record] = {each["id"]: each for each in lines(root / "tasks.jsonl")}
        told = ({**_ALWAYS, **each} for each in lines(root / "events.jsonl"))
        self.events: list[Record] = sorted(told, key=lambda each: int(each["seq"]))
        self.faults: list[Record] = lines(root / "faults.jsonl")
        self.scans: list[Record] = lines(root / "scans.jsonl")
        self.outside: set[str] = {each["commit"] for each in lines(root / "outside.jsonl")}
        self._paths: dict[str, frozenset[str]] = {}

    @property
    def lease_seconds(self) -> float:
        """How long a lease lasted."""
        return float(self.run["lease_seconds"])

    @cached_property
    def lives(self) -> list[Life]:
        """Every agent that ever began."""
        told: dict[tuple[int, str, int, str], list[Record]] = {}
        for file in sorted((self.root / "agents").glob("*.jsonl")):
            for line in lines(file):
                told.setdefault((line["pid"], line["task"], line["fence"], line["step"]), []).append(line)
        killed = {each["pid"]: float(each["begin"]) for each in self.faults if "pid" in each}
        return sorted((_life(each, killed) for each in told.values()), key=lambda life: life.begin)

    @cached_property
    def verified(self) -> set[str]:
        """Commits on which the verify command itself says that it passed."""
        files = (self.root / "verified").glob("*.log")
        return {line.strip() for file in files for line in file.read_text("utf-8").splitlines()}

    def of_task(self, task: str) -> list[Record]:
        """A task's events, in order."""
        return [each for each in self.events if each["task"] == task]

    def overlapping(self, one: str, other: str) -> bool:
        """Tell whether two tasks' declared scopes have a path in common."""
        if self.tasks[one]["repository"] != self.tasks[other]["repository"]:
            return False
        return bool(self._covered(one) & self._covered(other))

    def history(self, repository: str) -> list[Merge]:
        """The target's first-parent history, oldest first, without its first commit."""
        path = self.root / self.run["repositories"][repository]
        form = "%H%x1f%P%x1f%(trailers:key=Shopfloor-Task,valueonly)%x1f%(trailers:key=Shopfloor-Fence,valueonly)%x1e"
        text = git(path, "log", "--first-parent", "--reverse", f"--format={form}", "main")
        found = []
        for entry in text.split("\x1e"):
            if not entry.strip():
                continue
            commit, parents, task, fence = entry.strip("\n").split("\x1f")
            number = int(fence) if fence.strip() else None
            found.append(Merge(commit, tuple(parents.split()), task.strip() or None, number))
        return found[1:]

    def _covered(self, task: str) -> frozenset[str]:
        if task not in self._paths:
            self._paths[task] = covered(self.tasks[task]["scope"], self.run["universe"])
        return self._paths[task]


def wall(event: Record) -> float:
    """An event's time as Unix seconds."""
    return datetime.fromisoformat(event["at"]).timestamp()


def lines(file: Path) -> list[Record]:
    """The JSON lines of a file; none where it is not there. A last line that a kill cut short is left out."""
    if not file.exists():
        return []
    texts = file.read_text("utf-8").split("\n")
    return [json.loads(text) for text in texts[:-1] if text]


def git(path: Path, *words: str) -> str:
    """What git says about a repository, without blanks at the end."""
    done = subprocess.run(["git", "-C", str(path), *words], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def _life(told: list[Record], killed: dict[int, float]) -> Life:
    first, last = told[0], told[-1]
    seen = float(last["at"])
    ended = last["what"] == "end"
    if not ended and first["pid"] in killed:
        seen = max(seen, killed[first["pid"]])
    return Life(
        task=first["task"],
        fence=first["fence"],
        round=first["round"],
        step=first["step"],
        host=first["host"],
        pid=first["pid"],
        begin=float(first["at"]),
        last=seen,
        ended=ended,
    )
