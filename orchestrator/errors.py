"""Every error that a person may meet.

    ShopfloorError                  exit 1: the thing asked for did not come about
    ├── InputError                  exit 2: bad usage or input
    │   └── NotFoundError           exit 2: names something that does not exist
    ├── UnreachableError            exit 3: the fleet (Redis, the API) cannot be reached
    ├── RefusedError                exit 1: the state of things does not allow it
    │   ├── TransitionError         a task cannot go from this state to that one
    │   └── StaleError              somebody else moved first, or the fence is no longer ours
    ├── GitError                    exit 1: git said no; carries its own words
    └── SetupError                  exit 1: something on this machine is missing or misconfigured

An error is one sentence of what was wrong, and one of what to do about it (the remedy). Expected outcomes
(a scope that is busy, a tip that moved) are values, not errors.
"""

from __future__ import annotations


class ShopfloorError(Exception):
    """Something did not come about.

    Args:
        message: One sentence of what was wrong, and with what.
        remedy: One sentence of what to do about it; empty where there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class InputError(ShopfloorError):
    """What was given cannot be used."""

    exit_code = 2


class NotFoundError(InputError):
    """A name or an id that means nothing here."""


class UnreachableError(ShopfloorError):
    """The fleet cannot be reached."""

    exit_code = 3


class RefusedError(ShopfloorError):
    """The state of things does not allow it."""


class TransitionError(RefusedError):
    """A task cannot go from this state to that one."""


class StaleError(RefusedError):
    """Somebody else moved first, or the fence is no longer ours."""


class GitError(ShopfloorError):
    """A git command failed; the message holds git's own words."""


class SetupError(ShopfloorError):
    """Something on this machine is missing or misconfigured."""
