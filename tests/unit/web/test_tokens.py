"""Tokens: shown once, kept as hashes, and worth what their role says."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import InputError, NotFoundError, SetupError
from orchestrator.tokens import Identity, Role, add_token, find, list_tokens, remove_token

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tokens.json"


def test_a_token_stands_for_its_name_and_role(tokens: Path) -> None:
    add_token(tokens, "bob", Role.VIEWER)
    secret = add_token(tokens, "ci@web", Role.SUBMITTER)
    assert find(tokens, secret) == Identity(name="ci@web", role=Role.SUBMITTER)


@pytest.mark.parametrize("secret", ["", "shopfloor_", "nonsense", "n\u00f6", "\udcff"])
def test_another_token_stands_for_nobody(tokens: Path, secret: str) -> None:
    assert find(tokens, secret) is None
    add_token(tokens, "bob", Role.VIEWER)
    assert find(tokens, secret) is None


def test_the_hash_of_a_token_is_no_token(tokens: Path) -> None:
    secret = add_token(tokens, "bob", Role.VIEWER)
    text = tokens.read_text("utf-8")
    assert secret not in text
    assert find(tokens, text.split('"sha256": "')[1][:64]) is None


def test_only_the_owner_can_read_the_file(tokens: Path) -> None:
    add_token(tokens, "bob", Role.VIEWER)
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600


def test_a_removed_token_is_worthless(tokens: Path) -> None:
    secret = add_token(tokens, "bob", Role.ADMIN)
    other = add_token(tokens, "eve", Role.VIEWER)
    assert remove_token(tokens, "bob") == Identity(name="bob", role=Role.ADMIN)
    assert find(tokens, secret) is None
    assert find(tokens, other) is not None
    assert [each.name for each in list_tokens(tokens)] == ["eve"]


def test_removing_what_is_not_there_says_what_there_is(tokens: Path) -> None:
    add_token(tokens, "bob", Role.VIEWER)
    with pytest.raises(NotFoundError, match="bob"):
        remove_token(tokens, "eve")


@pytest.mark.parametrize("name", ["", " ", "-x", "a b", "a\nb", "x" * 64])
def test_a_name_that_would_mislead_is_refused(tokens: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be named"):
        add_token(tokens, name, Role.VIEWER)


def test_a_name_is_given_once(tokens: Path) -> None:
    secret = add_token(tokens, "bob", Role.VIEWER)
    with pytest.raises(InputError, match="already"):
        add_token(tokens, "bob", Role.ADMIN)
    assert find(tokens, secret) == Identity(name="bob", role=Role.VIEWER)


def test_tokens_made_at_the_same_time_are_all_kept(tokens: Path) -> None:
    names = [f"ci{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda name: add_token(tokens, name, Role.VIEWER), names))
    found = [find(tokens, secret) for secret in secrets]
    assert [each.name for each in found if each] == names


def test_a_damaged_file_lets_nobody_in(tokens: Path) -> None:
    tokens.parent.mkdir()
    tokens.write_text("[]", "utf-8")
    with pytest.raises(SetupError, match="damaged"):
        find(tokens, "any")


def test_each_role_allows_what_the_one_before_it_does() -> None:
    allowed = {role: [needed for needed in Role if role.allows(needed)] for role in Role}
    roles = list(Role)
    assert allowed == {role: roles[: place + 1] for place, role in enumerate(roles)}
