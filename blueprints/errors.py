"""Every error of this package.

    Exception
    ├── BlueprintError   a file (a blueprint, repo.yaml) is wrong; names file, line and key
    ├── PromptError      a template is wrong, or cannot be rendered; names the template's line
    └── ChoiceError      no blueprint, or more than one, fits a task

Whoever calls this package turns them into its own errors: `message` is what was wrong, `expected` or `remedy` what
to do about it.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable

REFUSAL = "refusal"


class BlueprintError(Exception):
    """A file cannot be used.

    Args:
        file: The file's path, as the caller named it.
        line: The line, counted from 1; None where no line is to blame.
        key: The key's path, such as `steps[1].on_fail` (items counted from 0); None for the file as a whole.
        message: What was wrong, as the end of a sentence that begins with the key.
        expected: What would have been right.
    """

    def __init__(self, file: str, line: int | None, key: str | None, message: str, expected: str) -> None:
        super().__init__(file, line, key, message, expected)
        self.file = file
        self.line = line
        self.key = key
        self.message = message
        self.expected = expected

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        what = self.message if self.key is None else f"key '{self.key}': {self.message}"
        return f"{where}: {what}; expected {self.expected}"


class PromptError(Exception):
    """A template is wrong, or cannot be rendered.

    Args:
        message: What was wrong.
        expected: What would have been right.
        line: The line within the template, counted from 1; None where no line is to blame.
    """

    def __init__(self, message: str, expected: str, line: int | None = None) -> None:
        super().__init__(message, expected, line)
        self.message = message
        self.expected = expected
        self.line = line

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line} of the prompt: "
        return f"{where}{self.message}; expected {self.expected}"


class ChoiceError(Exception):
    """No blueprint, or more than one, fits a task.

    Args:
        message: One sentence of what was wrong.
        remedy: One sentence of what to do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


def refusal(message: str, expected: str, *at: str | int) -> PydanticCustomError:
    """Make the error that a model's own rule raises.

    Args:
        message: What was wrong, as in `BlueprintError`.
        expected: What would have been right.
        at: The path of the key to blame, below the model that raises.

    Returns:
        An error for pydantic to collect; `conform` turns it into a `BlueprintError`.
    """
    return PydanticCustomError(
        REFUSAL, "{message}; expected {expected}", {"message": message, "expected": expected, "at": at}
    )


def one_of(given: str, known: Iterable[str]) -> str:
    """Say which names could have been meant.

    Args:
        given: The name that is not known.
        known: The names that are, in the order to list them.

    Returns:
        A list of the names, beginning with the nearest one if any is near.
    """
    names = list(known)
    listed = f"one of {', '.join(names)}" if len(names) > 1 else "".join(names) or "nothing here"
    near = get_close_matches(given[:100], names, n=1, cutoff=0.6)
    return f"'{near[0]}' (the nearest of {', '.join(names)})" if near and len(names) > 1 else listed
