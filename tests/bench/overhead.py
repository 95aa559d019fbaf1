"""What it costs to land a task, beside bare Celery chains, all in one run and by turns.

Run as `python -m tests.bench.overhead [--tasks N] [--rounds N] [--json]`. Every contestant works on the same small
repository with the same null agent, worker settings and Redis server. docs/performance.md explains the figures.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import redis

from tests.bench.overhead_commands import commands_of
from tests.bench.overhead_floors import SLOTS, Chains, Contestant, Shopfloor
from tests.bench.overhead_repository import make_small_repository
from tests.helpers.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = 20
ROUNDS = 3
SINGLES = 10
_SAME = 0.005  # seconds of processor time
_LOOK_EVERY = 0.1  # seconds
_MOST_LOOKS = 50
_COLUMNS = ("cores s/task", "of it Redis", "ms/task", "tasks/s", "one task ms", "messages", "Redis calls")


@dataclass(frozen=True)
class Batch:
    """What one batch of tasks cost; seconds of processor time, of Redis, and by the clock; per task."""

    cpu: float
    redis_cpu: float
    wall: float
    messages: float
    calls: float


@dataclass(frozen=True)
class Row:
    """A contestant's figures: medians over the rounds."""

    name: str
    core_seconds: float
    redis_core_seconds: float
    ms_per_task: float
    tasks_per_second: float
    latency_ms: float
    messages: float
    redis_calls: float
    git_commands: list[str]

    def cells(self) -> list[str]:
        return [
            f"{self.core_seconds:.3f}",
            f"{self.redis_core_seconds:.4f}",
            f"{self.ms_per_task:.1f}",
            f"{self.tasks_per_second:.1f}",
            f"{self.latency_ms:.0f}",
            f"{self.messages:.1f}",
            f"{self.redis_calls:.0f}",
        ]


class Meters:
    """Reads what a contestant and the Redis server have used."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def batch(self, contestant: Contestant, files: list[str]) -> Batch:
        """Land tasks all at once, and wait until what follows a landing is done as well."""
        self._settle(contestant)
        workers, server, own = contestant.workers.cpu_seconds(), self._server(), sum(os.times()[:4])
        began = time.monotonic()
        contestant.submit(files)
        submitted = sum(os.times()[:4]) - own
        contestant.wait(len(files))
        wall = time.monotonic() - began
        self._settle(contestant)
        used, after = contestant.workers.cpu_seconds() - workers, self._server()
        cpu, messages, calls = (now - then for now, then in zip(after, server, strict=True))
        each = len(files)
        return Batch((used + submitted + cpu) / each, cpu / each, wall / each, messages / each, calls / each)

    def _server(self) -> tuple[float, float, float]:
        """The server's processor seconds, the messages that were published, and the commands that were run."""
        cpu: dict[str, Any] = self._client.info("cpu")
        stats: dict[str, Any] = self._client.info("stats")
        calls: dict[str, Any] = self._client.info("commandstats")
        published = calls.get("cmdstat_lpush", {}).get("calls", 0)
        return cpu["used_cpu_sys"] + cpu["used_cpu_user"], published, stats["total_commands_processed"]

    def _settle(self, contestant: Contestant) -> None:
        last = -1.0
        for _ in range(_MOST_LOOKS):
            now = contestant.workers.cpu_seconds()
            if now - last < _SAME:
                return
            last = now
            time.sleep(_LOOK_EVERY)


def measure(tasks: int, rounds: int, singles: int, say: Callable[[str], None]) -> list[Row]:
    """Run all contestants by turns, and return their figures; Shopfloor first."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = RedisServer(root / "redis").start()
        stack.callback(server.stop)
        base = server.url.removesuffix("/0")
        client = redis.Redis.from_url(server.url)
        stack.callback(client.close)
        say("starting the workers of all three ...")
        contestants: list[Contestant] = []
        for make in (
            lambda: Shopfloor(root / "floor", f"{base}/0", str(make_small_repository(root / "floor.git"))),
            lambda: Chains("(a) empty chain", root / "a", f"{base}/1", None),
            lambda: Chains("(b) chain + git", root / "b", f"{base}/2", str(make_small_repository(root / "b.git"))),
        ):
            contestants.append(make())
            stack.callback(contestants[-1].stop)
        meters = Meters(client)
        batches: dict[str, list[Batch]] = {each.name: [] for each in contestants}
        latencies: dict[str, list[float]] = {each.name: [] for each in contestants}
        for number in range(rounds + 1):  # the first one warms up and is not counted
            for each in contestants:
                say(f"round {number} of {rounds}: {each.name}")
                batch = meters.batch(each, [f"r{number}-{task}.txt" for task in range(tasks)])
                batches[each.name] += [batch] if number else []
        for number in range(singles):
            for each in contestants:
                latencies[each.name].append(meters.batch(each, [f"s{number}.txt"]).wall)
    say("recording the git commands ...")
    commands = {"Shopfloor": commands_of("shopfloor"), "(b) chain + git": commands_of("bare")}
    return [_row(name, batches[name], latencies[name], commands.get(name, [])) for name in batches]


def _row(name: str, batches: list[Batch], latencies: list[float], commands: list[str]) -> Row:
    middle = {field: statistics.median(getattr(batch, field) for batch in batches) for field in asdict(batches[0])}
    return Row(
        name=name,
        core_seconds=middle["cpu"],
        redis_core_seconds=middle["redis_cpu"],
        ms_per_task=1000 * middle["wall"],
        tasks_per_second=1 / middle["wall"],
        latency_ms=1000 * statistics.median(latencies),
        messages=middle["messages"],
        redis_calls=middle["calls"],
        git_commands=commands,
    )


def ratios(ours: Row, theirs: Row) -> dict[str, float]:
    """How many times as much Shopfloor takes."""
    return {
        "core_seconds": ours.core_seconds / theirs.core_seconds,
        "ms_per_task": ours.ms_per_task / theirs.ms_per_task,
        "latency_ms": ours.latency_ms / theirs.latency_ms,
    }


def table(rows: list[Row], tasks: int) -> str:
    """The figures for a person."""
    lines = [f"{tasks} tasks of disjoint scopes at once, {SLOTS} slots; medians", ""]
    lines.append(f"{'':<18}" + "".join(f"{name:>14}" for name in (*_COLUMNS, "git commands")))
    for row in rows:
        cells = (*row.cells(), str(len(row.git_commands)))
        lines += [f"{row.name:<18}" + "".join(f"{cell:>14}" for cell in cells)]
    for other in rows[1:]:
        times = ratios(rows[0], other)
        by = [f"{value:>13.2f}x" for value in times.values()]
        lines += [f"{'ratio to ' + other.name[:3]:<18}" + f"{'':>14}".join(by)]
    ours, theirs = (Counter(each.split(" ")[0] for each in row.git_commands) for row in (rows[0], rows[-1]))
    lines += ["", "git commands of one landed task (Shopfloor / by hand):"]
    lines.append(", ".join(f"{name} {ours[name]}/{theirs[name]}" for name in sorted(ours | theirs)))
    return "\n".join(lines)


@click.command()
@click.option("--tasks", default=TASKS, show_default=True, help="Tasks of a batch.")
@click.option("--rounds", default=ROUNDS, show_default=True, help="Batches of each contestant that count.")
@click.option("--singles", default=SINGLES, show_default=True, help="Tasks of each contestant that run alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(tasks: int, rounds: int, singles: int, *, as_json: bool) -> None:
    """Measure and print."""
    rows = measure(tasks, rounds, singles, lambda line: click.echo(line, err=True))
    if as_json:
        compared = {f"ratio_{key}": ratios(rows[0], row) for key, row in zip("ab", rows[1:], strict=True)}
        click.echo(json.dumps({"rows": [asdict(row) for row in rows], **compared}, indent=2))
    else:
        click.echo(table(rows, tasks))


if __name__ == "__main__":
    main()
