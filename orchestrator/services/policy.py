"""The rules of a repository, as the target branch's tip has them: never as an agent's tree has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from blueprints.catalog import Catalog
from blueprints.errors import BlueprintError
from blueprints.policy import RepositoryPolicy, parse_policy
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.domain.repository import Repository
    from orchestrator.mirror import Mirror
    from orchestrator.services.floor import Floor

POLICY_FILE = ".shopfloor/repo.yaml"
BLUEPRINT_DIRECTORY = ".shopfloor/blueprints"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a repository says at one commit of its target branch."""

    commit: str
    policy: RepositoryPolicy
    catalog: Catalog


@lru_cache(maxsize=256)
def policy_at(mirror: Mirror, commit: str) -> RepositoryPolicy:
    """The repository's policy at a commit that this machine's mirror has. What a commit says never changes: kept.

    Raises:
        InputError: there is none, or it cannot be used; names file, line and key.
    """
    text = mirror.read(commit, POLICY_FILE)
    if text is None:
        raise InputError(
            f"The target branch has no {POLICY_FILE}.",
            "Write one with `shopfloor init`, commit it, and push it to the branch that changes land on.",
        )
    try:
        return parse_policy(text, POLICY_FILE)
    except BlueprintError as error:
        raise InputError(f"{error}.", "Mend it on the target branch.") from error


def rules_now(floor: Floor, repository: Repository) -> Rules:
    """The rules at the target's tip of this moment.

    Raises:
        InputError: a rule cannot be used; names file, line and key.
        GitError: the tip cannot be had.
    """
    mirror = floor.mirror(repository)
    mirror.ensure()
    commit = mirror.fetch_target(repository.target)
    policy = policy_at(mirror, commit)
    paths = [path for path in mirror.files(commit, BLUEPRINT_DIRECTORY) if path.endswith((".yaml", ".yml"))]
    files = {path: text for path, text in mirror.read_each(commit, paths).items() if text is not None} if paths else {}
    try:
        catalog = Catalog.builtin().with_repository(files)
    except BlueprintError as error:
        raise InputError(f"{error}.", "Mend it on the target branch.") from error
    return Rules(commit, policy, catalog)
