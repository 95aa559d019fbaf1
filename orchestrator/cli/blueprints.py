"""`shopfloor blueprints`: list them, show one, check a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.desk import choose_repository
from orchestrator.cli.options import access_of, json_option, repository_option, with_access
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from blueprints.model import Blueprint
    from orchestrator.cli.desk import Access

_POLICY = "repo.yaml"


@click.group(invoke_without_command=True, short_help="List, show and check blueprints.")
@repository_option
@json_option
@click.pass_context
def blueprints(context: click.Context, *, repository: str | None, as_json: bool) -> None:
    """List the blueprints that tasks of this checkout's repository can follow, as its target branch has them.

    Example:
      shopfloor blueprints
      shopfloor blueprints show bug-fix
      shopfloor blueprints check .shopfloor/blueprints/*.yaml
    """
    if context.invoked_subcommand is not None:
        return
    from orchestrator.cli.render import emit_json, show, table, text  # noqa: PLC0415 - not for --help
    from orchestrator.views import views  # noqa: PLC0415 - the same

    access = access_of(context)
    found = access.desk.blueprints(choose_repository(access, repository).id)
    if as_json:
        emit_json(views(found))
        return
    drawn = table("Name", "For", "Steps", "Review", "From", stretch=("For", "Steps", "From"))
    for each in found:
        drawn.add_row(
            text(each.name, "bold"),
            text(each.description),
            text(" → ".join(each.steps), "bright_black"),
            each.tier,
            text(each.source, "bright_black"),
        )
    show(drawn)


@blueprints.command("show", short_help="Print one blueprint.")
@click.argument("name")
@repository_option
@json_option
@with_access
def show_one(access: Access, *, name: str, repository: str | None, as_json: bool) -> None:
    """Print the blueprint NAME as YAML, which can be the beginning of one of your own.

    Example:
      shopfloor blueprints show bug-fix > .shopfloor/blueprints/our-fix.yaml
    """
    from orchestrator.cli.render import emit_json  # noqa: PLC0415 - not for --help
    from orchestrator.cli.text import clean  # noqa: PLC0415 - the same
    from orchestrator.views import view  # noqa: PLC0415 - the same

    found = access.desk.blueprint(choose_repository(access, repository).id, name)
    if as_json:
        emit_json(view(found))
    else:
        click.echo(clean(as_yaml(found)), nl=False)


@blueprints.command("check", short_help="Check files before they are committed.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def check(files: tuple[str, ...]) -> None:
    """Check blueprints, or a repo.yaml; the first thing that is wrong is named by file, line and key. Needs no fleet.

    Example:
      shopfloor blueprints check .shopfloor/blueprints/codemod.yaml
    """
    from orchestrator.cli.main import complain  # noqa: PLC0415 - main loads this module

    worst = 0
    for file in files:
        try:
            click.echo(f"{file}: {_verdict(file)}")
        except InputError as error:
            worst = max(worst, complain(error))
    if worst:
        click.get_current_context().exit(worst)


def _verdict(file: str) -> str:
    from blueprints.errors import BlueprintError  # noqa: PLC0415 - not for --help
    from blueprints.parse import parse_blueprint  # noqa: PLC0415 - the same
    from blueprints.policy import parse_policy  # noqa: PLC0415 - the same
    from blueprints.reader import MAX_BYTES  # noqa: PLC0415 - the same

    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{file} cannot be read: {reason}.", "Name a file that you may read.") from error
    try:
        if Path(file).name == _POLICY:
            parse_policy(content, file)
            return "good"
        found = parse_blueprint(content, file)
    except BlueprintError as error:
        where = file if error.line is None else f"{file}:{error.line}"
        what = error.message if error.key is None else f"key '{error.key}': {error.message}"
        raise InputError(f"{where}: {what}.", f"Expected: {error.expected}.") from error
    return f"good; {found.name} goes {' → '.join(step.name for step in found.steps)}"


def as_yaml(blueprint: Blueprint) -> str:
    """A blueprint as the YAML that declares it, without what is so by default."""
    import yaml  # noqa: PLC0415 - not for --help

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as literal blocks."""

    def represent(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, represent)
    content: dict[str, Any] = blueprint.model_dump(mode="json", exclude_defaults=True)
    return yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
