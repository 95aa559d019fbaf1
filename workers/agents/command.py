"""The plainest agent: any executable that reads a prompt and edits files (its contract: docs/agents.md)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from workers.agent import Launch, Unlaunchable, Usage
from workers.agents.usage_file import UsageFile
from workers.environment import minimal_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

_USAGE_FILE = "usage.jsonl"


class CommandAgent:
    """Runs a command as an agent.

    Args:
        command: Program and arguments. A relative path with a slash is looked up in the policy tree, never in the
            workspace, whose files an agent may have written; a bare name on the search path.
        policy_tree: A directory with the files of the target branch.
        passed_env: Further variables for it, as the agent's spec names them, with their values.
        search_path: The host's PATH.
    """

    def __init__(
        self, command: tuple[str, ...], policy_tree: Path, passed_env: Mapping[str, str], search_path: str
    ) -> None:
        self._command = command
        self._policy_tree = policy_tree
        self._passed_env = passed_env
        self._search_path = search_path
        self._reports: dict[Path, UsageFile] = {}

    def launch(self, task_file: Path, prompt: str, workspace: Path, scratch: Path) -> Launch | Unlaunchable:
        """Prepares the scratch directory, and says how the command is started; see `workers.agent.Agent`."""
        env = minimal_environment(scratch, self._passed_env, self._search_path)
        env |= {"SHOPFLOOR_TASK": str(task_file), "SHOPFLOOR_USAGE": str(scratch / _USAGE_FILE)}
        program = self._program(env["PATH"])
        if isinstance(program, Unlaunchable):
            return program
        return Launch((program, *self._command[1:]), env, prompt.encode("utf-8", "replace"), workspace)

    def read_usage(self, scratch: Path, *, ended: bool = False) -> Usage:
        """Sums up the file that SHOPFLOOR_USAGE names; see `workers.agent.Agent`."""
        return self._reports.setdefault(scratch, UsageFile(scratch / _USAGE_FILE)).read(ended=ended)

    def _program(self, search_path: str) -> str | Unlaunchable:
        if not self._command or not self._command[0]:
            return Unlaunchable("The agent's command is empty. Name a program in .shopfloor/repo.yaml.")
        name = self._command[0]
        if "/" not in name:
            found = shutil.which(name, path=search_path)
            return found or Unlaunchable(
                f"The agent's command {name} is not on this host's PATH. Install it, or name it by a path."
            )
        if not name.startswith("/") and ".." in PurePosixPath(name).parts:
            return Unlaunchable(f"The agent's command {name} leads out of the repository. Name a file within it.")
        program = self._policy_tree / name  # an absolute name stays what it is
        where = "on this host" if program == Path(name) else "on the target branch"
        if not program.is_file():
            return Unlaunchable(f"The agent's command {name} does not exist {where}. Add it, or correct the name.")
        if not os.access(program, os.X_OK):
            return Unlaunchable(f"The agent's command {name} is not executable {where}. Make it so (chmod +x).")
        return str(program.absolute())
