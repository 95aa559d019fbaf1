"""The scope of a task: the paths it may write, and whether two scopes ever meet.

Two tasks whose scopes meet never run at once. Scopes meet exactly when some path is covered by both; the language of
their patterns is that of `orchestrator.domain.pattern`, and `orchestrator.domain.glob` says what a path is. (A file `a`
of one and `a/b` of another are two paths: if neither scope names all of `a`, landing finds that out, not the scope.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.domain.glob import Glob, compile_glob, path_segments, share_a_path
from orchestrator.domain.pattern import read_pattern
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PATTERNS = 200


def normalise(patterns: Iterable[str], *, fold: bool = False) -> tuple[str, ...]:
    """Check patterns and give the canonical ones that cover the same paths.

    Args:
        patterns: At most 200, as a person wrote them.
        fold: Whether names are compared without case.

    Returns:
        Sorted; braces written out; without duplicates and without what lies beneath a directory that is in it anyway.
        At most 200, of 1,024 characters each. Normalising it again changes nothing.

    Raises:
        InputError: there is no pattern, there are too many, or one of them cannot be read.
    """
    if isinstance(patterns, str):
        raise InputError(f"A scope is a list of patterns, not the text {patterns!r}.", "Put it in a list.")
    distinct: set[str] = set()
    for count, pattern in enumerate(patterns, start=1):
        distinct.update(read_pattern(pattern))
        if max(count, len(distinct)) > MAX_PATTERNS:
            raise InputError(
                f"A scope has more than {MAX_PATTERNS} patterns, with braces written out.",
                "Name the directories that hold them.",
            )
    if not distinct:
        raise InputError("A scope has no pattern.", "Name at least one, or write ** for the whole tree.")
    globs = {pattern: compile_glob(pattern, fold=fold) for pattern in sorted(distinct)}
    for pattern, glob in globs.items():
        if glob.matches_nothing:
            raise InputError(
                f"The scope pattern {pattern!r} names what no path of a repository can be.",
                "Write a path relative to the root of the repository, without .. and .git.",
            )
    trees = {glob.prefix: pattern for pattern, glob in globs.items() if glob.whole_beneath}
    return tuple(pattern for pattern, glob in globs.items() if not _lies_beneath(pattern, glob, trees))


@dataclass(frozen=True, slots=True)
class Scope:
    """The paths that a task may write.

    Args:
        patterns: Normalised when the scope is made; see `normalise`.
        fold: Whether names are compared without case, one character for one, as a repository for file systems that
            ignore case must. Only scopes with the same `fold` can be compared.
    """

    patterns: tuple[str, ...]
    fold: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", normalise(self.patterns, fold=self.fold))

    @classmethod
    def of(cls, patterns: Iterable[str], *, fold: bool = False) -> Scope:
        """Make a scope of patterns as a person wrote them.

        Raises:
            InputError: there is no pattern, there are too many, or one of them cannot be read.
        """
        return cls(normalise(patterns, fold=fold), fold)

    @property
    def whole_tree(self) -> bool:
        """Whether it covers every path by a single pattern, `**`."""
        return "**" in self.patterns

    def covers(self, path: str) -> bool:
        """Whether a path is in the scope; never for what git cannot store, such as `../x` or `.git/config`."""
        segments = path_segments(path, fold=self.fold)
        return segments is not None and any(glob.matches(segments) for glob in self._globs())

    def meets(self, other: Scope) -> bool:
        """Whether some path is in both scopes; exact, and the same from either side.

        Raises:
            ValueError: one scope compares names with case and the other without.
        """
        if self.fold != other.fold:
            raise ValueError("a scope that folds case cannot be compared with one that does not")
        theirs = other._globs()
        return any(share_a_path(mine, their) for mine in self._globs() for their in theirs)

    def prefixes(self) -> tuple[tuple[str, ...], ...]:
        """Give the node of the path tree at which each pattern's lock sits, in the order of `patterns`.

        The node is the pattern's leading segments without wildcards (folded where the scope folds); `()` is the root.
        If two patterns share a path, one's node is the other's or above it, for both are at or above that path: so the
        nodes on the way up, and those beneath, are all that a claim has to look at (Gray et al. 1976, "Granularity of
        Locks and Degrees of Consistency in a Shared Data Base").
        """
        return tuple(glob.prefix for glob in self._globs())

    def _globs(self) -> tuple[Glob, ...]:
        return tuple(compile_glob(pattern, fold=self.fold) for pattern in self.patterns)


def outside(scope: Scope, paths: Iterable[str]) -> list[str]:
    """Give the paths that a scope does not cover, in their order."""
    return [path for path in paths if not scope.covers(path)]


def _lies_beneath(pattern: str, glob: Glob, trees: dict[tuple[str, ...], str]) -> bool:
    """Whether another pattern covers the whole tree that this one's paths are in."""
    above = (glob.prefix[:depth] for depth in range(len(glob.prefix) + 1))
    return any(trees.get(node, pattern) != pattern for node in above)
