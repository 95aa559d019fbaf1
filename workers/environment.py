"""The environment that agents, gates and verify commands run in: little, private and without a way to push."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PRIVATE = 0o700
_REPLACEABLE = "GIT_ALLOW_PROTOCOL"


def minimal_environment(scratch: Path, passed: Mapping[str, str], search_path: str) -> dict[str, str]:
    """Makes the whole environment of a command, and the private directories it names.

    What is passed adds to it and replaces none of it, but for GIT_ALLOW_PROTOCOL: a repository whose own tests push
    and fetch between local directories has to be able to ask for `file`.

    Args:
        scratch: A directory of this attempt, outside the workspace; `home` and `tmp` are made in it.
        passed: Variables that the repository's policy asked for by name, with the host's values.
        search_path: The host's PATH; its relative entries are left out, since they would lead into the workspace.

    Returns:
        Names and values; nothing else is to be inherited.
    """
    home, temporary = scratch / "home", scratch / "tmp"
    for directory in (home, temporary):
        directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    absolute = os.pathsep.join(entry for entry in search_path.split(os.pathsep) if Path(entry).is_absolute())
    own = {
        "PATH": absolute or os.defpath,  # an empty one would mean the workspace
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        _REPLACEABLE: "none",  # git(1): a list of transports, and this is the name of no transport
    }
    extra = {name: value for name, value in passed.items() if name not in own or name == _REPLACEABLE}
    return own | extra
