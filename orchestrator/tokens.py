"""Who may do what over the API: roles, and the tokens that carry them.

Tokens are kept in one file of the fleet's state directory, readable by its owner alone. It holds the SHA-256 of each
token, never the token: a token is 256 random bits, so that a fast hash is enough (a slow one protects words that a
person can guess). A token is shown once, when it is made.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from orchestrator.domain.frozen import Frozen
from orchestrator.errors import InputError, NotFoundError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TOKENS_FILE = "tokens.json"
"""Its name in the fleet's state directory."""

_PREFIX = "shopfloor_"  # so that a scanner for secrets, and a person, can tell what was found
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


class Role(StrEnum):
    """What a token allows; each role allows all that the one before it does."""

    VIEWER = "viewer"  # read everything
    SUBMITTER = "submitter"  # submit, cancel, retry
    LEAD = "lead"  # approve, reject, halt, resume
    ADMIN = "admin"  # everything

    def allows(self, needed: Role) -> bool:
        """Tell whether this role is that one, or above it."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Identity(Frozen):
    """Whom a token stands for; the name is the `who` of the events that it causes."""

    name: str
    role: Role


class _Entry(Identity):
    sha256: str


class _Document(Frozen):
    version: int = Field(default=1, ge=1, le=1)
    tokens: tuple[_Entry, ...] = ()


def add_token(path: Path, name: str, role: Role) -> str:
    """Make a token and keep its hash.

    Args:
        path: The file of tokens; made if it is missing.
        name: Whom it stands for; no other token of the file may have it.
        role: What it allows.

    Returns:
        The token. It cannot be had again.

    Raises:
        InputError: The name cannot be used, or is taken.
        SetupError: The file is damaged.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"A token cannot be named {name!r}.", "Use letters, digits, dots, dashes and @, at most 63 of them."
        )
    secret = _PREFIX + secrets.token_urlsafe(32)
    with _locked(path):
        entries = _read(path)
        if name in {each.name for each in entries}:
            raise InputError(f"There is a token named '{name}' already.", "Remove it first, or choose another name.")
        _write(path, [*entries, _Entry(name=name, role=role, sha256=_digest(secret))])
    return secret


def remove_token(path: Path, name: str) -> Identity:
    """Make a token worthless from now on.

    Raises:
        NotFoundError: There is none of that name.
        SetupError: The file is damaged.
    """
    with _locked(path):
        entries = _read(path)
        removed = next((each for each in entries if each.name == name), None)
        if removed is None:
            known = ", ".join(each.name for each in entries) or "none"
            raise NotFoundError(f"There is no token named '{name}'.", f"There are: {known}.")
        _write(path, [each for each in entries if each is not removed])
    return Identity(name=removed.name, role=removed.role)


def list_tokens(path: Path) -> list[Identity]:
    """Whom tokens stand for, in the order in which they were made; none where there is no file.

    Raises:
        SetupError: The file is damaged.
    """
    return [Identity(name=each.name, role=each.role) for each in _read(path)]


def find(path: Path, secret: str) -> Identity | None:
    """Whom a token stands for; None where it stands for nobody.

    Every entry is compared, each in constant time, so that the answer's time tells nothing of what is kept.

    Raises:
        SetupError: The file is damaged.
    """
    wanted = _digest(secret)
    found = [each for each in _read(path) if hmac.compare_digest(each.sha256, wanted)]
    return Identity(name=found[0].name, role=found[0].role) if found else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path) -> tuple[_Entry, ...]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return ()
    try:
        return _Document.model_validate_json(text).tokens
    except ValidationError as error:
        raise SetupError(f"{path} is damaged.", "Delete it, and make the tokens anew.") from error


def _write(path: Path, entries: Sequence[_Entry]) -> None:
    document = _Document(tokens=tuple(entries)).model_dump(mode="json")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made for its owner alone
        json.dump(document, file, indent=1)
    temporary.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time read and write the file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
