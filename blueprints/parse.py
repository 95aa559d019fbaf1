"""From the YAML of a blueprint to a `Blueprint`, its prompts checked."""

from __future__ import annotations

from blueprints.conform import conform
from blueprints.errors import PromptError
from blueprints.model import Blueprint
from blueprints.prompt import check_template
from blueprints.reader import read


def parse_blueprint(text: str | bytes, file: str) -> Blueprint:
    """Parse a blueprint.

    Args:
        text: The file's content.
        file: Its path, for errors only.

    Returns:
        The blueprint. Every gate names the agent step it goes back to, and every prompt can be rendered.

    Raises:
        BlueprintError: The first thing that is wrong with it.
    """
    document = read(text, file)
    blueprint = conform(document, Blueprint)
    for place, step in enumerate(blueprint.steps):
        if step.agent is None:
            continue
        try:
            check_template(step.agent.prompt)
        except PromptError as error:
            path = ("steps", place, "agent", "prompt")
            raise document.error(path, error.message, error.expected, inner=error.line) from error
    return blueprint
