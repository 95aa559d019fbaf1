"""`shopfloor submit`: a task, or a batch of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.desk import choose_repository
from orchestrator.cli.options import TaskId, json_option, repository_option, with_access
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.cli.desk import Access
    from orchestrator.domain.task import Task
    from orchestrator.services.submit import Submission

_LARGEST = 1_000_000  # bytes that are read of a file; what a task may hold is for the fleet to say


@click.command(short_help="Submit a task, or a batch of them.")
@click.argument("title", required=False)
@click.option("--body", metavar="TEXT", help="What the title does not say.")
@click.option("--file", "body_file", metavar="F", help="A file with the body; - is stdin.")
@click.option("--blueprint", metavar="NAME", help="How to do it. [default: the one that fits label or title]")
@click.option("--scope", metavar="GLOB", multiple=True, help="Paths it may write, such as src/**; may be repeated.")
@click.option("--priority", type=click.IntRange(0, 4), default=2, show_default=True, help="0 is the most urgent.")
@click.option("--depends-on", metavar="ID", type=TaskId(), multiple=True, help="Must land first; may be repeated.")
@click.option("--needs", metavar="CAP", multiple=True, help="What its host must offer; may be repeated.")
@click.option("--label", "labels", metavar="L", multiple=True, help="A label; may be repeated.")
@click.option(
    "--complexity",
    type=click.Choice(["S", "M", "L"], case_sensitive=False),
    metavar="S|M|L",
    default="M",
    show_default=True,
)
@click.option("--tokens", metavar="N", type=int, help="Tokens that it may use. [default: the blueprint's limit]")
@click.option("--minutes", metavar="N", type=float, help="Minutes that it may run. [default: the blueprint's limit]")
@click.option(
    "--batch", "batch_file", metavar="FILE", help="A YAML or JSON list of tasks, instead of TITLE; - is stdin."
)
@repository_option
@click.option("--wait", is_flag=True, help="Wait for the end: exit 0 if all landed, else 1.")
@json_option
@with_access
def submit(
    access: Access,
    /,
    *,
    title: str | None,
    batch_file: str | None,
    repository: str | None,
    wait: bool,
    as_json: bool,
    **fields: Any,  # noqa: ANN401 - the fields of a submission, each checked where they are read
) -> None:
    """Submit the task TITLE for the repository of this checkout.

    What is left open, the blueprint and .shopfloor/repo.yaml decide. A batch is taken in whole or not at all; its tasks
    have the fields title, body, blueprint, scope, priority, depends_on, needs, labels, complexity, tokens and minutes,
    and a key by which others of the batch can depend on them.

    Example:
      shopfloor submit "Rename Client.fetch to Client.get" --scope "src/**" --wait
      shopfloor submit "Fix the race in the cache" --blueprint bug-fix --file report.md --priority 1
      shopfloor submit --batch tasks.yaml --json
    """
    from orchestrator.cli.wait import Waiting  # noqa: PLC0415 - not for --help

    submissions = _submissions(title, batch_file, fields)
    chosen = choose_repository(access, repository)
    waiting = Waiting(access.desk, access.desk.last_seq())
    tasks = access.desk.submit(chosen.id, submissions)
    if not as_json:
        _report(tasks, wait=wait)
    if wait:
        tasks = waiting.ends(tasks)
    if as_json:
        _print_json(tasks, as_list=batch_file is not None)
    if wait and any(task.state != "merged" for task in tasks):
        click.get_current_context().exit(1)


def _submissions(title: str | None, batch_file: str | None, fields: dict[str, Any]) -> list[Submission]:
    from orchestrator.cli.batch import read_batch  # noqa: PLC0415 - as above
    from orchestrator.services.submit import read_submission  # noqa: PLC0415 - the same

    given = _given()
    if batch_file is not None:
        if title is not None or given:
            stray = given[0] if given else "TITLE"
            raise InputError(
                f"--batch and {stray} were both given.", "Put what belongs to a task into the batch's file."
            )
        return read_batch(_content(batch_file), "stdin" if batch_file == "-" else batch_file)
    if title is None:
        raise InputError("No title was given.", 'Say in a line what is to be done: shopfloor submit "TITLE"')
    body_file = fields.pop("body_file")
    if fields["body"] is not None and body_file is not None:
        raise InputError("--body and --file were both given.", "Give one of them.")
    body = _text(body_file) if body_file is not None else fields.pop("body") or ""
    return [read_submission({**fields, "title": title, "body": body})]


def _given() -> list[str]:
    """The options of a single task that stand on the command line."""
    context = click.get_current_context()
    of_any = {"title", "batch_file", "repository", "wait", "as_json"}
    command_line = click.core.ParameterSource.COMMANDLINE
    return [
        param.opts[0]
        for param in context.command.params
        if param.name and param.name not in of_any and context.get_parameter_source(param.name) is command_line
    ]


def _text(file: str) -> str:
    content = _content(file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8.", "Give a text file.") from error


def _content(file: str) -> bytes:
    if file == "-":
        content = sys.stdin.buffer.read(_LARGEST + 1)
    else:
        try:
            with Path(file).open("rb") as opened:
                content = opened.read(_LARGEST + 1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{file} cannot be read: {reason}.", "Name a file that you may read.") from error
    if len(content) > _LARGEST:
        raise InputError(f"{file} is larger than 1 MB.", "Shorten it, or name a path in the repository instead.")
    return content


def _report(tasks: list[Task], *, wait: bool) -> None:
    from orchestrator.cli.render import show, task_line  # noqa: PLC0415 - as above

    show(*map(task_line, tasks))
    if not wait and sys.stdout.isatty():
        follow = f"shopfloor logs {tasks[0].id} -f" if len(tasks) == 1 else "shopfloor watch"
        click.secho(f"Follow with `{follow}`.", dim=True, err=True)


def _print_json(tasks: list[Task], *, as_list: bool) -> None:
    from orchestrator.cli.render import emit_json  # noqa: PLC0415 - as above
    from orchestrator.views import task_view  # noqa: PLC0415 - the same

    emit_json([task_view(task) for task in tasks] if as_list else task_view(tasks[0]))
