"""The `shopfloor` command: its table of commands, and how what goes wrong is told.

A command's module is imported when the command is called, so that `shopfloor --help` needs nothing but click.
"""

from __future__ import annotations

import importlib
import inspect
import io
import os
import sys
import traceback
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from orchestrator.cli.text import clean, line
from orchestrator.config import colourless
from orchestrator.errors import InputError, ShopfloorError

if TYPE_CHECKING:
    from orchestrator.cli.desk import Access

INTERRUPTED = 130
"""What a shell reports of a command that SIGINT ended."""

PIPE_CLOSED = 141
"""What a shell reports of a command that SIGPIPE ended."""


class Entry(NamedTuple):
    """A command before it is loaded: its module within this package, its attribute there, its line in the help."""

    module: str
    attribute: str
    summary: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "The floor": {
        "init": Entry("floor", "init", "Make this checkout ready for Shopfloor."),
        "up": Entry("floor", "up", "Start the fleet, or this machine's part of it."),
        "down": Entry("floor", "down", "Stop what `up` started."),
        "doctor": Entry("floor", "doctor", "Check this machine, and say how to mend what fails."),
        "demo": Entry("demo", "demo", "Show a fleet at work on a repository made for it."),
        "token": Entry("tokens", "token", "Give and withdraw the API's tokens."),
    },
    "Tasks": {
        "submit": Entry("submit", "submit", "Submit a task, or a batch of them."),
        "tasks": Entry("tasks", "tasks", "List tasks."),
        "show": Entry("tasks", "show", "Show one task."),
        "explain": Entry("tasks", "explain", "Say why a task is where it is."),
        "logs": Entry("logs", "logs", "Print what a task's steps wrote."),
        "approve": Entry("decisions", "approve", "Accept changes that wait for a person."),
        "reject": Entry("decisions", "reject", "Send a change back for rework."),
        "retry": Entry("decisions", "retry", "Give escalated tasks another try."),
        "cancel": Entry("decisions", "cancel", "Give tasks up."),
    },
    "The fleet": {
        "watch": Entry("watch", "watch", "Show the live board."),
        "fleet": Entry("fleet", "fleet", "Show the fleet's figures."),
        "hosts": Entry("fleet", "hosts", "List the hosts and what they work on."),
        "locks": Entry("fleet", "locks", "List the scopes that are held."),
        "train": Entry("fleet", "train", "Show what is about to land, in order."),
        "events": Entry("events", "events", "List what happened, in order."),
        "blueprints": Entry("blueprints", "blueprints", "List, show and check blueprints."),
        "halt": Entry("halt", "halt", "Stop everything at once, or one part of it."),
        "resume": Entry("halt", "resume", "Lift halts."),
    },
}


def _available() -> dict[str, Entry]:
    found = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
    modules = {entry.module for entry in found.values()}
    there = {module for module in modules if find_spec(f"orchestrator.cli.{module}")}
    return {name: entry for name, entry in found.items() if entry.module in there}


class Shopfloor(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the help."""
        del ctx
        return list(_available())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        del ctx
        entry = _available().get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"orchestrator.cli.{entry.module}")
        command: click.Command = getattr(module, entry.attribute)
        _keep_examples(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was asked for; suggest the nearest one where there is none."""
        name = args[0]
        available = _available()
        if name not in available and not name.startswith("-"):
            near = get_close_matches(name, available, n=1)
            hint = f"Did you mean `shopfloor {near[0]}`?" if near else "List the commands with `shopfloor --help`."
            raise InputError(f"There is no command '{line(name)}'.", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their sections, from the table alone."""
        del ctx
        available = _available()
        for title, section in SECTIONS.items():
            rows = [(name, entry.summary) for name, entry in section.items() if name in available]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click's own
        """Run the command; what it wrote has reached the reader before it counts as done."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_output()
            ctx.exit(PIPE_CLOSED)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        return result


def _keep_examples(command: click.Command) -> None:
    """Have click leave the lines of an example as they stand in the docstring."""
    command.help = inspect.cleandoc(command.help or "").replace("\n\nExample:", "\n\n\b\nExample:")
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        _keep_examples(each)


def _version(context: click.Context, param: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's callback
    del param
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - for this option only

    try:
        number = version("shopfloor")
    except PackageNotFoundError:
        number = "(not installed: run from its source)"
    click.echo(f"shopfloor {number}")
    context.exit()


@click.group(
    cls=Shopfloor,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 it did not come about, 2 bad usage or input, 3 the fleet cannot be reached.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def cli(context: click.Context) -> None:
    """Run a fleet of coding agents on a team's repositories, and keep main green.

    A command speaks to the fleet of the checkout that it is given in, or to the one that SHOPFLOOR_API_URL and
    SHOPFLOOR_TOKEN, or SHOPFLOOR_REDIS_URL, name.

    \b
    Example:
      shopfloor init
      shopfloor up --detach
      shopfloor submit "Rename Client.fetch to Client.get" --scope "src/**" --wait
      shopfloor watch
    """  # noqa: D301 - click's mark of a paragraph that is not to be wrapped
    if colourless():
        context.color = False


def main() -> NoReturn:
    """Run the command line of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str], access: Access | None = None) -> int:
    """Run a command line.

    Args:
        arguments: What stands behind `shopfloor`.
        access: The way to the fleet; None: the one that the environment or the checkout names.

    Returns:
        The exit code: 0 done, 1 it did not come about, 2 bad usage or input, 3 the fleet cannot be reached, 130
        interrupted, 141 the reader went away.
    """
    try:
        result = cli.main(arguments, prog_name="shopfloor", standalone_mode=False, obj=access)
    except ShopfloorError as error:
        return complain(error)
    except click.Abort:
        return INTERRUPTED
    except click.UsageError as error:
        return complain(_usage(error))
    except click.ClickException as error:
        return complain(ShopfloorError(error.format_message()))
    except Exception as error:  # noqa: BLE001 - the last resort: a person is told in a sentence what is a fault of ours
        return complain(_no_text(arguments) or _fault(error))
    return result if isinstance(result, int) else 0


def complain(error: ShopfloorError) -> int:
    """Tell a person on stderr what was wrong and what to do, and give the exit code."""
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True, color=False if colourless() else None)
    click.echo(clean(error.message), err=True)
    if error.remedy:
        click.echo(clean(error.remedy), err=True)
    return error.exit_code


def _usage(error: click.UsageError) -> InputError:
    """A mistake in usage, in our words; `nothing given` is answered by the help."""
    path = error.ctx.command_path if error.ctx else "shopfloor"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return InputError("No command was given.", error.format_message())
    message = error.format_message().strip()
    return InputError(message[:1].upper() + message[1:], f"See `{path} --help`.")


def _no_text(arguments: list[str]) -> InputError | None:
    """Say that an argument is no text; only a path may be none, so it is not asked before something failed."""
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError:  # lone surrogates, which Python makes of bytes that are no UTF-8
            shown = each.encode("utf-8", "replace").decode()
            return InputError(f"'{line(shown)}' has bytes that are not UTF-8.", "Write it in UTF-8.")
    return None


def _fault(error: Exception) -> ShopfloorError:
    from orchestrator.config import settings  # noqa: PLC0415 - needed when all else failed

    try:
        debug = settings().debug
    except InputError as wrong:
        return wrong
    if debug:
        traceback.print_exception(error)
    said = f"{type(error).__name__}: {error}".strip().removesuffix(":").removesuffix(".")
    hint = "The traceback is above." if debug else "Set SHOPFLOOR_DEBUG=1 and repeat it to see where."
    return ShopfloorError(f"Shopfloor met a fault of its own: {line(said)}.", hint)


def _discard_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not trip over it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
