"""How a mirror exchanges commits with its repository."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import GitError, InputError, NotFoundError
from orchestrator.mirror import Merge, Mirror
from tests.helpers.repositories import commit, commit_bare, git, make_bare, make_repository, refs, tip
from tests.integration.git.conftest import SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path


def fetch_elsewhere(path: Path, url: str) -> str:
    mirror = Mirror(path, url)
    mirror.ensure()
    return mirror.fetch_target("main")


def test_several_processes_make_and_fetch_one_mirror_at_once(tmp_path: Path, origin: Path) -> None:
    path = tmp_path / "state" / "shared.git"
    with get_context("spawn").Pool(4) as pool:
        tips = pool.starmap(fetch_elsewhere, [(path, str(origin))] * 8)
    assert set(tips) == {tip(origin)}
    assert [left.name for left in path.parent.glob(".new-*")] == []


def test_threads_that_fetch_a_new_commit_at_once_all_get_it(mirror: Mirror, origin: Path) -> None:
    mirror.fetch_target("main")
    new = commit_bare(origin, {"b.txt": "b\n"}, "More")
    with ThreadPoolExecutor(6) as pool:
        tips = list(pool.map(lambda _: mirror.fetch_target("main"), range(12)))
    assert set(tips) == {new}


def test_the_mirror_names_no_url_anywhere(mirror: Mirror, origin: Path) -> None:
    mirror.fetch_target("main")
    named = [file for file in mirror.path.rglob("*") if file.is_file() and bytes(origin) in file.read_bytes()]
    assert named == []
    assert git(mirror.path, "remote") == ""


def test_fetching_follows_a_forced_push(mirror: Mirror, origin: Path) -> None:
    first = mirror.fetch_target("main")
    commit_bare(origin, {"b.txt": "b\n"}, "More")
    mirror.fetch_target("main")
    git(origin, "update-ref", "refs/heads/main", first)
    assert mirror.fetch_target("main") == first
    assert refs(mirror.path)["refs/shopfloor/target/main"] == first


def test_a_ref_that_an_agent_rewrote_in_the_mirror_does_not_count(mirror: Mirror, origin: Path) -> None:
    first = mirror.fetch_target("main")
    new = commit_bare(origin, {"b.txt": "b\n"}, "More")
    mirror.fetch_target("main")
    git(mirror.path, "update-ref", "refs/shopfloor/target/main", first)
    assert mirror.fetch_target("main") == new


def test_a_url_that_is_no_path_is_fetched_and_pushed_too(tmp_path: Path, origin: Path) -> None:
    remote = Mirror(tmp_path / "state" / "remote.git", f"file://{origin}")
    remote.local = None  # as if on another machine
    remote.ensure()
    first = remote.fetch_target("main")
    assert first == tip(origin)
    assert remote.push("refs/heads/topic", first, None)
    assert remote.seen("refs/heads/topic") == first
    with pytest.raises(NotFoundError):
        remote.fetch_target("gone")


def test_a_missing_branch_is_said_with_those_there_are(mirror: Mirror) -> None:
    with pytest.raises(NotFoundError, match="no branch 'develop'; it has main"):
        mirror.fetch_target("develop")


def test_an_empty_repository_is_said_to_be_empty(tmp_path: Path) -> None:
    empty = make_bare(tmp_path / "empty.git", {})
    mirror = Mirror(tmp_path / "mirror.git", str(empty))
    mirror.ensure()
    with pytest.raises(InputError, match="has no commit yet"):
        mirror.fetch_target("main")


@pytest.mark.parametrize("url", ["/nowhere/at/all", "https://user:secret@localhost:1/x.git", "ext::sh -c 'echo hi'"])
def test_a_repository_that_cannot_be_reached_is_said_so_with_a_remedy(tmp_path: Path, url: str) -> None:
    mirror = Mirror(tmp_path / "mirror.git", url)
    mirror.ensure()
    with pytest.raises(GitError) as caught:
        mirror.fetch_target("main")
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "--upload-pack=touch /tmp/x"])
def test_a_url_that_is_an_option_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError):
        Mirror(tmp_path / "mirror.git", url)


def test_a_shallow_checkout_can_be_mirrored_and_pushed_to(tmp_path: Path, origin: Path) -> None:
    commit_bare(origin, {"b.txt": "b\n"}, "More")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", "shallow")
    mirror = Mirror(tmp_path / "mirror.git", str(tmp_path / "shallow"))
    mirror.ensure()
    head = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(head), (head,), "On top", SIGNATURE)
    assert mirror.push("refs/heads/topic", made, None)


def test_a_checkpoint_is_fetched_by_its_ref_and_still_once_the_ref_has_moved_on(tmp_path: Path, mirror: Mirror) -> None:
    base = mirror.fetch_target("main")
    ref = "refs/shopfloor/checkpoints/t-1"
    first = mirror.commit(mirror.tree(base), (base,), "First", SIGNATURE)
    second = mirror.commit(mirror.tree(base), (first,), "Second", SIGNATURE)
    assert mirror.push(ref, second, None)
    elsewhere = Mirror(tmp_path / "elsewhere.git", mirror.url)
    elsewhere.ensure()
    elsewhere.fetch_commit(ref, first)
    assert elsewhere.has(first)
    assert elsewhere.has(second)
    with pytest.raises(GitError):
        elsewhere.fetch_commit(ref, "1" * 40)


def test_of_two_racing_pushes_exactly_one_wins(mirror: Mirror, origin: Path) -> None:
    base = mirror.fetch_target("main")
    made = [mirror.commit(mirror.tree(base), (base,), f"Racer {number}", SIGNATURE) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda sha: mirror.push("refs/heads/main", sha, base), made))
    assert won.count(True) == 1
    assert tip(origin) == made[won.index(True)]


def test_of_two_racing_first_pushes_exactly_one_wins(mirror: Mirror, origin: Path) -> None:
    base = mirror.fetch_target("main")
    made = [mirror.commit(mirror.tree(base), (base,), f"Racer {number}", SIGNATURE) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda sha: mirror.push("refs/heads/topic", sha, None), made))
    assert won.count(True) == 1
    assert tip(origin, "topic") == made[won.index(True)]


def test_a_push_asked_again_after_its_answer_was_lost_is_still_won(mirror: Mirror) -> None:
    base = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(base), (base,), "On top", SIGNATURE)
    assert mirror.push("refs/heads/main", made, base)
    assert mirror.push("refs/heads/main", made, base)


def test_a_hook_of_the_repository_that_says_no_is_an_error_in_its_own_words(mirror: Mirror, origin: Path) -> None:
    base = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(base), (base,), "On top", SIGNATURE)
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError, match="not on a Friday"):
        mirror.push("refs/heads/main", made, base)
    assert tip(origin) == base


def test_a_ref_is_deleted_only_where_it_was_expected(mirror: Mirror, origin: Path) -> None:
    base = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(base), (base,), "On top", SIGNATURE)
    assert mirror.push("refs/heads/topic", made, None)
    assert not mirror.delete("refs/heads/topic", base)
    assert mirror.delete("refs/heads/topic", made)
    assert mirror.delete("refs/heads/topic", made)
    assert "refs/heads/topic" not in refs(origin)


@pytest.mark.parametrize("prefix", ["refs/shopfloor/kept/", "refs/heads/"])
def test_several_refs_are_deleted_each_where_it_was_expected(mirror: Mirror, origin: Path, prefix: str) -> None:
    base = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(base), (base,), "On top", SIGNATURE)
    kept, moved, gone = (f"{prefix}{name}" for name in ("kept", "moved", "gone"))
    for ref in (kept, moved):
        assert mirror.push(ref, made, None)
    assert not mirror.delete_each({kept: made, moved: base, gone: base})
    assert {kept, gone} & refs(origin).keys() == set()
    assert refs(origin)[moved] == made
    assert mirror.delete_each({moved: made})
    assert moved not in refs(origin)
    assert mirror.delete_each({})


def test_refs_of_ours_are_deleted_whatever_hooks_say_of_pushes(mirror: Mirror, origin: Path) -> None:
    made = mirror.fetch_target("main")
    assert mirror.push("refs/shopfloor/kept", made, None)
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert mirror.delete_each({"refs/shopfloor/kept": made})
    assert "refs/shopfloor/kept" not in refs(origin)


def test_a_target_that_was_landed_from_here_is_not_fetched(mirror: Mirror, origin: Path) -> None:
    base = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(base), (base,), "On top", SIGNATURE)
    assert mirror.push("refs/heads/main", made, base)
    mirror._fetch = pytest.fail  # type: ignore[method-assign, assignment]
    assert mirror.fetch_target("main") == made == tip(origin)
    assert refs(mirror.path)["refs/shopfloor/target/main"] == made


def test_only_refs_of_our_own_are_kept_in_the_mirror(mirror: Mirror) -> None:
    base = mirror.fetch_target("main")
    mirror.remember("refs/shopfloor/checkpoints/t-1", base)
    assert refs(mirror.path)["refs/shopfloor/checkpoints/t-1"] == base
    mirror.forget("refs/shopfloor/checkpoints/t-1")
    assert "refs/shopfloor/checkpoints/t-1" not in refs(mirror.path)
    with pytest.raises(InputError):
        mirror.remember("refs/heads/main", base)


def test_what_an_agent_configured_in_the_mirror_is_not_obeyed(tmp_path: Path, mirror: Mirror, origin: Path) -> None:
    base = mirror.fetch_target("main")
    trace = tmp_path / "ran"
    (mirror.path / "info").mkdir(exist_ok=True)
    (mirror.path / "info" / "attributes").write_text("* merge=evil diff=evil filter=evil\n")
    git(mirror.path, "config", "merge.evil.driver", f"touch {trace}")
    git(mirror.path, "config", "diff.evil.textconv", f"touch {trace}")
    git(mirror.path, "config", f"url.{tmp_path}/elsewhere.insteadOf", str(origin))
    git(mirror.path, "config", "core.sshCommand", f"touch {trace}")
    work = make_repository(tmp_path / "work", {})
    git(work, "pull", "--quiet", str(origin), "main")
    ours, theirs = (commit(work, {"a.txt": text}, text) for text in ("1\n", "2\n"))
    git(work, "push", "--quiet", str(origin), f"{ours}:refs/heads/ours", f"{theirs}:refs/heads/theirs")
    mirror.fetch_commit("refs/heads/ours", ours)
    mirror.fetch_commit("refs/heads/theirs", theirs)
    mirror.patch(ours, theirs, 1000)
    assert isinstance(mirror.merge(ours, theirs, "m", SIGNATURE), Merge)
    assert mirror.push("refs/heads/main", ours, base)
    assert not trace.exists()
    assert "evil" not in (mirror.path / "config").read_text()


@pytest.mark.usefixtures("hostile_configuration")
def test_a_users_configuration_does_not_get_in_the_way(mirror: Mirror, tmp_path: Path, origin: Path) -> None:
    base = mirror.fetch_target("main")
    made = mirror.commit(mirror.tree(base), (base,), "On top", SIGNATURE)
    assert mirror.push("refs/heads/main", made, base)
    assert tip(origin) == made
    assert mirror.patch(base, made, 1000) == b""
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("lost", [("HEAD",), ("HEAD", "refs"), ("objects",), ("HEAD", "refs", "objects")])
def test_a_mirror_that_somebody_broke_is_mended(mirror: Mirror, origin: Path, lost: tuple[str, ...]) -> None:
    mirror.fetch_target("main")
    for name in lost:
        part = mirror.path / name
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    mirror.ensure()
    assert mirror.fetch_target("main") == tip(origin)
    assert mirror.has(tip(origin))


@pytest.mark.parametrize("name", ["config", "config.worktree", "info/attributes"])
def test_a_directory_in_the_place_of_a_file_of_the_mirror_is_taken_away(
    mirror: Mirror, origin: Path, name: str
) -> None:
    (mirror.path / name).unlink(missing_ok=True)
    (mirror.path / name / "below").mkdir(parents=True)
    assert mirror.fetch_target("main") == tip(origin)


def test_a_lock_that_a_killed_git_left_in_the_mirror_does_not_keep_it_shut(mirror: Mirror, origin: Path) -> None:
    mirror.fetch_target("main")
    new = commit_bare(origin, {"b.txt": "b\n"}, "More")
    lock = mirror.path / "refs/shopfloor/target/main.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    assert mirror.fetch_target("main") == new
    assert not lock.exists()


def test_a_lock_of_this_moment_is_left_to_its_owner(mirror: Mirror, origin: Path) -> None:
    mirror.fetch_target("main")
    commit_bare(origin, {"b.txt": "b\n"}, "More")
    lock = mirror.path / "refs/shopfloor/target/main.lock"
    lock.touch()
    with pytest.raises(GitError):
        mirror.fetch_commit("refs/shopfloor/target/main", "0" * 40)
    assert lock.exists()


def test_a_fetch_waits_for_a_worktree_that_is_just_being_made(tmp_path: Path, mirror: Mirror, origin: Path) -> None:
    """Its HEAD is all zeros until git has made it, and a fetch that looks through all HEADs stumbles over that."""
    git(mirror.path, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), mirror.fetch_target("main"))
    head = mirror.path / "worktrees" / "tree" / "HEAD"
    made = head.read_text("ascii")
    head.write_text("0" * 40 + "\n", "ascii")
    newer = commit_bare(origin, {"more.txt": "more\n"}, "More")
    finish = threading.Timer(0.05, head.write_text, (made, "ascii"))
    finish.start()
    try:
        assert mirror.fetch_target("main") == newer
    finally:
        finish.join()
