"""`shopfloor token`: who may use the API of this machine's fleet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from orchestrator.cli.options import json_option

_ROLES = ("viewer", "submitter", "lead", "admin")


@click.group(short_help="Give and withdraw the API's tokens.")
def token() -> None:
    """Give and withdraw tokens for the API of the fleet that this machine serves.

    A viewer reads; a submitter also submits, retries and cancels; a lead also approves, rejects, halts and resumes; an
    admin may do everything.

    Example:
      shopfloor token add ci --role submitter
    """


@token.command("add", short_help="Make a token.")
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="submitter", show_default=True, help="What it allows.")
@json_option
def add(*, name: str, role: str, as_json: bool) -> None:
    """Make a token for NAME and print it: this once, for only its hash is kept.

    Example:
      shopfloor token add ci --role submitter
    """
    from orchestrator.cli.render import emit_json  # noqa: PLC0415 - not for --help
    from orchestrator.tokens import Role, add_token  # noqa: PLC0415 - the same

    secret = add_token(_file(), name, Role(role))
    if as_json:
        emit_json({"name": name, "role": role, "token": secret})
        return
    click.echo(secret)
    click.echo(f"This is the only time that it is shown. {name} uses it as SHOPFLOOR_TOKEN.", err=True)


@token.command("list", short_help="List whom tokens stand for.")
@json_option
def list_all(*, as_json: bool) -> None:
    """List whom there are tokens for, and what these allow.

    Example:
      shopfloor token list
    """
    from orchestrator.cli.render import emit_json, show, table, text  # noqa: PLC0415 - not for --help
    from orchestrator.tokens import list_tokens  # noqa: PLC0415 - the same
    from orchestrator.views import views  # noqa: PLC0415 - the same

    found = list_tokens(_file())
    if as_json:
        emit_json(views(found))
        return
    if not found:
        click.echo("There are no tokens. Make one with `shopfloor token add NAME`.", err=True)
        return
    drawn = table("Name", "Role")
    for each in found:
        drawn.add_row(text(each.name, "bold"), each.role)
    show(drawn)


@token.command("remove", short_help="Make a token worthless.")
@click.argument("name")
def remove(name: str) -> None:
    """Make the token of NAME worthless from now on.

    Example:
      shopfloor token remove ci
    """
    from orchestrator.tokens import remove_token  # noqa: PLC0415 - not for --help

    removed = remove_token(_file(), name)
    click.echo(f"The token of {removed.name} ({removed.role}) is worthless from now on.")


def _file() -> Path:
    """Where the fleet that this machine serves keeps its tokens; it need not run."""
    from orchestrator.config import settings  # noqa: PLC0415 - not for --help
    from orchestrator.place import find_fleet  # noqa: PLC0415 - the same
    from orchestrator.tokens import TOKENS_FILE  # noqa: PLC0415 - the same

    said = replace(settings(), api_url=None)  # tokens are given on the machine that serves the API, not through it
    return find_fleet(Path.cwd(), said).state / TOKENS_FILE
