"""Writes docs/cli.md from the commands themselves: `python -m orchestrator.cli.reference > docs/cli.md`."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

import click

from orchestrator.cli.main import SECTIONS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# The command line

<!-- Written by `python -m orchestrator.cli.reference > docs/cli.md`; change the commands, not this file. -->

A command speaks to the fleet of the checkout that it is given in. Another is named by `SHOPFLOOR_API_URL` with
`SHOPFLOOR_TOKEN`, or by `SHOPFLOOR_REDIS_URL`; see [configuration](configuration.md).

| exit code | means |
|---|---|
| 0 | done |
| 1 | what was asked for did not come about, such as `submit --wait` that ends in `escalated` |
| 2 | bad usage or input; nothing was changed |
| 3 | the fleet cannot be reached |
| 130 | interrupted by Ctrl-C |
| 141 | the reader of its output went away, as in `shopfloor events \\| head` |

An error is told on stderr: a sentence of what was wrong, and one of what to do about it. With `--json`, stdout holds
one JSON document (with `-f`, one object a line) and nothing else; [its shapes](schemas/) are a contract. Colours are
left out where `NO_COLOR` is set or stdout is no terminal. `SHOPFLOOR_DEBUG=1` shows where a fault of Shopfloor's own
arose.

A task's id may be written `T12`, `t12` or `12`.
"""


def reference() -> str:
    """The whole page."""
    context = click.Context(cli, info_name="shopfloor")
    available = cli.list_commands(context)
    parts = [_HEAD]
    for title, section in SECTIONS.items():
        parts.append(f"## {title}\n")
        for name in section:
            command = cli.get_command(context, name) if name in available else None
            if command is not None:
                parts.extend(_pages(command, f"shopfloor {name}"))
    return "\n".join(parts)


def _pages(command: click.Command, path: str) -> Iterator[str]:
    """A command and, of a group, each of its own."""
    context = click.Context(command, info_name=path)
    prose, _, example = inspect.cleandoc(command.help or "").partition("Example:\n")
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"### {path}\n"
    yield f"    {usage}\n"
    yield _paragraphs(prose)
    options = [param for param in command.get_params(context) if isinstance(param, click.Option) and not param.hidden]
    rows = [row for option in options if (row := option.get_help_record(context)) and "--help" not in row[0]]
    if rows:
        drawn = (f"| `{_cell(name)}` | {_cell(words)} |" for name, words in rows)
        yield "\n".join(["| option | |", "|---|---|", *drawn, ""])
    if example:
        yield "\n".join(f"    {each.strip()}" for each in example.strip().splitlines()) + "\n"
    for name, each in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _pages(each, f"{path} {name}")


def _paragraphs(text: str) -> str:
    """Running text, its lines as they stand in the source."""
    return "\n".join(each.rstrip() for each in text.replace("\b", "").strip().splitlines()) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
