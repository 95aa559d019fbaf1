"""What a mirror tells of commits, and makes of them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from orchestrator.commits import ChangeKind, Conflict, FileChange, Merge
from orchestrator.errors import GitError, InputError
from tests.helpers.repositories import commit, git, show, tip
from tests.integration.git.conftest import FILES, SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.mirror import Mirror


@pytest.fixture
def base(checkout_mirror: Mirror) -> str:
    return checkout_mirror.fetch_target("main")


def test_a_file_is_read_as_it_is_stored_and_a_missing_one_is_none(checkout_mirror: Mirror, base: str) -> None:
    assert checkout_mirror.read(base, "a.txt") == FILES["a.txt"].encode()
    assert checkout_mirror.read(base, "docs") is None
    assert checkout_mirror.read_each(base, ("gone", "docs/guide.md")) == {"gone": None, "docs/guide.md": b"# Guide\n"}


def test_a_file_of_an_unknown_commit_is_an_error_not_a_missing_file(checkout_mirror: Mirror) -> None:
    with pytest.raises(GitError, match="is not in this mirror"):
        checkout_mirror.read("1" * 40, "a.txt")


def test_files_are_listed_at_and_under_a_path(checkout_mirror: Mirror, base: str) -> None:
    assert checkout_mirror.files(base) == [".gitignore", "a.txt", "docs/guide.md"]
    assert checkout_mirror.files(base, "docs") == ["docs/guide.md"]
    assert checkout_mirror.files(base, "a") == []


def test_an_export_is_byte_for_byte_whatever_the_attributes_say(
    tmp_path: Path, checkout: Path, checkout_mirror: Mirror
) -> None:
    (checkout / "tool.sh").write_text("#!/bin/sh\n")
    (checkout / "tool.sh").chmod(0o755)
    (checkout / "link").symlink_to("docs/guide.md")
    commit(checkout, {".gitattributes": "docs export-ignore\n* text eol=crlf\n"}, "Attributes")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "Tool")
    head = checkout_mirror.fetch_target("main")
    out = tmp_path / "out"
    checkout_mirror.export(head, ("docs", "tool.sh", "link", "gone"), out)
    assert sorted(path.name for path in out.iterdir()) == ["docs", "link", "tool.sh"]
    assert (out / "docs" / "guide.md").read_bytes() == b"# Guide\n"
    assert (out / "tool.sh").stat().st_mode & stat.S_IXUSR
    assert (out / "link").readlink() == (checkout / "link").readlink()


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside"])
def test_an_export_refuses_a_link_that_points_outside(
    tmp_path: Path, checkout: Path, checkout_mirror: Mirror, target: str
) -> None:
    (checkout / "link").symlink_to(target)
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "Link")
    with pytest.raises(InputError, match="link that points outside"):
        checkout_mirror.export(checkout_mirror.fetch_target("main"), ("link",), tmp_path / "out")


def test_changes_count_lines_and_name_a_rename_at_both_its_paths(
    checkout: Path, checkout_mirror: Mirror, base: str
) -> None:
    (checkout / "blob").write_bytes(b"\0\1\2")
    (checkout / "link").symlink_to("a.txt")
    git(checkout, "mv", "docs/guide.md", "docs/manual\nof us.md")
    git(checkout, "add", ".")
    commit(checkout, {"a.txt": "one\n2\n"}, "Much")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--amend", "-m", "Much")
    head = checkout_mirror.fetch_target("main")
    assert checkout_mirror.changes(base, head) == (
        FileChange("a.txt", 1, 2, binary=False, kind=ChangeKind.MODIFIED, mode="100644"),
        FileChange("blob", 0, 0, binary=True, kind=ChangeKind.ADDED, mode="100644"),
        FileChange("docs/guide.md", 0, 1, binary=False, kind=ChangeKind.DELETED, mode="000000"),
        FileChange("docs/manual\nof us.md", 1, 0, binary=False, kind=ChangeKind.ADDED, mode="100644"),
        FileChange("link", 1, 0, binary=False, kind=ChangeKind.ADDED, mode="120000"),
    )
    assert checkout_mirror.changes(base, base) == ()


def test_an_attribute_hides_no_line_from_the_count_or_the_patch(
    checkout: Path, checkout_mirror: Mirror, base: str
) -> None:
    head = commit(checkout, {".gitattributes": "*.py -diff binary\n", "x.py": "evil = True\n"}, "Hide")
    checkout_mirror.fetch_target("main")
    by_path = {change.path: change for change in checkout_mirror.changes(base, head)}
    assert (by_path["x.py"].added, by_path["x.py"].binary) == (1, False)
    assert b"+evil = True" in checkout_mirror.patch(base, head, 10_000)


def test_a_path_that_is_no_utf8_comes_through(checkout: Path, checkout_mirror: Mirror, base: str) -> None:
    name = os.fsdecode(b"caf\xe9")
    (checkout / name).write_text("x\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "Latin")
    head = checkout_mirror.fetch_target("main")
    assert [change.path for change in checkout_mirror.changes(base, head)] == [name]
    assert checkout_mirror.read(head, name) == b"x\n"


def test_a_long_patch_is_cut_behind_a_whole_line(checkout: Path, checkout_mirror: Mirror, base: str) -> None:
    head = commit(checkout, {"long": "line\n" * 1000}, "Long")
    checkout_mirror.fetch_target("main")
    patch = checkout_mirror.patch(base, head, 500)
    assert len(patch) < 600
    assert patch.endswith(b"\n+line\n[cut here: the patch is longer]\n")


def test_a_clean_merge_is_the_same_commit_every_time_with_tip_and_head_as_parents(
    checkout: Path, checkout_mirror: Mirror, base: str
) -> None:
    ours = commit(checkout, {"ours": "o\n"}, "Ours")
    git(checkout, "switch", "--quiet", "-c", "topic", base)
    theirs = commit(checkout, {"theirs": "t\n"}, "Theirs")
    checkout_mirror.fetch_target("main")
    checkout_mirror.fetch_target("topic")
    merged = checkout_mirror.merge(ours, theirs, "Merge $(it) — 'all'\n\nBody", SIGNATURE)
    assert isinstance(merged, Merge)
    assert checkout_mirror.merge(ours, theirs, "Merge $(it) — 'all'\n\nBody", SIGNATURE) == merged
    assert git(checkout_mirror.path, "show", "--no-patch", "--format=%P|%an|%ae|%at|%ct|%s", merged.commit) == (
        f"{ours} {theirs}|Shopfloor|shopfloor@example.invalid|1767323045|1767323045|Merge $(it) — 'all'"
    )
    assert checkout_mirror.files(merged.commit) == [".gitignore", "a.txt", "docs/guide.md", "ours", "theirs"]
    assert checkout_mirror.is_ancestor(ours, merged.commit)
    assert not checkout_mirror.is_ancestor(merged.commit, ours)


def test_a_conflict_names_its_paths_and_shows_both_sides(checkout: Path, checkout_mirror: Mirror, base: str) -> None:
    ours = commit(checkout, {"a.txt": "one\nOURS\nthree\n", "docs/guide.md": "# Ours\n"}, "Ours")
    git(checkout, "switch", "--quiet", "-c", "topic", base)
    theirs = commit(checkout, {"a.txt": "one\nTHEIRS\nthree\n", "docs/guide.md": None}, "Theirs")
    checkout_mirror.fetch_target("main")
    checkout_mirror.fetch_target("topic")
    conflict = checkout_mirror.merge(ours, theirs, "m", SIGNATURE)
    assert isinstance(conflict, Conflict)
    assert conflict.paths == ("a.txt", "docs/guide.md")
    assert "Merge conflict in a.txt" in conflict.text
    assert "deleted in" in conflict.text
    assert "OURS" in conflict.text
    assert "+THEIRS" in conflict.text


def test_merging_an_unknown_commit_is_an_error_not_a_conflict(checkout_mirror: Mirror, base: str) -> None:
    with pytest.raises(GitError, match="merge-tree"):
        checkout_mirror.merge(base, "1" * 40, "m", SIGNATURE)


def test_a_replaced_object_is_not_looked_at(checkout: Path, checkout_mirror: Mirror, base: str) -> None:
    other = commit(checkout, {"a.txt": "other\n"}, "Other")
    checkout_mirror.fetch_target("main")
    git(checkout_mirror.path, "replace", base, other)
    assert checkout_mirror.read(base, "a.txt") == FILES["a.txt"].encode()
    assert show(checkout_mirror.path, base, "a.txt") == "other"
    assert tip(checkout) == other
