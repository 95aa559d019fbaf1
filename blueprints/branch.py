"""What git takes for the name of a branch."""

from __future__ import annotations

import re

_MAX_BYTES = 200  # git keeps a branch as a file below refs/heads; file systems stop at 255, and a lock needs room
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")


def branch_problem(name: str) -> str | None:
    """Say why git would refuse a branch name.

    Args:
        name: The name, without `refs/heads/`.

    Returns:
        What is wrong, or None for a good name. The rules are those of `git check-ref-format --branch`
        (https://git-scm.com/docs/git-check-ref-format),
        without its expansion of `@{-1}`; `@` is refused as well, which git reads as `HEAD` wherever it is used.
    """
    parts = name.split("/")
    rules = {
        "is empty": not name,
        "is too long": len(name.encode(errors="replace")) > _MAX_BYTES,
        "is a name that git keeps for itself": name in {"@", "HEAD"},
        "begins with a dash": name.startswith("-"),
        "ends with a dot": name.endswith("."),
        "holds a space, a control character or one of ~^:?*[\\": bool(_FORBIDDEN.search(name)),
        "holds '..' or '@{'": ".." in name or "@{" in name,
        "has an empty part between slashes": "" in parts,
        "has a part that begins with a dot or ends with .lock": any(
            part.startswith(".") or part.endswith(".lock") for part in parts
        ),
    }
    return next((problem for problem, broken in rules.items() if broken), None)
