"""Measures a halt: `python -m tests.chaos.halt_drill`; 3 hosts with 20 agents each that do their best to survive it.

Each agent is three processes: one that ignores SIGTERM, SIGINT and SIGHUP, one in a session of its own, and that one's
child; the process that watches over them is counted with them. Prints how long after the command the last of them was
gone, on each host; ends with 1 where any is left.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import State
from orchestrator.services.halt import halt
from orchestrator.services.submit import Submission, submit
from tests.chaos.faults import HALT_BOUND, WHO
from tests.chaos.ground import FILES, break_ground
from tests.chaos.site import Site
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROCESSES = 4  # of an agent, with the one that watches over it
_PATIENCE = 180.0
_LEASE_SECONDS = 20.0
_LOOK = 0.01


def drill(root: Path, hosts: int, agents: int) -> tuple[dict[str, float], float, int]:
    """Start that many agents on each host and halt the fleet.

    Returns:
        Seconds from the command to the last death on each host, seconds that the command took, and how many processes
        a scan of the whole machine finds a second and a half after it.
    """
    site = Site(root, hosts, slots=agents, lease_seconds=_LEASE_SECONDS)
    try:
        _fill(site, hosts * agents)
        living = eventually(lambda: _all_there(site, hosts * agents), "all agents", _PATIENCE)
        with ThreadPoolExecutor(1) as watcher:
            asked = time.monotonic()
            watched = watcher.submit(_watch, living, asked)
            halt(site.floor, Reach.FLEET, "", why="drill", who=WHO)
            took = time.monotonic() - asked
            gone = watched.result()
        time.sleep(max(0.0, asked + HALT_BOUND - time.monotonic()))
        left = len(site.commands())
        eventually(lambda: len(site.floor.store.tasks([State.QUEUED])) == hosts * agents, "all are queued again", 30)
        return gone, took, left
    finally:
        site.stop()


def _fill(site: Site, count: int) -> None:
    ground = break_ground(site.root, "r0", count // FILES + 1, bare=True)
    site.floor.store.add_repository(ground.repository)
    site.start()
    plan = {"seconds": 600, "unfinished": 0, "tough": True}
    submissions = [
        Submission(title="Survive", body=json.dumps({**plan, "paths": [path]}), scope=(path,))
        for path in ground.universe[:count]
    ]
    submit(site.floor, ground.repository, submissions, who=WHO)


def _all_there(site: Site, count: int) -> dict[int, str]:
    """Every process of every agent with its host, once all of them have multiplied."""
    found = {pid: _host_of(site, pid) for pid in site.commands()}
    return found if len(found) >= count * _PROCESSES else {}


def _host_of(site: Site, pid: int) -> str:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    home = next(word for word in words if word.startswith(b"HOME=")).decode()
    return home.removeprefix(f"HOME={site.root}/").split("/")[0]


def _watch(living: Mapping[int, str], asked: float) -> dict[str, float]:
    """Look until all of them are gone, and note when the last of each host was."""
    left = dict(living)
    gone: dict[str, float] = {}
    while left and time.monotonic() - asked < _PATIENCE:
        for pid, host in list(left.items()):
            if not _lives(pid):
                del left[pid]
                gone[host] = time.monotonic() - asked
        time.sleep(_LOOK)
    return gone


def _lives(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def main() -> int:
    """Run the drill that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.halt_drill", description="How fast a halt is.")
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument(
        "--agents", type=int, default=20, help="on each host; each is three processes, and one that watches"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        gone, took, left = drill(Path(folder) / "run", asked.hosts, asked.agents)
    processes = asked.hosts * asked.agents * _PROCESSES
    sys.stdout.write(f"{asked.hosts * asked.agents} agents, {processes} processes; the command took {took:.2f} s\n")
    for host in sorted(gone):
        sys.stdout.write(f"{host}: the last was gone {gone[host]:.2f} s after the command was given\n")
    sys.stdout.write(f"{left} processes left {HALT_BOUND} s after the command\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
