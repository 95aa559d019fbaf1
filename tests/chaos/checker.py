"""Judges a chaos run: `python -m tests.chaos.checker DIRECTORY`.

Believes nobody: it imports nothing of the product, and reads the events as they stand in Redis, the target's history by
plain git, and what agents and verify commands wrote themselves. Ends with 1 where any rule was broken.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.chaos.evidence import Evidence
from tests.chaos.recovery import recoveries
from tests.chaos.rules import RULES

_SHOWN = 20
_GRACE = 5.0  # seconds on top of a lease: the bound that docs/reliability.md states


def check(root: Path) -> tuple[str, int]:
    """Judge the run in a directory.

    Returns:
        The table, and how many violations it tells of.
    """
    evidence = Evidence(root)
    verdicts = [rule(evidence) for rule in RULES]
    table = [f"{'rule':<66} {'checked':>8} {'excused':>8} {'violations':>10}"]
    for each in verdicts:
        table.append(f"{each.rule:<66} {each.checked:>8} {each.excused:>8} {len(each.violations):>10}")
        table += [f"    {violation}" for violation in each.violations[:_SHOWN]]
    total = sum(len(each.violations) for each in verdicts)
    table += ["", _ends(evidence), "", *_times(evidence), "", f"{total} violations"]
    return "\n".join(table), total


def _ends(evidence: Evidence) -> str:
    last = {event["task"]: event for event in evidence.events if event["task"] in evidence.tasks and event["to"]}
    counts: dict[str, int] = {}
    for event in last.values():
        name = event["to"] if event["to"] != "escalated" else f"escalated ({event['reason']['code']})"
        counts[name] = counts.get(name, 0) + 1
    ends = ", ".join(f"{counts[name]} {name}" for name in sorted(counts))
    claims = sum(event["type"] == "claimed" for event in evidence.events)
    return (
        f"{len(evidence.tasks)} tasks: {ends}; {claims} attempts, {len(evidence.lives)} agents, "
        f"{len(evidence.faults)} faults, {evidence.run['seconds']:.0f} s"
    )


def _times(evidence: Evidence) -> list[str]:
    bound = evidence.lease_seconds + _GRACE
    table = [f"{'seconds to recover from':<24} {'faults':>7} {'hit':>5} {'P50':>7} {'P95':>7} {'worst':>7} {'over':>5}"]
    for each in recoveries(evidence):
        head = f"{each.kind:<24} {each.faults:>7} {len(each.seconds):>5}"
        if each.seconds:
            over = sum(seconds > bound for seconds in each.seconds)
            parts = [each.percentile(part) for part in (0.5, 0.95, 1)]
            head += "".join(f" {part:>7.2f}" for part in parts) + f" {over:>5}"
        table.append(head)
    return [*table, f"over: more than a lease and 5 s ({bound:.0f} s)"]


def main() -> int:
    """Judge the directory that the command line names."""
    table, violations = check(Path(sys.argv[1]))
    sys.stdout.write(f"{table}\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
