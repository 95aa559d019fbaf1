"""The checker finds each violation in hand-made evidence, and none in evidence of a run that went well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos import rules
from tests.chaos.checker import check
from tests.chaos.evidence import Evidence
from tests.chaos.overlap import covered
from tests.chaos.recovery import recoveries
from tests.helpers.repositories import commit, git, make_repository, tip

if TYPE_CHECKING:
    from collections.abc import Callable

Line = dict[str, Any]

GOOD = (
    ("T1", "submitted", None, "queued", None),
    ("T2", "submitted", None, "queued", None),
    ("T1", "claimed", "queued", "running", 1),
    ("T1", "published", "running", "review", 1),
    ("T1", "approved", "review", "merging", 1),
    ("T1", "candidate_built", None, None, 2),
    ("T1", "verify_passed", None, None, 2),
    ("T1", "landed", "merging", "merged", 1),
    ("T2", "claimed", "queued", "running", 3),
    ("T2", "cancelled", "running", "cancelled", 3),
)


class Scene:
    """Evidence that a test may spoil: T1 landed, then T2 on the same file was cancelled."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("agents", "verified"):
            (root / folder).mkdir(parents=True)
        self.repo = make_repository(root / "r0", {"src/a.txt": "start\n"})
        self.commit = self.merge("T1")
        self.events: list[Line] = [
            {"task": task, "type": kind, "from": source, "to": target, "fence": fence, "host": "h1"}
            for task, kind, source, target, fence in GOOD
        ]
        self.events[5]["text"] = self.commit
        self.events[9]["reason"] = {"code": "cancelled"}
        self.tasks: list[Line] = [
            {"id": "T1", "repository": "r0", "scope": ["src/a.txt"], "paths": ["src/a.txt"], "depends_on": []},
            {"id": "T2", "repository": "r0", "scope": ["src/**"], "paths": ["src/a.txt"], "depends_on": []},
        ]
        self.agents = [
            *self.life("T1", 1, 10.0, 11.0),
            *self.life("T2", 3, 12.0, 13.0, host="h2"),
        ]
        self.faults: list[Line] = []
        self.scans: list[Line] = []
        self.outside: list[Line] = []
        self.verified = [self.commit]

    def merge(self, task: str) -> str:
        """Land a task's work by hand."""
        git(self.repo, "switch", "--quiet", "--create", f"work-{task}-{tip(self.repo)[:8]}")
        before = (self.repo / "src/a.txt").read_text("utf-8")
        commit(self.repo, {"src/a.txt": f"{before}{task}\n"}, "Work")
        git(self.repo, "switch", "--quiet", "main")
        message = f"Merge {task}\n\nShopfloor-Task: {task}\nShopfloor-Fence: 1\n"
        git(self.repo, "merge", "--quiet", "--no-ff", "-m", message, "@{-1}")
        return tip(self.repo)

    @staticmethod
    def life(task: str, fence: int, begin: float, last: float, host: str = "h1", end: str = "end") -> list[Line]:
        """The lines of an agent."""
        me = {"task": task, "fence": fence, "round": 1, "step": "edit", "host": host, "pid": 1000 + fence}
        return [{"what": "begin", "at": begin, **me}, {"what": end, "at": last, **me}]

    def evidence(self) -> Evidence:
        """Write it down and read it as the checker does."""
        numbered = [
            {"seq": number, "at": f"2026-01-01T00:00:{number:02}+00:00", **event}
            for number, event in enumerate(self.events, start=1)
        ]
        for name, content in (
            ("events", numbered),
            ("tasks", self.tasks),
            ("faults", self.faults),
            ("scans", self.scans),
            ("outside", self.outside),
            ("agents/all", self.agents),
        ):
            text = "".join(json.dumps(line) + "\n" for line in content)
            (self.root / f"{name}.jsonl").write_text(text, "utf-8")
        (self.root / "verified" / "r0.log").write_text("\n".join(self.verified), "utf-8")
        facts = {"lease_seconds": 3, "seconds": 9, "repositories": {"r0": "r0"}, "universe": ["src/a.txt"]}
        (self.root / "run.json").write_text(json.dumps(facts), "utf-8")
        return Evidence(self.root)

    def add(self, task: str, kind: str, source: str | None, target: str | None, fence: int | None = None) -> None:
        """One more event."""
        self.events.append(
            {"task": task, "type": kind, "from": source, "to": target, "fence": fence, "reason": {"code": "x"}}
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "run")


def test_a_run_that_went_well_has_no_violation(scene: Scene) -> None:
    scene.evidence()
    table, violations = check(scene.root)
    assert violations == 0, table
    assert "1 cancelled, 1 merged" in table


def _claim_while_held(scene: Scene) -> None:
    scene.events.insert(3, scene.events.pop(8))


def _agents_together(scene: Scene) -> None:
    scene.agents = [*scene.life("T1", 1, 10.0, 12.5), *scene.life("T2", 3, 12.0, 13.0, host="h2")]


def _killed_agent_seen_with_its_successor(scene: Scene) -> None:
    scene.agents = [*scene.life("T1", 1, 10.0, 12.5, end="alive"), *scene.life("T2", 3, 12.0, 13.0, host="h2")]


def _stale_agent_long_after_its_host_went_on(scene: Scene) -> None:
    scene.agents = [*scene.life("T1", 1, 10.0, 20.0), *scene.life("T2", 3, 12.0, 19.0, host="h2")]
    scene.faults = [{"kind": "freeze", "host": "h1", "begin": 11.0, "end": 15.0, "wall": 0.0, "wall_end": 0.0}]


def _two_attempts(scene: Scene) -> None:
    scene.agents += scene.life("T1", 2, 10.5, 11.5, host="h2")


def _lost(scene: Scene) -> None:
    scene.events.pop()


def _landed_twice(scene: Scene) -> None:
    scene.merge("T1")


def _landed_unnoted(scene: Scene) -> None:
    scene.merge("T2")


def _landed_without_a_trace(scene: Scene) -> None:
    git(scene.repo, "reset", "--quiet", "--hard", "HEAD^")


def _never_passed(scene: Scene) -> None:
    scene.events[6]["type"] = "verify_started"


def _passed_after_landing(scene: Scene) -> None:
    scene.events[6], scene.events[7] = scene.events[7], scene.events[6]


def _passed_by_hearsay(scene: Scene) -> None:
    scene.verified = []


def _another_candidate_passed(scene: Scene) -> None:
    scene.events[5]["text"] = "0" * 40


def _pushed_by_somebody(scene: Scene) -> None:
    commit(scene.repo, {"src/a.txt": "start\nT1\nx\n"}, "By nobody")


def _work_gone(scene: Scene) -> None:
    scene.outside = [{"commit": commit(scene.repo, {"src/a.txt": "start\n"}, "Rewritten")}]


def _work_doubled(scene: Scene) -> None:
    scene.outside = [{"commit": commit(scene.repo, {"src/a.txt": "start\nT1\nT1\n"}, "Doubled")}]


def _claimed_in_halt(scene: Scene) -> None:
    scene.events.insert(8, {"task": None, "type": "halt", "text": "fleet : drill"})


def _claimed_in_narrow_halt(scene: Scene) -> None:
    scene.events.insert(8, {"task": "T2", "type": "halt", "text": "task T2: drill"})
    scene.events.insert(9, {"task": None, "type": "resume", "text": "host:h1"})


def _process_after_halt(scene: Scene) -> None:
    scene.scans = [{"halted": 12.1, "at": 13.6, "until": 14.0, "after": 1.5, "alive": [4711]}]


def _agent_after_halt(scene: Scene) -> None:
    scene.scans = [{"halted": 11.1, "at": 12.6, "until": 14.0, "after": 1.5, "alive": []}]


def _fence_falls(scene: Scene) -> None:
    scene.add("T2", "claimed", "queued", "running", 2)


def _fence_twice(scene: Scene) -> None:
    scene.events[8]["fence"] = 1


def _leap(scene: Scene) -> None:
    scene.add("T2", "landed", "cancelled", "merged")


def _from_elsewhere(scene: Scene) -> None:
    scene.add("T1", "cancelled", "queued", "cancelled")


def _gap(scene: Scene) -> None:
    scene.events[3]["seq"] = 40


def _before_its_dependency(scene: Scene) -> None:
    scene.tasks[0]["depends_on"] = ["T2"]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (_claim_while_held, rules.scopes_held_apart),
        (_agents_together, rules.agents_apart),
        (_killed_agent_seen_with_its_successor, rules.agents_apart),
        (_stale_agent_long_after_its_host_went_on, rules.agents_apart),
        (_two_attempts, rules.one_attempt_a_step),
        (_lost, rules.none_lost),
        (_landed_twice, rules.landed_once),
        (_landed_unnoted, rules.landed_once),
        (_landed_without_a_trace, rules.landed_once),
        (_never_passed, rules.verified_before_landing),
        (_passed_after_landing, rules.verified_before_landing),
        (_passed_by_hearsay, rules.verified_before_landing),
        (_another_candidate_passed, rules.verified_before_landing),
        (_pushed_by_somebody, rules.linear),
        (_work_gone, rules.work_kept),
        (_work_doubled, rules.work_kept),
        (_claimed_in_halt, rules.nothing_claimed_in_halt),
        (_claimed_in_narrow_halt, rules.nothing_claimed_in_halt),
        (_process_after_halt, rules.dead_in_halt),
        (_agent_after_halt, rules.dead_in_halt),
        (_fence_falls, rules.fences_grow),
        (_fence_twice, rules.fences_grow),
        (_leap, rules.transitions_allowed),
        (_from_elsewhere, rules.transitions_allowed),
        (_gap, rules.events_whole),
        (_before_its_dependency, rules.dependencies_first),
    ],
)
def test_a_violation_is_found(
    scene: Scene, spoil: Callable[[Scene], None], rule: Callable[[Evidence], rules.Verdict]
) -> None:
    assert not rule(scene.evidence()).violations
    spoil(scene)
    assert rule(scene.evidence()).violations


def test_the_last_moments_of_a_frozen_host_are_excused_and_counted(scene: Scene) -> None:
    scene.agents = [*scene.life("T1", 1, 10.0, 15.3), *scene.life("T2", 3, 12.0, 19.0, host="h2")]
    scene.faults = [{"kind": "freeze", "host": "h1", "begin": 11.0, "end": 15.0, "wall": 0.0, "wall_end": 0.0}]
    verdict = rules.agents_apart(scene.evidence())
    assert (verdict.violations, verdict.excused) == ([], 1)


def test_a_resume_ends_only_the_halts_it_names(scene: Scene) -> None:
    scene.events[8:8] = [
        {"task": "T2", "type": "halt", "text": "task T2: drill"},
        {"task": None, "type": "halt", "text": "host h2: drill"},
        {"task": None, "type": "resume", "text": "task:T2"},
    ]
    assert not rules.nothing_claimed_in_halt(scene.evidence()).violations


def test_recovery_is_measured_from_the_fault_to_the_next_progress_of_what_it_hit(scene: Scene) -> None:
    scene.events[3:3] = [
        {"task": "T1", "type": "lease_expired", "from": "running", "to": "queued", "fence": 1},
        {"task": "T1", "type": "claimed", "from": "queued", "to": "running", "fence": 2, "host": "h2"},
    ]
    began = 1767225603.5  # between the first claim, at second 3, and the loss of its lease, at second 4
    scene.faults = [{"kind": "host", "host": "h1", "wall": began, "wall_end": began + 1, "begin": 1.0, "end": 2.0}]
    (measured,) = recoveries(scene.evidence())
    assert (measured.kind, measured.faults, measured.seconds) == ("host", 1, [1.5])


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("src/a/f1.txt", {"src/a/f1.txt"}),
        ("src/a", {"src/a/f1.txt", "src/a/f2.txt"}),
        ("src/a/**", {"src/a/f1.txt", "src/a/f2.txt"}),
        ("src/*/f1.txt", {"src/a/f1.txt", "src/b/f1.txt"}),
        ("src/{a,b}/f2.txt", {"src/a/f2.txt", "src/b/f2.txt"}),
        ("src/b/f[0-1].txt", {"src/b/f1.txt"}),
        ("src/?/f1.txt", {"src/a/f1.txt", "src/b/f1.txt"}),
    ],
)
def test_patterns_cover_what_they_say(pattern: str, paths: set[str]) -> None:
    universe = [f"src/{folder}/f{number}.txt" for folder in "ab" for number in (1, 2)]
    assert covered([pattern], universe) == paths


def test_the_checker_imports_nothing_of_the_product() -> None:
    for name in ("checker", "evidence", "overlap", "recovery", "rules"):
        text = (Path(rules.__file__).parent / f"{name}.py").read_text("utf-8")
        assert not [word for word in ("orchestrator", "workers", "blueprints") if f"import {word}" in text]
        assert not [word for word in ("orchestrator", "workers", "blueprints") if f"from {word}" in text]
