"""`halt` and `resume`: the kill switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli.options import TaskId, json_option, with_access
from orchestrator.cli.text import line, listed
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.cli.desk import Access
    from orchestrator.desk import Desk
    from orchestrator.domain.halt import Halt, Reach

_F = TypeVar("_F", bound=Callable[..., Any])


def _reach_options(function: _F) -> _F:
    """The options that narrow a halt: at most one of them."""
    for option in (
        click.option("--task", metavar="ID", type=TaskId(), help="This task only."),
        click.option("--host", metavar="H", help="This host only."),
        click.option("--blueprint", metavar="B", help="Tasks of this blueprint only."),
        click.option("--repository", metavar="R", help="This repository only: its id or name."),
    ):
        function = option(function)
    return function


@click.command(short_help="Stop everything at once, or one part of it.")
@click.option("--why", metavar="TEXT", default="no reason was given", help="What people are told who find it halted.")
@_reach_options
@json_option
@with_access
def halt(access: Access, /, *, why: str, as_json: bool, **narrowed: str | None) -> None:
    """Stop the fleet: agents are killed, and nothing is started or landed until `shopfloor resume`.

    No work is lost: a task goes on from its last checkpoint. May be narrowed to a repository, blueprint, host or task.

    Example:
      shopfloor halt --why "The agents loop on the login page"
      shopfloor halt --blueprint dependency-update
    """
    from orchestrator.cli.render import emit_json  # noqa: PLC0415 - not for --help
    from orchestrator.domain.task import State  # noqa: PLC0415 - the same
    from orchestrator.views import view  # noqa: PLC0415 - the same

    desk = access.desk
    reach, name = _reach(desk, narrowed)
    running = desk.tasks([State.RUNNING])
    placed = desk.halt(reach, name, why)
    stopped = [task.id for task in running if placed.stops(task, task.host)]
    if as_json:
        emit_json({**view(placed), "stopped": stopped})
        return
    click.secho(f"Halted: {_what(placed)}.", fg="red", bold=True)
    click.echo(
        f"Running there: {listed(stopped)}; stopped, to go on later." if stopped else "Nothing was running there."
    )
    click.echo(f"Nothing is started until you lift it: `{_lift(placed)}`.")
    _warn(desk, reach, name)


@click.command(short_help="Lift halts.")
@_reach_options
@json_option
@with_access
def resume(access: Access, /, *, as_json: bool, **narrowed: str | None) -> None:
    """Lift the halts in force, or the one that is named; work goes on from its checkpoints.

    Example:
      shopfloor resume
      shopfloor resume --blueprint dependency-update
    """
    from orchestrator.cli.render import emit_json  # noqa: PLC0415 - not for --help
    from orchestrator.views import views  # noqa: PLC0415 - the same

    desk = access.desk
    reach, name = _reach(desk, narrowed)
    keys = [f"{reach}:{name}"] if name else []
    lifted = desk.resume(keys)
    left = desk.halts()
    if as_json:
        emit_json(views(lifted))
        return
    if not lifted:
        click.echo("No halt was in force.")
    for each in lifted:
        click.secho(f"Lifted: {_what(each)} ({line(each.why)}).", fg="green")
    for each in left:
        click.echo(f"Still in force: {line(each.sentence())}.")


def _reach(desk: Desk, narrowed: dict[str, str | None]) -> tuple[Reach, str]:
    from orchestrator.cli.desk import named_repository  # noqa: PLC0415 - not for --help
    from orchestrator.cli.suggest import find_task  # noqa: PLC0415 - the same
    from orchestrator.domain.halt import Reach  # noqa: PLC0415 - the same

    given = {option: name for option, name in narrowed.items() if name is not None}
    if len(given) > 1:
        raise InputError(
            f"{listed([f'--{option}' for option in given])} were given at once.", "Give one, several times."
        )
    if not given:
        return Reach.FLEET, ""
    option, name = given.popitem()
    if not name.strip():
        raise InputError(f"--{option} is empty.", "Name what it is to be narrowed to, or leave it out.")
    if option == "repository":
        name = named_repository(desk.repositories(), name).id
    if option == "task":
        name = find_task(desk, name).id
    return Reach(option), name


def _what(halt: Halt) -> str:
    return "the fleet" if not halt.name else f"{halt.reach} {line(halt.name)}"


def _lift(halt: Halt) -> str:
    return f"shopfloor resume --{halt.reach} {line(halt.name)}" if halt.name else "shopfloor resume"


def _warn(desk: Desk, reach: Reach, name: str) -> None:
    """Say so where nothing answers to the name: it is in force all the same, but it may be a slip."""
    if reach == "host":
        known = [each.name for each in desk.hosts()]
        what = "host is connected"
    elif reach == "blueprint":
        known = sorted({each.blueprint for each in desk.tasks()})
        what = "task is of a blueprint"
    else:
        return
    if name not in known:
        there = f" There are: {', '.join(map(line, known))}." if known else ""
        click.echo(f"Note that no {what} named {line(name)}; it is halted all the same.{there}", err=True)
