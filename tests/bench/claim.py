"""What a claim costs while other scopes are held elsewhere in the tree, beside a script that does nothing.

Run as `python -m tests.bench.claim [REPETITIONS]`. All that one repetition measures follows one another, so that a
busy machine slows all of it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.stores.redis import RedisStore
from tests.helpers.servers import RedisServer
from tests.helpers.tasks import LONG, cancelled, claim_of, make_host, make_repository, make_task, start, submitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.domain.task import Task

HELD = (10, 1_000, 10_000)
REPETITIONS = 1_000
HOST = make_host(slots=1_000_000)
SCOPE = ("services/billing/api/*.py", "services/billing/tests/**/test_*.py")


def timed(act: Callable[[], object]) -> float:
    """Microseconds that one call takes."""
    began = time.perf_counter_ns()
    act()
    return (time.perf_counter_ns() - began) / 1000


def hold(store: RedisStore, first: int, last: int) -> None:
    """Hold scopes of all depths elsewhere: no path of theirs is beneath `services/billing`."""
    for number in range(first, last):
        start(store, HOST, id=f"T{number}", scope=(f"services/s{number % 97}/m{number}/*.py", f"docs/{number}.md"))


def claim_and_cancel(store: RedisStore, task: Task) -> tuple[float, float]:
    """Microseconds of the claim, and of the commit that gives all of it back."""
    store.create([submitted(task)])
    claim = claim_of(task, HOST, 1)
    claimed = timed(lambda: store.claim(claim))
    commit = cancelled(claim.commit.after)
    return claimed, timed(lambda: store.commit(commit))


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main(repetitions: int = REPETITIONS) -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory)).start()
        try:
            with closing(RedisStore(server.url)) as store:
                measure(store, repetitions)
        finally:
            server.stop()


def measure(store: RedisStore, repetitions: int) -> None:
    """Measure at each number of held scopes, and print a row for each figure."""
    store.ping()
    store.add_repository(make_repository())
    store.beat(HOST, [], LONG)
    empty = store._redis.register_script("return 1")
    click.echo(f"{'held':>7}  {'what':<22}{'P50 us':>9}{'P99 us':>9}{'P50 ratio':>11}{'P99 ratio':>11}")
    held, number = 0, 10_000_000
    for target in HELD:
        hold(store, held + 1, target + 1)
        held = target
        rows: dict[str, list[float]] = {"EVALSHA of return 1": [], "claim": [], "commit (cancel)": [], "both": []}
        for _ in range(repetitions):
            number += 1
            task = make_task(id=f"T{number}", scope=SCOPE, created_at=HOST.started_at)
            rows["EVALSHA of return 1"].append(timed(empty))
            claimed, committed = claim_and_cancel(store, task)
            for name, figure in (("claim", claimed), ("commit (cancel)", committed), ("both", claimed + committed)):
                rows[name].append(figure)
        plain = rows["EVALSHA of return 1"]
        for name, figures in rows.items():
            p50, p99 = percentile(figures, 0.5), percentile(figures, 0.99)
            ratios = p50 / percentile(plain, 0.5), p99 / percentile(plain, 0.99)
            click.echo(f"{held:>7}  {name:<22}{p50:>9.0f}{p99:>9.0f}{ratios[0]:>10.2f}x{ratios[1]:>10.2f}x")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:2]))
