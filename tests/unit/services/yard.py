"""A merge train over a real repository: changes to put on it, and a forge whose landings can be made to fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from blueprints.model import Tier
from orchestrator.domain.task import Change, State, Task
from orchestrator.forge import Blocked, Landed, Moved
from orchestrator.forges.local import LocalForge
from orchestrator.mirror import Mirror
from orchestrator.services.merge import merge
from orchestrator.services.verify import verify_ended, verify_started
from tests.helpers.attempts import BLUEPRINT
from tests.helpers.repositories import git, refs, tip
from tests.helpers.tasks import make_task, submitted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.domain.repository import Repository
    from orchestrator.domain.train import Candidate, Train
    from orchestrator.forge import Change as ForgeChange
    from orchestrator.services.floor import Floor


class CrashError(Exception):
    """The process died here."""


class Gate(LocalForge):
    """The local forge, with somebody at the gate.

    Attributes:
        blocked: Why nothing may land now; None where it may.
        before: Called once, before the next landing.
        after: Called once, after the next landing.
        closing: Called once, before the next change is closed.
    """

    def __init__(self) -> None:
        self.blocked: str | None = None
        self.before: Callable[[], object] | None = None
        self.after: Callable[[], object] | None = None
        self.closing: Callable[[], object] | None = None

    def land(self, mirror: Mirror, branch: str, candidate: str, expected: str) -> Landed | Moved | Blocked:
        """See `Forge.land`."""
        if self.blocked:
            return Blocked(self.blocked)
        before, self.before = self.before, None
        if before:
            before()
        outcome = super().land(mirror, branch, candidate, expected)
        after, self.after = self.after, None
        if after:
            after()
        return outcome

    def close_change(self, mirror: Mirror, change: ForgeChange, head: str) -> None:
        """See `Forge.close_change`."""
        closing, self.closing = self.closing, None
        if closing:
            closing()
        super().close_change(mirror, change, head)


def crash() -> None:
    """Die here."""
    raise CrashError


class Yard:
    """A train of the repository R1, and the people and machines around it."""

    def __init__(self, floor: Floor, origin: Path, path: Path) -> None:
        self.gate = Gate()
        self.floor = replace(floor, forge=lambda _: self.gate)
        self.store = floor.store
        self.origin = origin
        self._path = path
        self.store.keep_blueprint(BLUEPRINT.digest(), BLUEPRINT.model_dump_json())

    @property
    def repository(self) -> Repository:
        return self.store.repository("R1")

    @property
    def train(self) -> Train:
        return self.store.train(self.repository)

    @property
    def candidate(self) -> Candidate:
        """The candidate that there is; fails the test where there is none."""
        found = self.train.candidate
        assert found is not None, self.train
        return found

    @property
    def tip(self) -> str:
        return tip(self.origin)

    def refs(self) -> set[str]:
        """The names of all refs but the target's."""
        return set(refs(self.origin)) - {"refs/heads/main"}

    def approved(self, number: int, files: Mapping[str, str | None], **changes: Any) -> Task:  # noqa: ANN401 - the fields' own types
        """Put a change on the train, made on the target as it is now."""
        branch, base = f"shopfloor/T{number}-change", self.tip
        head = self._push(files, branch, base)
        task = make_task(
            id=f"T{number}",
            state=State.MERGING,
            blueprint_digest=BLUEPRINT.digest(),
            next_step="publish",
            round=1,
            attempt=1,
            fence=self.store.next_fence(),
            branch=branch,
            base=base,
            head=head,
            published_head=head,
            merging_at=self.floor.clock(),
            change=Change(id=f"T{number}", url="file:///srv/R1", state="open", tier=Tier.AUTO),
        ).model_copy(update=changes)
        self.store.create([submitted(task)])
        return task

    def land_by_hand(self, files: Mapping[str, str | None]) -> str:
        """Somebody pushes to the target."""
        return self._push(files, "main", self.tip)

    def merge(self) -> None:
        merge(self.floor, "R1")

    def verify(self, code: int | None = 0, log: str = "", host: str = "h1") -> None:
        """Have a host verify the candidate that there is."""
        fence = self.candidate.fence
        assert verify_started(self.floor, "R1", fence, host) is not None
        verify_ended(self.floor, "R1", fence, code, log)

    def elsewhere(self) -> Floor:
        """The same floor on another machine, whose mirror is its own."""
        mirror = Mirror(self._path / "elsewhere" / "R1.git", str(self.origin))
        return replace(self.floor, mirror=lambda _: mirror)

    def task(self, number: int) -> Task:
        return self.store.task(f"T{number}")

    def events(self) -> list[tuple[str | None, str]]:
        return [(event.task, event.type) for event in self.store.events() if event.type != "submitted"]

    def _push(self, files: Mapping[str, str | None], branch: str, base: str) -> str:
        """Commit files on top of a commit, as somebody would by pushing a branch, at the price of one process."""
        lines = [f"commit refs/heads/{branch}", "mark :1", "committer Test <test@example.invalid> 0 +0000"]
        lines += ["data 6", "Change", f"from {base}"]
        for name, content in files.items():
            if content is None:
                lines.append(f"D {name}")
            else:
                lines += [f"M 100644 inline {name}", f"data {len(content.encode())}", content]
        return git(self.origin, "fast-import", "--quiet", stdin="\n".join([*lines, "get-mark :1", ""]))
