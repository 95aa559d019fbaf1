"""How a change lands in a repository that belongs to somebody who works in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import GitError, InputError
from orchestrator.forge import Blocked, Change, Landed, Moved, Proposal
from orchestrator.forges.local import LocalForge
from orchestrator.forges.working_trees import WorkingTree
from orchestrator.git import Git
from orchestrator.mirror import Mirror
from tests.helpers.repositories import commit, commit_bare, git, make_repository, refs, tip
from tests.integration.git.conftest import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORGE = LocalForge()


def candidate(mirror: Mirror, files: Mapping[str, str | None], branch: str = "main") -> tuple[str, str]:
    """Make a commit in the mirror on top of the target, with some files written; return the target's tip and it."""
    base = mirror.fetch_target(branch)
    index = mirror.path.with_name("candidate.index")
    git_here = Git(mirror.path, index=index)
    git_here.run("read-tree", base)
    for name, content in files.items():
        if content is None:
            git_here.run("update-index", "--index-info", stdin=f"0 {'0' * 40}\t{name}\n".encode())
            continue
        blob = git_here.run("hash-object", "-w", "--stdin", stdin=content.encode()).decode().strip()
        git_here.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    tree = git_here.run("write-tree").decode().strip()
    index.unlink()
    return base, mirror.commit(tree, (base,), "Candidate", SIGNATURE)


def everything(root: Path) -> dict[str, bytes | str]:
    """Return all that lies in a working tree, git's own aside."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else "directory"
        for path in root.rglob("*")
        if ".git" not in path.relative_to(root).parts
    }


def land_untouched(mirror: Mirror, checkout: Path, base: str, made: str, branch: str = "main") -> str:
    """Land, expecting to be blocked with nothing changed anywhere; return the reason."""
    before = (everything(checkout), refs(checkout), git(checkout, "status", "--porcelain", "--ignored"))
    result = FORGE.land(mirror, branch, made, base)
    assert isinstance(result, Blocked), result
    assert (everything(checkout), refs(checkout), git(checkout, "status", "--porcelain", "--ignored")) == before
    return result.reason


def test_a_bare_repository_moves_by_compare_and_swap(mirror: Mirror, origin: Path) -> None:
    base, made = candidate(mirror, {"new": "new\n"})
    assert FORGE.land(mirror, "main", made, base) == Landed(made)
    assert tip(origin) == made
    assert FORGE.land(mirror, "main", made, base) == Landed(made)


def test_a_bare_repository_that_moved_says_where_to(mirror: Mirror, origin: Path) -> None:
    base, made = candidate(mirror, {"new": "new\n"})
    theirs = commit_bare(origin, {"theirs": "t\n"}, "Theirs")
    assert FORGE.land(mirror, "main", made, base) == Moved(theirs)
    assert tip(origin) == theirs


def test_a_candidate_that_drops_commits_is_refused(mirror: Mirror, origin: Path) -> None:
    base, made = candidate(mirror, {"new": "new\n"})
    FORGE.land(mirror, "main", made, base)
    with pytest.raises(InputError, match="does not descend"):
        FORGE.land(mirror, "main", base, made)
    assert tip(origin) == made


def test_a_clean_checkout_follows_with_its_files(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"a.txt": "changed\n", "new/file": "new\n", "docs/guide.md": None})
    (checkout / "mine.txt").write_text("untracked\n")
    (checkout / "my.log").write_text("ignored\n")
    assert FORGE.land(checkout_mirror, "main", made, base) == Landed(made)
    assert tip(checkout, "HEAD") == made
    assert git(checkout, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(checkout, "status", "--porcelain") == "?? mine.txt"
    assert (checkout / "a.txt").read_text() == "changed\n"
    assert (checkout / "my.log").read_text() == "ignored\n"
    assert list(refs(checkout)) == ["refs/heads/main"]
    assert not (checkout / ".git" / "FETCH_HEAD").exists()


@pytest.mark.usefixtures("hostile_configuration")
def test_a_users_configuration_does_not_change_how_it_lands(
    checkout: Path, checkout_mirror: Mirror, tmp_path: Path
) -> None:
    git(checkout, "config", "branch.main.mergeOptions", "--squash --no-commit")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    assert FORGE.land(checkout_mirror, "main", made, base) == Landed(made)
    assert (checkout / "new").is_file()
    assert not (tmp_path / "trace").exists()


def test_an_unsaved_change_blocks_even_where_the_candidate_does_not_touch_it(
    checkout: Path, checkout_mirror: Mirror
) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    (checkout / "a.txt").write_text("mine\n")
    reason = land_untouched(checkout_mirror, checkout, base, made)
    assert "a.txt" in reason
    assert "Commit or stash" in reason


def test_a_staged_change_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    (checkout / "staged name.txt").write_text("mine\n")
    git(checkout, "mv", "docs/guide.md", "docs/moved guide.md")
    git(checkout, "add", ".")
    reason = land_untouched(checkout_mirror, checkout, base, made)
    assert "staged name.txt" in reason
    assert "docs/moved guide.md" in reason


def test_many_dirty_files_are_counted_not_listed(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    for number in range(9):
        (checkout / f"f{number}").write_text("x")
    git(checkout, "add", ".")
    assert "and 4 more" in land_untouched(checkout_mirror, checkout, base, made)


def test_an_untracked_file_in_the_way_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    (checkout / "new").write_text("mine\n")
    assert "would overwrite new" in land_untouched(checkout_mirror, checkout, base, made)


def test_an_ignored_file_in_the_way_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"secrets.log": "new\n"})
    (checkout / "secrets.log").write_text("mine\n")
    assert "would overwrite secrets.log" in land_untouched(checkout_mirror, checkout, base, made)


def test_an_ignored_file_below_a_new_directory_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"cache/x": "new\n"})
    (checkout / "cache").mkdir()
    (checkout / "cache" / "x").write_text("mine\n")
    assert "cache/x" in land_untouched(checkout_mirror, checkout, base, made)


def test_an_untracked_or_ignored_directory_where_a_file_comes_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    (checkout / "new").mkdir()
    (checkout / "new" / "mine.log").write_text("mine\n")
    assert "new" in land_untouched(checkout_mirror, checkout, base, made)


def test_an_ignored_file_where_a_directory_comes_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"my.log/new": "new\n"})
    (checkout / "my.log").write_text("mine\n")
    assert "my.log" in land_untouched(checkout_mirror, checkout, base, made)


def test_a_file_that_git_was_told_to_think_unchanged_is_not_overwritten(
    checkout: Path, checkout_mirror: Mirror
) -> None:
    base, made = candidate(checkout_mirror, {"a.txt": "changed\n"})
    git(checkout, "update-index", "--assume-unchanged", "a.txt")
    (checkout / "a.txt").write_text("mine\n")
    assert "a.txt" in land_untouched(checkout_mirror, checkout, base, made)


def test_a_commit_that_the_user_made_first_wins(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    theirs = commit(checkout, {"a.txt": "mine\n"}, "Mine")
    assert FORGE.land(checkout_mirror, "main", made, base) == Moved(theirs)
    assert tip(checkout) == theirs


def test_a_commit_that_the_user_makes_while_we_look_wins(
    checkout: Path, checkout_mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    asked = Git.ask
    theirs = []

    def commit_just_before_the_merge(self: Git, *args: str, **options: object) -> object:
        if args[0] == "merge":
            theirs.append(commit(checkout, {"a.txt": "mine\n"}, "Mine"))
        return asked(self, *args, **options)  # type: ignore[arg-type] # handed on as it came

    monkeypatch.setattr(Git, "ask", commit_just_before_the_merge)
    assert FORGE.land(checkout_mirror, "main", made, base) == Moved(theirs[0])
    assert tip(checkout) == theirs[0]
    assert git(checkout, "status", "--porcelain") == ""


def test_a_switch_of_branches_while_we_look_is_told(
    checkout: Path, checkout_mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    asked = Git.ask

    def switch_just_before_the_merge(self: Git, *args: str, **options: object) -> object:
        if args[0] == "merge":
            git(checkout, "switch", "--quiet", "-c", "other")
        return asked(self, *args, **options)  # type: ignore[arg-type] # handed on as it came

    monkeypatch.setattr(Git, "ask", switch_just_before_the_merge)
    with pytest.raises(GitError, match="switched branches"):
        FORGE.land(checkout_mirror, "main", made, base)
    assert tip(checkout, "main") == base


@pytest.mark.parametrize("where", ["detached", "other branch"])
def test_a_target_that_is_not_checked_out_moves_and_the_files_stay(
    checkout: Path, checkout_mirror: Mirror, where: str
) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    git(checkout, "switch", "--quiet", *(["--detach"] if where == "detached" else ["-c", "mine"]))
    (checkout / "a.txt").write_text("mine\n")
    before = everything(checkout)
    assert FORGE.land(checkout_mirror, "main", made, base) == Landed(made)
    assert tip(checkout, "main") == made
    assert tip(checkout, "HEAD") == base
    assert everything(checkout) == before


def test_a_rebase_of_the_target_that_stopped_half_way_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    git(checkout, "branch", "upstream")
    commit(checkout, {"a.txt": "main\n"}, "Main")
    git(checkout, "switch", "--quiet", "upstream")
    commit(checkout, {"a.txt": "upstream\n"}, "Upstream")
    git(checkout, "switch", "--quiet", "main")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    git(checkout, "rebase", "upstream", ok=(1,))
    assert "a rebase of main is under way" in land_untouched(checkout_mirror, checkout, base, made)


def test_a_merge_that_is_not_concluded_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    git(checkout, "switch", "--quiet", "-c", "topic")
    commit(checkout, {"topic": "t\n"}, "Topic")
    git(checkout, "switch", "--quiet", "main")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    git(checkout, "merge", "--no-ff", "--no-commit", "topic")
    assert "a merge of main is under way" in land_untouched(checkout_mirror, checkout, base, made)


def test_another_git_at_work_blocks(checkout: Path, checkout_mirror: Mirror) -> None:
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    (checkout / ".git" / "index.lock").touch()
    assert "Another git command is at work" in land_untouched(checkout_mirror, checkout, base, made)


def test_a_linked_worktree_that_has_the_target_follows(tmp_path: Path, checkout: Path, checkout_mirror: Mirror) -> None:
    git(checkout, "switch", "--quiet", "-c", "mine")
    linked = tmp_path / "linked tree"
    git(checkout, "worktree", "add", "--quiet", str(linked), "main")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    (linked / "a.txt").write_text("mine\n")
    assert str(linked) in land_untouched(checkout_mirror, linked, base, made)
    git(linked, "checkout", "--quiet", "a.txt")
    assert FORGE.land(checkout_mirror, "main", made, base) == Landed(made)
    assert (linked / "new").is_file()
    assert not (checkout / "new").exists()


def test_a_worktree_of_a_bare_repository_that_has_the_target_follows(
    tmp_path: Path, origin: Path, mirror: Mirror
) -> None:
    linked = tmp_path / "linked"
    git(origin, "worktree", "add", "--quiet", str(linked), "main")
    base, made = candidate(mirror, {"new": "new\n"})
    assert FORGE.land(mirror, "main", made, base) == Landed(made)
    assert (linked / "new").is_file()


def test_a_worktree_that_has_the_target_and_is_not_there_blocks_until_it_is_given_up(
    tmp_path: Path, checkout: Path, checkout_mirror: Mirror
) -> None:
    git(checkout, "switch", "--quiet", "-c", "mine")
    git(checkout, "worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    (tmp_path / "linked").rename(tmp_path / "lost")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    assert "git worktree prune" in land_untouched(checkout_mirror, checkout, base, made)
    git(checkout, "worktree", "prune")
    assert FORGE.land(checkout_mirror, "main", made, base) == Landed(made)


def test_the_target_checked_out_twice_blocks(tmp_path: Path, checkout: Path, checkout_mirror: Mirror) -> None:
    git(checkout, "worktree", "add", "--quiet", "--force", str(tmp_path / "linked"), "main")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    assert "at once" in land_untouched(checkout_mirror, checkout, base, made)


def test_a_submodule_that_is_not_there_does_not_block(tmp_path: Path, checkout: Path, checkout_mirror: Mirror) -> None:
    inner = make_repository(tmp_path / "inner", {"x": "x\n"})
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    git(checkout, "commit", "--quiet", "-m", "Submodule")
    git(checkout, "submodule", "--quiet", "deinit", "--force", "sub")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    assert FORGE.land(checkout_mirror, "main", made, base) == Landed(made)
    assert git(checkout, "status", "--porcelain") == ""


def test_a_checkout_that_is_itself_a_submodule_follows(tmp_path: Path, checkout: Path) -> None:
    outer = make_repository(tmp_path / "outer", {"x": "x\n"})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout), "sub")
    mirror = _mirror(tmp_path, outer / "sub")
    base, made = candidate(mirror, {"new": "new\n"})
    assert FORGE.land(mirror, "main", made, base) == Landed(made)
    assert (outer / "sub" / "new").is_file()


def test_a_target_that_the_user_set_back_does_not_move(checkout: Path, checkout_mirror: Mirror) -> None:
    first = tip(checkout)
    commit(checkout, {"b.txt": "b\n"}, "More")
    base, made = candidate(checkout_mirror, {"new": "new\n"})
    Git(checkout / ".git", as_user=True).run("fetch", "--quiet", str(checkout_mirror.path), made)
    git(checkout, "reset", "--quiet", "--hard", first)
    assert WorkingTree(checkout, checkout / ".git", "main").advance(made, base) == Moved(first)
    assert FORGE.land(checkout_mirror, "main", made, base) == Moved(first)
    assert tip(checkout) == first


def test_two_landings_at_once_land_one(checkout: Path, checkout_mirror: Mirror) -> None:
    base, first = candidate(checkout_mirror, {"first": "1\n"})
    _, second = candidate(checkout_mirror, {"second": "2\n"})
    tree = WorkingTree(checkout, checkout / ".git", "main")
    Git(checkout / ".git", as_user=True).run("fetch", "--quiet", str(checkout_mirror.path), first, second)
    assert tree.advance(first, base) == Landed(first)
    assert tree.advance(second, base) == Moved(first)


def proposal(head: str, expected: str | None = None) -> Proposal:
    return Proposal("t-1", "shopfloor/t-1-fix", "main", head, expected, "Fix", "Body")


def test_a_change_is_a_branch_that_goes_with_it(checkout: Path, checkout_mirror: Mirror) -> None:
    _, made = candidate(checkout_mirror, {"new": "new\n"})
    change = FORGE.open_change(checkout_mirror, proposal(made))
    assert change == Change("t-1", f"{checkout}#shopfloor/t-1-fix", "shopfloor/t-1-fix")
    assert FORGE.open_change(checkout_mirror, proposal(made)) == change
    assert tip(checkout, "shopfloor/t-1-fix") == made
    FORGE.close_change(checkout_mirror, change, made)
    FORGE.close_change(checkout_mirror, change, made)
    assert "refs/heads/shopfloor/t-1-fix" not in refs(checkout)


def test_a_later_version_replaces_only_the_one_it_knew(checkout: Path, checkout_mirror: Mirror) -> None:
    _, first = candidate(checkout_mirror, {"new": "1\n"})
    _, second = candidate(checkout_mirror, {"new": "2\n"})
    assert isinstance(FORGE.open_change(checkout_mirror, proposal(first)), Change)
    assert FORGE.open_change(checkout_mirror, proposal(second)) == Moved(first)
    assert isinstance(FORGE.open_change(checkout_mirror, proposal(second, first)), Change)
    assert tip(checkout, "shopfloor/t-1-fix") == second


def test_a_branch_that_somebody_looks_at_stays_and_says_so(checkout: Path, checkout_mirror: Mirror) -> None:
    _, first = candidate(checkout_mirror, {"new": "1\n"})
    _, second = candidate(checkout_mirror, {"new": "2\n"})
    change = FORGE.open_change(checkout_mirror, proposal(first))
    assert isinstance(change, Change)
    git(checkout, "switch", "--quiet", "shopfloor/t-1-fix")
    blocked = FORGE.open_change(checkout_mirror, proposal(second, first))
    assert isinstance(blocked, Blocked)
    assert str(checkout) in blocked.reason
    FORGE.close_change(checkout_mirror, change, first)
    assert tip(checkout, "shopfloor/t-1-fix") == first


def _mirror(tmp_path: Path, url: Path) -> Mirror:
    made = Mirror(tmp_path / "state" / "other.git", str(url))
    made.ensure()
    return made
