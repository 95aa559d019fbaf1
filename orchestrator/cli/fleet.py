"""`fleet`, `hosts`, `locks` and `train`: the fleet as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, with_desk
from orchestrator.cli.text import age, amount, count, line, percent, span, utc_now

if TYPE_CHECKING:
    from rich.text import Text

    from orchestrator.desk import Desk, HostView, TrainView
    from orchestrator.services.figures import Figures


@click.command(short_help="Show the fleet's figures.")
@click.option(
    "--hours",
    metavar="N",
    type=click.FloatRange(min=0.1, max=8760),
    default=24.0,
    show_default=True,
    help="Count these.",
)
@json_option
@with_desk
def fleet(desk: Desk, *, hours: float, as_json: bool) -> None:
    """Show how much lands, how fast and at what cost, and what waits.

    Example:
      shopfloor fleet
      shopfloor fleet --hours 168 --json
    """
    from orchestrator.cli.render import emit_json, facts, paragraph, show  # noqa: PLC0415 - not for --help
    from orchestrator.views import view  # noqa: PLC0415 - the same

    figures = desk.figures(hours)
    if as_json:
        emit_json(view(figures))
        return
    show(facts((name, paragraph(words)) for name, words in _figures(figures)))
    for halt in desk.halts():
        click.secho(f"{line(halt.sentence())}. `shopfloor resume` lifts it.", fg="red")


def _figures(figures: Figures) -> list[tuple[str, str]]:
    cost = figures.cost_per_merged_usd
    tokens = "" if figures.tokens_per_merged is None else f", {amount(figures.tokens_per_merged)} tokens"
    return [
        ("Now", f"{figures.running} running, {count(figures.queue_depth, 'task')} in the queue"),
        ("Hosts", f"{figures.hosts} with {count(figures.slots, 'slot')}"),
        ("Window", span(figures.window_hours * 3600)),
        ("Landed", f"{figures.merged}, {figures.merged_per_hour:g} an hour"),
        ("Success", f"{percent(figures.success_rate)} of the tasks that ended have landed"),
        ("Acceptance", f"{percent(figures.acceptance_rate)} of the changes that were opened have landed"),
        ("Exhausted", f"{percent(figures.rounds_exhausted_rate)} of the tasks that ended ran out of rounds"),
        ("Time to change", f"{_length(figures.time_to_change_p50)} median, {_length(figures.time_to_change_p95)} P95"),
        ("Cost a change", "-" if cost is None else f"${cost:.2f}{tokens}"),
    ]


def _length(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


@click.command(short_help="List the hosts and what they work on.")
@json_option
@with_desk
def hosts(desk: Desk, *, as_json: bool) -> None:
    """List the connected hosts: their slots, what they offer, and which tasks they work on.

    Example:
      shopfloor hosts
    """
    from orchestrator.cli.render import emit_json, show, table, text  # noqa: PLC0415 - not for --help
    from orchestrator.views import views  # noqa: PLC0415 - the same

    found = desk.hosts()
    if as_json:
        emit_json(views(found))
        return
    if not found:
        click.echo("No host is connected. Start one with `shopfloor up`.", err=True)
        return
    now = utc_now()
    drawn = table("Host", "Busy", "Capabilities", "Sandbox", "Tasks", "Seen", stretch=("Capabilities", "Tasks"))
    for host in found:
        drawn.add_row(
            text(host.name, "bold"),
            _busy(host),
            text(", ".join(host.capabilities) or "-"),
            text(host.sandbox),
            text(", ".join(host.tasks) or "-"),
            age(datetime.fromisoformat(host.seen_at), now),
        )
    show(drawn)


def _busy(host: HostView) -> Text:
    from orchestrator.cli.render import text  # noqa: PLC0415 - as above

    words = f"{host.busy} of {host.slots}"
    return text(f"{words}, halted", "red") if host.halted else text(words)


@click.command(short_help="List the scopes that are held.")
@json_option
@with_desk
def locks(desk: Desk, *, as_json: bool) -> None:
    """List the scopes that tasks hold: no other task that may write there runs until they are given back.

    Example:
      shopfloor locks
    """
    from orchestrator.cli.render import emit_json, show, state_text, table, text  # noqa: PLC0415 - not for --help
    from orchestrator.views import views  # noqa: PLC0415 - the same

    found = desk.locks()
    if as_json:
        emit_json(views(found))
        return
    if not found:
        click.echo("No scope is held.", err=True)
        return
    now = utc_now()
    drawn = table("Scope", "Task", "State", "For", "Title", "Repository", stretch=("Scope", "Title"))
    for lock in found:
        since = datetime.fromisoformat(lock.since) if lock.since else None
        drawn.add_row(
            text(", ".join(lock.scope)),
            text(lock.task, "bold"),
            state_text(lock.state),
            age(since, now),
            text(lock.title),
            text(lock.repository, "bright_black"),
        )
    show(drawn)


@click.command(short_help="Show what is about to land, in order.")
@json_option
@with_desk
def train(desk: Desk, *, as_json: bool) -> None:
    """Show the merge train of each target branch: the candidate that is verified now, and what is behind it.

    Example:
      shopfloor train
    """
    from orchestrator.cli.render import emit_json, show  # noqa: PLC0415 - not for --help
    from orchestrator.views import views  # noqa: PLC0415 - the same

    found = desk.trains()
    if as_json:
        emit_json(views(found))
        return
    if not found:
        click.echo("The fleet has no repository yet.", err=True)
        return
    for each in found:
        show(*_train_lines(each))


def _train_lines(shown: TrainView) -> list[Text]:
    from orchestrator.cli.render import paragraph  # noqa: PLC0415 - as above

    candidate, blocked = shown.train.candidate, shown.train.blocked
    lines = [paragraph(f"{line(shown.repository)}", "bold").append(f" → {line(shown.target)}", "default")]
    if candidate:
        where = f"on {line(candidate.host)}" if candidate.host else "waits for a host"
        verdict = {"pending": f"being verified, {where}"}.get(candidate.verdict, f"verify {candidate.verdict}")
        took = age(candidate.verify_started_at or candidate.built_at, utc_now())
        lines.append(paragraph(f"  ▲ {candidate.task}  {candidate.commit[:12]}  {verdict}  {took}", "yellow"))
    behind = [each for each in shown.waiting if candidate is None or each != candidate.task]
    lines.extend(paragraph(f"  {place}. {each}") for place, each in enumerate(behind, start=1))
    if blocked:
        lines.append(paragraph(f"  ! {line(blocked.text)}", "red"))
    if not candidate and not behind:
        lines.append(paragraph("  nothing is waiting to land", "bright_black"))
    return lines
