"""Which templates are allowed: a closed list of what a prompt may do, checked before any template runs.

Prompts print variables, choose and loop over a task's own lists. Calls, arithmetic, assignment and includes have no
place in one, and without them no template can run for long, grow without bound or reach anything but its variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import nodes

from blueprints.errors import PromptError, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FILTERS: Mapping[str, int] = {
    "capitalize": 0,
    "default": 2,
    "first": 0,
    "indent": 3,
    "join": 1,
    "last": 0,
    "length": 0,
    "lower": 0,
    "title": 0,
    "trim": 1,
    "truncate": 4,
    "upper": 0,
}
"""The filters, and how many arguments each may get."""

TESTS = ("defined", "even", "none", "odd")
LISTS = ("task.labels", "task.scope")

_LOOP = ("first", "index", "index0", "last", "length", "revindex", "revindex0")
_PLAIN = (
    nodes.Output, nodes.TemplateData, nodes.Const, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Tuple, nodes.List, nodes.Name, nodes.Getattr, nodes.Filter, nodes.Test, nodes.For,
)  # fmt: skip
_MAX_DEPTH = 30  # what a prompt for people needs, many times over, and far from where Python's own parser gives up
_MAX_ARGUMENT = 100
_MAX_INDENT = 40
_MAX_WIDTH = 100_000

_PRINTED = "text, {{ variable }}, {{ variable | filter }}, {% if %} or {% for %}"


def check_tree(tree: nodes.Template, variables: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a template that does anything but what this grammar has.

    Args:
        tree: The parsed template.
        variables: The names that it may use, and the attributes of each.

    Raises:
        PromptError: The first thing that is not allowed, with its line.
    """
    for node in tree.body:
        _check(node, variables, 0)


def _check(node: nodes.Node, known: Mapping[str, tuple[str, ...]], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise PromptError("the template is nested too deep", f"at most {_MAX_DEPTH} levels", node.lineno)
    if not isinstance(node, _PLAIN):
        raise PromptError(f"the template may not use {_words(node)}", _PRINTED, node.lineno)
    match node:
        case nodes.Name():
            _check_name(node, known)
            return
        case nodes.Getattr():
            _check_attribute(node, known)
            return
        case nodes.For():
            known = _check_loop(node, known)
        case nodes.Filter():
            _check_filter(node)
        case nodes.Test() if node.name not in TESTS:
            raise PromptError(f"unknown test '{node.name}'", one_of(node.name, TESTS), node.lineno)
        case nodes.CondExpr() if node.expr2 is None:
            raise PromptError("an inline 'if' has no 'else'", "{{ a if condition else b }}", node.lineno)
    for child in node.iter_child_nodes():
        _check(child, known, depth + 1)


def _check_name(node: nodes.Name, known: Mapping[str, tuple[str, ...]]) -> None:
    if node.name not in known:
        raise PromptError(f"unknown variable '{node.name}'", one_of(node.name, _dotted(known)), node.lineno)
    if node.name in {"task", "loop"}:
        names = ", ".join(f"{node.name}.{attribute}" for attribute in known[node.name])
        raise PromptError(f"'{node.name}' has no text of its own", f"one of {names}", node.lineno)


def _check_attribute(node: nodes.Getattr, known: Mapping[str, tuple[str, ...]]) -> None:
    if not isinstance(node.node, nodes.Name):
        raise PromptError(f"unknown variable '....{node.attr}'", f"one of {', '.join(_dotted(known))}", node.lineno)
    name = f"{node.node.name}.{node.attr}"
    if node.attr not in known.get(node.node.name, ()):
        raise PromptError(f"unknown variable '{name}'", one_of(name, _dotted(known)), node.lineno)


def _check_loop(node: nodes.For, known: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    over = node.iter
    name = (
        f"{over.node.name}.{over.attr}" if isinstance(over, nodes.Getattr) and isinstance(over.node, nodes.Name) else ""
    )
    if name not in LISTS or not isinstance(node.target, nodes.Name) or node.recursive or "loop" in known:
        expected = f"{{% for item in {LISTS[0]} %}} or {LISTS[1]}, not within another loop"
        raise PromptError("the template may not loop like this", expected, node.lineno)
    if node.target.name in {*known, "loop"}:
        raise PromptError(f"the loop hides the variable '{node.target.name}'", "a new name", node.lineno)
    return {**known, node.target.name: (), "loop": _LOOP}


def _check_filter(node: nodes.Filter) -> None:
    if node.name not in FILTERS:
        raise PromptError(f"unknown filter '{node.name}'", one_of(node.name, FILTERS), node.lineno)
    most = FILTERS[node.name]
    if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > most:
        expected = f"at most {most}, without names" if most else "none"
        raise PromptError(f"the filter '{node.name}' is given arguments that it does not take", expected, node.lineno)
    for argument in node.args:
        value = argument.value if isinstance(argument, nodes.Const) else None
        widest = _MAX_INDENT if node.name == "indent" else _MAX_WIDTH
        short = isinstance(value, str) and len(value) <= _MAX_ARGUMENT
        small = isinstance(value, int) and value <= widest
        if not (short or small):
            expected = f"a text of at most {_MAX_ARGUMENT} characters or a whole number up to {widest}"
            raise PromptError(f"the filter '{node.name}' is given an unusable argument", expected, node.lineno)


def _dotted(known: Mapping[str, tuple[str, ...]]) -> list[str]:
    """List every variable as one writes it."""
    names: list[str] = []
    for name, attributes in known.items():
        if name not in {"task", "loop"}:
            names.append(name)
        names.extend(f"{name}.{attribute}" for attribute in attributes)
    return names


def _words(node: nodes.Node) -> str:
    names: Mapping[type[nodes.Node], str] = {
        nodes.Call: "a call",
        nodes.Getitem: "an index",
        nodes.Assign: "{% set %}",
        nodes.AssignBlock: "{% set %}",
        nodes.Macro: "{% macro %}",
        nodes.Include: "{% include %}",
        nodes.Import: "{% import %}",
        nodes.FromImport: "{% import %}",
        nodes.Extends: "{% extends %}",
        nodes.Block: "{% block %}",
    }
    return next((words for kind, words in names.items() if isinstance(node, kind)), "an operator or a block like this")
