"""Takes directories away that may resist: read-only ones, and such that somebody still writes into."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

_OPEN = stat.S_IRWXU


def make_writable(root: Path) -> None:
    """Let the owner read, write and enter every directory below a root, links not followed."""
    root.chmod(_OPEN)
    for above, directories, _ in os.walk(root):
        for name in directories:
            below = Path(above) / name
            if not below.is_symlink():
                below.chmod(stat.S_IMODE(below.stat().st_mode) | _OPEN)


def remove_tree(path: Path) -> None:
    """Remove a file, a link, or a directory with all that is in it; one that is not there is removed already."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        remove_tree(path)  # somebody else removes it too
    except PermissionError:
        make_writable(path)
        shutil.rmtree(path)
