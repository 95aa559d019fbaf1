"""The blueprints that a task may follow, and which one it does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from blueprints.conform import describe
from blueprints.errors import BlueprintError, ChoiceError, one_of
from blueprints.parse import parse_blueprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from blueprints.model import Blueprint

_PICK = "Choose one with --blueprint NAME"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A blueprint and where it is from.

    Attributes:
        blueprint: The blueprint.
        file: The file that declares it.
        built_in: Whether it comes with Shopfloor.
    """

    blueprint: Blueprint
    file: str
    built_in: bool


@dataclass(frozen=True)
class Catalog:
    """The built-in blueprints and those of one repository.

    Attributes:
        entries: Every blueprint by its name, in the order of names.
    """

    entries: Mapping[str, Entry]

    @classmethod
    def builtin(cls) -> Catalog:
        """Give the blueprints that come with Shopfloor."""
        return _library()

    def with_repository(self, files: Mapping[str, str | bytes]) -> Catalog:
        """Add a repository's blueprints; one that has the name of a built-in one takes its place.

        Args:
            files: The text of each blueprint file by its path.

        Returns:
            A new catalog.

        Raises:
            BlueprintError: A file is wrong, or two files declare the same name.
        """
        own: dict[str, Entry] = {}
        for file, text in sorted(files.items()):
            blueprint = parse_blueprint(text, file)
            if blueprint.name in own:
                raise BlueprintError(
                    file=file,
                    line=None,
                    key="name",
                    message=f"'{blueprint.name}' is declared by {own[blueprint.name].file} too",
                    expected="a name of its own",
                )
            own[blueprint.name] = Entry(blueprint=blueprint, file=file, built_in=False)
        return Catalog(dict(sorted({**self.entries, **own}.items())))

    def get(self, name: str) -> Blueprint:
        """Find a blueprint by its name.

        Raises:
            ChoiceError: There is none of that name; says which there are.
        """
        if name not in self.entries:
            raise ChoiceError(f"There is no blueprint named {describe(name)}.", f"Choose {one_of(name, self.entries)}.")
        return self.entries[name].blueprint

    def choose(self, *, name: str | None, labels: Iterable[str], title: str, default: str | None) -> Blueprint:
        """Choose the blueprint of a task.

        A name that was given decides. Otherwise a blueprint fits if all its labels are on the task (case does not
        count), or if its pattern is found in the title. Of those that fit, the one with the most labels wins; of
        equals, one whose title pattern fits; of equals, the repository's own. If none fits, the default decides.

        Args:
            name: The blueprint that was asked for, if any.
            labels: The task's labels.
            title: The task's title.
            default: The name of the blueprint for tasks that none fits.

        Returns:
            The blueprint.

        Raises:
            ChoiceError: The name or the default is unknown, several fit equally, or none fits and there is no default.
        """
        if name is not None:
            return self.get(name)
        folded = frozenset(label.casefold() for label in labels)
        ranks = {entry.blueprint.name: _rank(entry, folded, title) for entry in self.entries.values()}
        best = max(ranks.values(), default=_NO_FIT)
        if best > _NO_FIT:
            fitting = [each for each, rank in ranks.items() if rank == best]
            if len(fitting) > 1:
                listed = ", ".join(f"'{each}'" for each in fitting)
                raise ChoiceError(f"The blueprints {listed} fit this task equally.", f"{_PICK}.")
            return self.get(fitting[0])
        if default is None:
            listed = ", ".join(self.entries)
            raise ChoiceError(
                "No blueprint fits this task, and the repository has no default.",
                f"{_PICK} (one of {listed}), or set defaults.blueprint in .shopfloor/repo.yaml.",
            )
        return self._default(default)

    def _default(self, default: str) -> Blueprint:
        if default not in self.entries:
            raise ChoiceError(
                f"The repository's default blueprint '{default}' does not exist.",
                f"Set defaults.blueprint in .shopfloor/repo.yaml to {one_of(default, self.entries)}.",
            )
        return self.get(default)


_NO_FIT = (0, False, False)


def _rank(entry: Entry, labels: frozenset[str], title: str) -> tuple[int, bool, bool]:
    """Say how specifically a blueprint fits, as a value that sorts."""
    match = entry.blueprint.match
    by_labels = len(match.labels) if match.has_labels(labels) else 0
    by_title = match.has_title(title)
    return (by_labels, by_title, not entry.built_in) if by_labels or by_title else _NO_FIT


@cache
def _library() -> Catalog:
    entries: dict[str, Entry] = {}
    folder = resources.files("blueprints") / "library"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            blueprint = parse_blueprint(file.read_bytes(), f"blueprints/library/{file.name}")
            entries[blueprint.name] = Entry(blueprint=blueprint, file=f"blueprints/library/{file.name}", built_in=True)
    return Catalog(entries)
