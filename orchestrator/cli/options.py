"""What several commands share: their way to the fleet, `--json`, and how ids and states are read."""

from __future__ import annotations

import functools
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

import click

from orchestrator.cli.desk import Access, open_access

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.desk import Desk
    from orchestrator.domain.task import State

_P = ParamSpec("_P")
_R = TypeVar("_R")
_BARE_ID = re.compile(r"[tT]?([0-9]{1,18})")
_STATES = ("waiting", "queued", "running", "review", "merging", "merged", "escalated", "cancelled")


def access_of(context: click.Context) -> Access:
    """The way to the fleet: opened at the first use, closed with the command."""
    root = context.find_root()
    if root.obj is None:
        access = open_access(Path.cwd())
        root.call_on_close(access.close)
        root.obj = access
    return cast("Access", root.obj)


def with_access(function: Callable[Concatenate[Access, _P], _R]) -> Callable[_P, _R]:
    """Give a command the way to the fleet as its first argument."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return function(access_of(click.get_current_context()), *args, **kwargs)

    return call


def with_desk(function: Callable[Concatenate[Desk, _P], _R]) -> Callable[_P, _R]:
    """Give a command the fleet's desk as its first argument."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return function(access_of(click.get_current_context()).desk, *args, **kwargs)

    return call


class TaskId(click.ParamType[str]):
    """A task's id; `t12` and `12` mean T12."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click hands over what it has
        """Write an id as the fleet does; what is no id is for the fleet to refuse."""
        del param, ctx
        bare = _BARE_ID.fullmatch(str(value).strip())
        return f"T{int(bare[1])}" if bare else str(value).strip()


class StateName(click.ParamType["State"]):
    """One of the states of a task, in any case."""

    name = "state"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> State:  # noqa: ANN401 - as above
        """Find the state of that name."""
        from orchestrator.domain.task import State  # noqa: PLC0415 - not for --help

        lower = str(value).strip().lower()
        if lower not in _STATES:
            near = get_close_matches(lower, _STATES, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            self.fail(f"'{value}' is no state of a task. {hint}There are: {', '.join(_STATES)}.", param, ctx)
        return State(lower)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")
task_argument = click.argument("task_id", metavar="ID", type=TaskId())
tasks_argument = click.argument("task_ids", metavar="ID...", type=TaskId(), nargs=-1, required=True)
repository_option = click.option(
    "--repository", metavar="ID", help="The repository: its id or name. [default: that of the checkout]"
)
