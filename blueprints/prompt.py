"""Strict templates for prompts: sandboxed Jinja2, in which anything undefined is an error.

A template comes from a blueprint, that is, from the target branch. What comes from outside (a task's title and body,
a gate's log) is only ever a value: it is printed as it is and never read as a template.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

from blueprints.errors import PromptError
from blueprints.grammar import FILTERS, TESTS, check_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PROMPT_BYTES = 1024 * 1024
MAX_LOG_CHARACTERS = 64 * 1024


@dataclass(frozen=True)
class PromptTask:
    """What a prompt may say about its task; lists are printed with commas.

    Attributes:
        id: The task's id.
        title: Its title, as it was submitted.
        body: Its body, as it was submitted.
        scope: The paths and globs that it may write.
        labels: Its labels.
        blueprint: The name of its blueprint.
        priority: Its priority, 0 to 4.
    """

    id: str
    title: str
    body: str
    scope: tuple[str, ...]
    labels: tuple[str, ...]
    blueprint: str
    priority: int


@dataclass(frozen=True)
class Feedback:
    """What a failed gate said; as text, a sentence and the log. Without a step it is none: empty, and false.

    Attributes:
        step: The gate's name.
        exit_code: Its exit code; None where a person or the merge train sent it back, or a signal ended it.
        log: Its log; of a long one, `render` keeps the end.
    """

    step: str
    exit_code: int | None
    log: str

    def __bool__(self) -> bool:
        return bool(self.step)

    def __str__(self) -> str:
        if not self:
            return ""
        code = "" if self.exit_code is None else f" with exit code {self.exit_code}"
        return f"The step '{self.step}' failed{code}. Its log:\n\n{self.log}"


NO_FEEDBACK = Feedback(step="", exit_code=0, log="")

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "task": tuple(field.name for field in fields(PromptTask)),
    "feedback": tuple(field.name for field in fields(Feedback)),
    "round": (),
    "rounds": (),
}
"""Every variable of a template, and its attributes."""

# What Jinja's filters and comparisons raise for a value of the wrong kind.
_UNFIT = (TemplateError, TypeError, ValueError, OverflowError, AttributeError, AssertionError)

_BARE = PromptTask(id="t1", title="title", body="", scope=(), labels=(), blueprint="name", priority=0)
_FULL = replace(_BARE, body="body", scope=("src/**", "docs/**"), labels=("bug", "api"), priority=4)


def check_template(source: str) -> None:
    """Check that a template can be rendered, whatever the task.

    Besides the check of its grammar and names it is tried on two tasks: one with nothing in it and no feedback, one
    with everything. That finds what no name tells, such as the first of no labels.

    Args:
        source: The template.

    Raises:
        PromptError: A syntax error, an unknown variable or attribute, or something that prompts may not do.
    """
    failed = Feedback(step="test", exit_code=1, log="log")
    render(source, task=_BARE, feedback=None, round_number=1, rounds=3)
    render(source, task=_FULL, feedback=failed, round_number=2, rounds=3)


def render(source: str, *, task: PromptTask, feedback: Feedback | None, round_number: int, rounds: int) -> str:
    """Render a prompt.

    Args:
        source: The template.
        task: The task.
        feedback: What the gate said that sent the task back; None in a first round.
        round_number: The round, counted from 1.
        rounds: The most rounds that there may be.

    Returns:
        The prompt, at most 1 MiB of UTF-8.

    Raises:
        PromptError: The template is wrong, or the prompt would be too large.
    """
    template = _compile(source)
    said = NO_FEEDBACK if feedback is None else replace(feedback, log=_end_of(feedback.log))
    parts: list[str] = []
    size = 0
    try:
        for part in template.generate(task=task, feedback=said, round=round_number, rounds=rounds):
            size += len(part.encode(errors="replace"))
            if size > MAX_PROMPT_BYTES:
                raise _too_large()
            parts.append(part)
    except _UNFIT as error:
        raise PromptError(f"the prompt cannot be rendered: {error}", "a template that fits every task") from error
    return "".join(parts)


def _too_large() -> PromptError:
    return PromptError("the prompt is too large", f"at most {MAX_PROMPT_BYTES // 1024} KiB")


def _end_of(log: str) -> str:
    left_out = len(log) - MAX_LOG_CHARACTERS
    return log if left_out <= 0 else f"[{left_out} characters left out]\n{log[left_out:]}"


@lru_cache(maxsize=256)
def _compile(source: str) -> Template:
    environment = _environment()
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError as error:
        raise PromptError(
            f"the template has a syntax error: {error.message}", "a valid template", error.lineno
        ) from error
    except (RecursionError, ValueError, OverflowError) as error:  # brackets without end, a number without end
        raise PromptError("the template cannot be read", "a simpler template") from error
    check_tree(tree, VARIABLES)
    return environment.from_string(tree)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # a prompt is plain text; escaping HTML would change what the agent reads
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printed,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {name: _bounded(JINJA_FILTERS[name]) for name in FILTERS}
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


def _printed(value: object) -> object:
    return ", ".join(value) if isinstance(value, tuple) else value


def _bounded(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Give a filter feedback as text, and keep it from handing on more than a prompt may hold."""

    @wraps(apply)
    def bounded(*args: object) -> object:
        result = apply(*(str(each) if isinstance(each, Feedback) else each for each in args))
        if isinstance(result, str) and len(result) > MAX_PROMPT_BYTES:
            raise _too_large()
        return result

    return bounded
