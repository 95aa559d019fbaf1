"""`up`, `down`, `init` and `doctor`: the commands that set a fleet up on this machine."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.domain.repository import Repository
    from orchestrator.place import Fleet
    from orchestrator.supervision.order import Order, Summary

_PORT = click.IntRange(1, 65535)
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@click.option("--agents", metavar="N", type=click.IntRange(1, 1000), help="How many agents work at once. [default: 4]")
@click.option("--detach", is_flag=True, help="Return when tasks can be taken, and leave it running.")
@click.option("--flower", is_flag=True, help="Start Flower too, on loopback, to look into Celery.")
@click.option("--port", metavar="N", type=_PORT, help="The port of the API. [default: any that is free]")
@click.option("--capability", "capabilities", metavar="CAP", multiple=True, help="What this host offers; repeatable.")
@click.option("--host", metavar="NAME", help="This host's name in the fleet. [default: the machine's]")
@click.option("--no-control", is_flag=True, help="Add a further host to a fleet that runs: its worker and no more.")
def up(
    *,
    agents: int | None,
    detach: bool,
    flower: bool,
    port: int | None,
    capabilities: tuple[str, ...],
    host: str | None,
    no_control: bool,
) -> None:
    """Start the fleet of this checkout, or the one that SHOPFLOOR_REDIS_URL names.

    Without a Redis in SHOPFLOOR_REDIS_URL it starts one of its own. Ctrl-C stops all of it.

    \b
    Example:
      shopfloor up --agents 8 --detach
    """  # noqa: D301 - click's own mark
    from orchestrator import supervisor  # noqa: PLC0415 - not for --help

    said, fleet = _here()
    if no_control and (flower or port):
        raise click.UsageError("--flower and --port start what --no-control leaves out.")
    chosen = replace(said, slots=agents or said.slots, capabilities=capabilities or said.capabilities)
    order = _order(chosen, fleet, host=host, control=not no_control, port=port, flower=flower)
    if detach:
        click.echo(_summary(order, supervisor.detach(order), detached=True))
        return
    came_up = supervisor.run(order, click.echo, lambda summary: click.echo(_summary(order, summary, detached=False)))
    if not came_up:
        click.echo("Stopped before it was up.", err=True)
        raise click.exceptions.Exit(1)


@click.command()
def down() -> None:
    """Stop everything of the fleet that runs on this machine.

    Tasks at work go back to the queue, and go on at the next `shopfloor up`.

    \b
    Example:
      shopfloor down
    """  # noqa: D301 - click's own mark
    from orchestrator import supervisor  # noqa: PLC0415 - not for --help

    _, fleet = _here()
    stopped = supervisor.down(fleet)
    click.echo(f"Fleet {fleet.name} is down." if stopped else f"Nothing of fleet {fleet.name} runs here.")


@click.command()
def init() -> None:
    """Write a first .shopfloor/ into this checkout; nothing that is there is changed.

    \b
    Example:
      shopfloor init
    """  # noqa: D301 - click's own mark
    from orchestrator.checkout import find_checkout  # noqa: PLC0415 - looks at the checkout by git
    from orchestrator.config import settings  # noqa: PLC0415 - not for --help
    from orchestrator.doctor import lacking_for  # noqa: PLC0415 - not for --help
    from orchestrator.scaffold import guess_verify, next_steps, scaffold  # noqa: PLC0415 - not for --help

    checkout = find_checkout(Path.cwd())
    verify = guess_verify(checkout.root)
    written = scaffold(checkout)
    for path, is_new in written:
        click.echo(f"{'wrote' if is_new else 'left as it was'}  {path}")
    click.echo()
    click.echo(next_steps(checkout))
    lacking = lacking_for(verify, checkout.root, settings().search_path) if verify and written[-1][1] else None
    if lacking:
        click.secho(f"\nBefore you go on: {lacking}", fg="yellow")
        click.echo("Install it for the workers, or write another `verify`: nothing lands that it fails on.")


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check this machine, this checkout and the fleet, and say how to mend what fails.

    \b
    Example:
      shopfloor doctor
    """  # noqa: D301 - click's own mark
    from orchestrator.config import settings  # noqa: PLC0415 - not for --help
    from orchestrator.doctor import Verdict, examine  # noqa: PLC0415 - not for --help

    findings = list(examine(Path.cwd(), settings()))
    failed = any(each.verdict is Verdict.FAILED for each in findings)
    if as_json:
        document = {"ok": not failed, "checks": [each.model_dump(mode="json") for each in findings]}
        click.echo(json.dumps(document))
    for each in () if as_json else findings:
        colour = "red" if each.alarming else _COLOURS[each.verdict]
        click.echo(f"{click.style(each.verdict.ljust(8), fg=colour)} {each.subject}: {each.text}")
        if each.remedy:
            click.echo(f"{'':9}{each.remedy}")
    if failed:
        raise click.exceptions.Exit(1)


def _here() -> tuple[Settings, Fleet]:
    from orchestrator.config import settings  # noqa: PLC0415 - not for --help
    from orchestrator.place import find_fleet  # noqa: PLC0415 - looks at the checkout by git

    said = replace(settings(), api_url=None)  # what runs on this machine is no matter of an API elsewhere
    return said, find_fleet(Path.cwd(), said)


def _order(said: Settings, fleet: Fleet, *, host: str | None, control: bool, port: int | None, flower: bool) -> Order:
    from orchestrator.config import checked_host  # noqa: PLC0415 - not for --help
    from orchestrator.errors import RefusedError  # noqa: PLC0415 - the same
    from orchestrator.supervision.order import Order  # noqa: PLC0415 - the same
    from orchestrator.supervisor import further_host  # noqa: PLC0415 - the same

    name = said.host if host is None else checked_host(host, "--host")
    if not control and fleet.pid is not None and fleet.host == name:
        raise RefusedError(f"The fleet has host {name} on this machine already.", "Name another with --host.")
    return Order(
        name=fleet.name,
        state=fleet.state if control else further_host(fleet, name),
        host=name,
        slots=said.slots,
        capabilities=said.capabilities,
        redis_url=said.redis_url if control else fleet.redis(),
        control=control,
        port=port,
        flower=flower,
        repository=_repository(said),
    )


def _repository(said: Settings) -> Repository | None:
    """The checkout's repository; None where the fleet is started before there is one to work on."""
    from orchestrator.errors import ShopfloorError  # noqa: PLC0415 - not for --help
    from orchestrator.place import repository_of  # noqa: PLC0415 - looks at the checkout by git

    with suppress(ShopfloorError):
        return repository_of(Path.cwd(), said)
    return None


def _summary(order: Order, summary: Summary, *, detached: bool) -> str:
    lines = [f"Fleet {order.name} is up: host {order.host}, {order.slots} agents at once (pid {summary.pid})."]
    if summary.api_url:
        lines.append(f"  api     {summary.api_url}   (described at {summary.api_url}/openapi.json)")
    if summary.flower_url:
        lines.append(f"  flower  {summary.flower_url}/")
    if order.control and order.repository is None:
        lines.append("  begin   shopfloor init")
    lines += [
        '  submit  shopfloor submit "TITLE"',
        f"  stop    {'shopfloor down' if detached else 'Ctrl-C, or: shopfloor down'}",
        f"  logs    {order.state / 'logs'}",
    ]
    return "\n".join(lines)
