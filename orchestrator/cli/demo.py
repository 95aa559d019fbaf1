"""`shopfloor demo`: the whole product on a repository made for it, in a temporary directory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.text import amount, span, utc_now
from orchestrator.errors import ShopfloorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from orchestrator.desk import Desk
    from orchestrator.domain.task import Task

_PATIENCE = 180.0
_LANDED, _ESCALATED = 5, 1


@click.command(short_help="Show a fleet at work on a repository made for it.")
@click.option("--agents", default=3, show_default=True, type=click.IntRange(1, 16), help="How many run at once.")
def demo(agents: int) -> None:
    """Start a fleet on a repository made for it, give it six tasks, show what comes of them, and stop it.

    Everything lives in a temporary directory; nothing of yours is touched, and nothing is left running.

    Example:
      shopfloor demo
    """
    from orchestrator.demo.stage import make_repository  # noqa: PLC0415 - not for --help

    root = Path(tempfile.mkdtemp(prefix="shopfloor-demo-"))
    repository = make_repository(root / "calc")
    click.echo(f"A repository to work on: {repository}")
    with _fleet(repository, root / "state", agents):
        done = _work(repository, root / "state")
    _show(done, repository)
    landed = sum(task.state == "merged" for task in done)
    escalated = sum(task.state == "escalated" for task in done)
    if (landed, escalated) != (_LANDED, _ESCALATED):
        raise ShopfloorError(
            f"{landed} tasks landed and {escalated} were escalated; {_LANDED} and {_ESCALATED} were to be.",
            f"See the logs in {root / 'state'}.",
        )


@contextmanager
def _fleet(repository: Path, state: Path, agents: int) -> Iterator[None]:
    """A fleet of its own for the checkout, stopped at the end whatever happens."""
    click.echo(f"Starting Redis, control, beat, the API and a host with {agents} agents ...")
    _shopfloor(repository, state, "up", "--detach", "--agents", str(agents))
    try:
        yield
    finally:
        click.echo("\nStopping the fleet ...")
        _shopfloor(repository, state, "down")


def _shopfloor(repository: Path, state: Path, *words: str) -> None:
    """Run the product's own command, in the checkout, with all state beside it and no fleet of the user's."""
    from orchestrator.config import inherited_environment  # noqa: PLC0415 - as above

    own = {name: value for name, value in inherited_environment().items() if not name.startswith("SHOPFLOOR_")}
    environment = own | {"XDG_STATE_HOME": str(state)}
    command = [sys.executable, "-m", "orchestrator.cli", *words]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ShopfloorError(f"`shopfloor {words[0]}` failed: {done.stderr.strip()}", f"See the logs in {state}.")


def _work(repository: Path, state: Path) -> list[Task]:
    """Submit the tasks and show them until each has ended."""
    from orchestrator.bootstrap import open_floor  # noqa: PLC0415 - as above
    from orchestrator.config import settings  # noqa: PLC0415 - as above
    from orchestrator.demo.stage import WORK  # noqa: PLC0415 - as above
    from orchestrator.desks.direct import DirectDesk  # noqa: PLC0415 - as above
    from orchestrator.place import find_fleet, register_repository, repository_of  # noqa: PLC0415 - as above

    said = replace(settings({}), state_home=state / "shopfloor", search_path=os.defpath)
    fleet = find_fleet(repository, said)
    floor = open_floor(replace(said, redis_url=fleet.redis_url, state=fleet.state))
    desk = DirectDesk(floor, who="demo")
    mine = repository_of(repository, said)
    register_repository(floor.store, mine)
    submitted = desk.submit(mine.id, WORK)
    click.echo(f"Submitted {len(submitted)} tasks.\n")
    return _follow(desk, [task.id for task in submitted])


def _follow(desk: Desk, ids: Sequence[str]) -> list[Task]:
    """The tasks, once all have ended; shown meanwhile as a live table, or line by line where there is no terminal."""
    from rich.live import Live  # noqa: PLC0415 - as above

    from orchestrator.cli.events import event_line  # noqa: PLC0415 - as above
    from orchestrator.cli.render import console_for_stdout  # noqa: PLC0415 - as above
    from orchestrator.cli.tasks import task_table  # noqa: PLC0415 - as above

    console = console_for_stdout()
    live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
    began, seen = utc_now(), 0
    with live or nullcontext():
        while (utc_now() - began).total_seconds() < _PATIENCE:
            news = desk.events(seen, wait=1.0)
            seen = news[-1].seq if news else seen
            now = [desk.task(each) for each in ids]
            if live:
                live.update(task_table(now, utc_now()))
            else:
                for event in news:
                    click.echo(event_line(event))
            if all(task.ended_at for task in now):
                return now
    raise ShopfloorError(f"The tasks did not end within {_PATIENCE:.0f} seconds.", "Run `make demo` again.")


def _show(done: Sequence[Task], repository: Path) -> None:
    from orchestrator.cli.render import show  # noqa: PLC0415 - as above

    show(_summary(done))
    for task in done:
        if task.state == "escalated" and task.reason:
            click.echo(f"{task.id} was escalated: {task.reason.text}")
    click.echo(f"\nWhat landed:   git -C {repository} log --graph --oneline")
    click.echo("Your own next: cd YOUR-REPOSITORY && shopfloor init   (README.md, docs/blueprints.md)")
    click.echo(f"Throw it away: rm -r {repository.parent}")


def _summary(done: Sequence[Task]) -> Table:
    from orchestrator.cli.render import state_text, table, text  # noqa: PLC0415 - as above

    drawn = table("Task", "Title", "State", "Rounds", "Time to change", "Tokens", "Landed as", stretch=("Title",))
    for task in done:
        opened = task.change_opened_at
        took = span((opened - task.created_at).total_seconds()) if opened else "-"
        landed = (task.merged_as or "-")[:10]
        rounds = f"{task.round}/{task.rounds_max}"
        drawn.add_row(
            text(task.id, "bold"),
            text(task.title),
            state_text(task.state),
            rounds,
            took,
            amount(task.tokens.spent),
            landed,
        )
    return drawn
