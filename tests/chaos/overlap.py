"""Which paths a pattern covers, by brute force: written anew, so that the checker trusts no rule of the product."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def covered(patterns: Iterable[str], universe: Iterable[str]) -> frozenset[str]:
    """List the paths of a universe that any of the patterns covers.

    Args:
        patterns: As the tasks declare them: `*`, `**`, `?`, `[...]`, `{a,b}`; a path also covers what is beneath it.
        universe: Every path that exists or may be written.
    """
    tests = [_regex(pattern) for pattern in patterns]
    return frozenset(path for path in universe if any(test.fullmatch(path) for test in tests))


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern)
    text = re.sub(r"\\\[(.*?)\\\]", lambda found: f"[{found[1].replace(chr(92), '')}]", text)
    text = re.sub(r"\\\{(.*?)\\\}", lambda found: "(?:" + found[1].replace(",", "|") + ")", text)
    text = text.replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(f"{text}(?:/.*)?")
