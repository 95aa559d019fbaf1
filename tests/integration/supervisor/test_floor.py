"""`init`, `up`, `down` and `doctor` as a person gives them, on a repository of the test's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator
from orchestrator.place import read_fleet
from tests.helpers.repositories import git, make_repository
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psutil

    from tests.integration.supervisor.conftest import Census

_SHOPFLOOR = (sys.executable, "-P", "-m", "orchestrator.cli")


class Desk:
    """A person's checkout, home directory and terminal."""

    def __init__(self, directory: Path, census: Census) -> None:
        self.census = census
        self.home = directory / "home"
        self.home.mkdir()
        self.checkout = make_repository(directory / "repo", {"a.txt": "1\n"})
        said = {name: value for name, value in census.environment.items() if not name.startswith(("SHOPFLOOR_", "XDG"))}
        said |= {"HOME": str(self.home), "PYTHONPATH": str(Path(orchestrator.__file__).parent.parent)}
        self.environment = said | {"SHOPFLOOR_HOST": "here"}

    @property
    def state(self) -> Path:
        (found,) = (self.home / ".local/state/shopfloor/fleets").iterdir()
        return found

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Give a command and wait for its end."""
        return subprocess.run(
            [*_SHOPFLOOR, *words],
            cwd=self.checkout,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def ask(self, *words: str) -> Any:  # noqa: ANN401 - what a command prints as JSON
        """Give a command that has to succeed, and read the JSON that it prints."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Give a command as a terminal would: as the leader of a group that a Ctrl-C reaches as a whole."""
        return subprocess.Popen(
            [*_SHOPFLOOR, *words],
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def pid(self) -> int:
        """The process id of the `up` that runs."""
        pid = read_fleet("f", self.state).pid
        assert pid is not None
        return pid


@pytest.fixture
def desk(tmp_path: Path, census: Census) -> Iterator[Desk]:
    made = Desk(tmp_path, census)
    yield made
    made.run("down")


@pytest.fixture
def ready_desk(desk: Desk) -> Desk:
    desk.run("init")
    git(desk.checkout, "add", "--all")
    git(desk.checkout, "commit", "--quiet", "--message", "Add Shopfloor")
    return desk


def test_a_fleet_comes_up_in_the_background_takes_tasks_and_leaves_nothing(ready_desk: Desk) -> None:
    up = ready_desk.run("up", "--detach", "--agents", "2", "--capability", "gpu")
    assert up.returncode == 0, up.stderr
    assert "shopfloor submit" in up.stdout
    (host,) = ready_desk.ask("hosts")
    assert (host["name"], host["slots"], host["capabilities"]) == ("here", 2, ["gpu"])

    again = ready_desk.run("up", "--detach")
    assert again.returncode == 1
    assert f"Already up (pid {ready_desk.pid()})" in again.stderr
    assert "shopfloor down" in again.stderr

    down = ready_desk.run("down")
    assert (down.returncode, ready_desk.census.alive()) == (0, [])
    again = ready_desk.run("down")
    assert again.returncode == 0
    assert "Nothing" in again.stdout
    assert git(ready_desk.checkout, "status", "--porcelain", "--ignored") == ""
    assert [path.name for path in ready_desk.home.iterdir()] == [".local"]
    assert ready_desk.run("hosts").returncode == 3


def test_a_fleet_keeps_its_tasks_and_its_token_from_one_up_to_the_next(ready_desk: Desk) -> None:
    assert ready_desk.run("up", "--detach").returncode == 0
    before = read_fleet("f", ready_desk.state)
    ready_desk.run("halt", "--why", "a test")
    ready_desk.run("submit", "Say hello")
    ready_desk.run("down")
    assert ready_desk.run("up", "--detach").returncode == 0
    after = read_fleet("f", ready_desk.state)
    assert (after.redis_url, after.token) == (before.redis_url, before.token)
    assert [each["title"] for each in ready_desk.ask("tasks")] == ["Say hello"]


def test_a_second_host_joins_and_leaves_with_the_fleet(ready_desk: Desk) -> None:
    assert ready_desk.run("up", "--no-control", "--detach", "--host", "other").returncode == 3
    assert ready_desk.run("up", "--detach", "--agents", "1").returncode == 0
    assert ready_desk.run("up", "--no-control", "--detach").returncode == 1
    joined = ready_desk.run("up", "--no-control", "--detach", "--host", "other", "--agents", "1")
    assert joined.returncode == 0, joined.stderr
    assert [each["name"] for each in ready_desk.ask("hosts")] == ["here", "other"]
    ready_desk.run("down")
    assert ready_desk.census.alive() == []


def test_everything_dies_with_a_supervisor_that_is_killed_and_up_works_again(ready_desk: Desk) -> None:
    assert ready_desk.run("up", "--detach", "--agents", "1").returncode == 0
    os.kill(ready_desk.pid(), signal.SIGKILL)
    ready_desk.census.nobody()
    assert ready_desk.run("hosts").returncode == 3
    assert "Nothing" in ready_desk.run("down").stdout
    assert ready_desk.run("up", "--detach", "--agents", "1").returncode == 0


def _began(desk: Desk) -> bool:
    return bool(desk.census.alive())


def _wrote(name: str) -> Callable[[Desk], bool]:
    return lambda desk: any(desk.home.glob(f".local/state/shopfloor/fleets/*/{name}"))


@pytest.mark.parametrize("words", [("up", "--agents", "1"), ("up", "--agents", "1", "--detach")], ids=" ".join)
@pytest.mark.parametrize(
    "moment",
    [_began, _wrote("run/up.lock"), _wrote("logs/redis.log"), _wrote("logs/control.log"), _wrote("run/control.ready")],
    ids=["begun", "held", "redis", "workers", "control"],
)
def test_ctrl_c_during_the_start_leaves_nothing(
    ready_desk: Desk, words: tuple[str, ...], moment: Callable[[Desk], bool]
) -> None:
    with ready_desk.begin(*words) as child:
        eventually(lambda: moment(ready_desk) or child.poll() is not None, "the moment", 30)
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(30) != 0
        assert ready_desk.census.alive() == []


def test_ctrl_c_ends_a_fleet_in_the_foreground_and_a_crashed_worker_comes_back(ready_desk: Desk) -> None:
    with ready_desk.begin("up", "--agents", "1") as child:
        eventually(lambda: any(ready_desk.home.rglob("fleet.json")), "a record", 30)
        eventually(lambda: read_fleet("f", ready_desk.state).redis_url, "a fleet that is up", 60)
        ready = ready_desk.state / "run" / "control.ready"
        ready.unlink()
        (worker,) = _mains(ready_desk, "control@here")
        worker.kill()
        eventually(ready.exists, "a worker that was started again", 30)
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(60) == 0
    assert ready_desk.census.alive() == []


def _mains(desk: Desk, word: str) -> list[psutil.Process]:
    """Workers' main processes: those whose parent is a guard."""
    named = [each for each in desk.census.alive() if word in each.cmdline()]
    parents = {each.pid: each.parent() for each in named}
    return [each for each in named if "-m" in each.cmdline() and "guard.py" in " ".join(_words(parents[each.pid]))]


def _words(found: psutil.Process | None) -> list[str]:
    return found.cmdline() if found else []


def test_a_port_that_is_taken_is_told_before_anything_starts(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = desk.run("up", "--detach", "--port", str(port))
    assert up.returncode == 1
    assert f"Port {port} is taken." in up.stderr
    assert desk.census.alive() == []


def test_a_redis_that_does_not_answer_is_told(desk: Desk) -> None:
    up = desk.run("up", "--detach", SHOPFLOOR_REDIS_URL="redis://127.0.0.1:1/0")
    assert up.returncode == 3
    assert "Redis cannot be reached" in up.stderr
    assert desk.census.alive() == []


def test_a_configured_redis_is_used_and_none_is_started(ready_desk: Desk, redis_url: str) -> None:
    other = redis_url.removesuffix("/0") + "/9"
    up = ready_desk.run("up", "--detach", "--agents", "1", SHOPFLOOR_REDIS_URL=other)
    assert up.returncode == 0, up.stderr
    assert not (ready_desk.state / "redis").exists()
    assert ready_desk.run("down", SHOPFLOOR_REDIS_URL=other).returncode == 0
    assert ready_desk.census.alive() == []


def test_outside_of_a_repository_each_command_says_so(desk: Desk) -> None:
    desk.checkout = desk.home
    for command in ("init", "up", "down"):
        done = desk.run(command)
        assert done.returncode == 2
        assert "git init" in done.stderr


def test_the_doctor_finds_a_floor_that_is_well(ready_desk: Desk) -> None:
    report = ready_desk.ask("doctor")
    assert report["ok"]
    assert {each["verdict"] for each in report["checks"]} <= {"ok", "warning"}
    (sandbox,) = [each for each in report["checks"] if each["subject"] == "sandbox"]
    assert sandbox["alarming"]


def test_the_doctor_says_how_to_mend_what_fails(ready_desk: Desk) -> None:
    git(ready_desk.checkout, "update-index", "--chmod=-x", ".shopfloor/agents/example.sh")
    git(ready_desk.checkout, "commit", "--quiet", "--message", "Forget a bit")
    done = ready_desk.run("doctor")
    assert done.returncode == 1
    assert "failed   agent default" in done.stdout
    assert "--chmod=+x" in done.stdout


def test_the_doctor_names_what_a_blueprint_and_the_verify_command_lack(ready_desk: Desk) -> None:
    policy = ready_desk.checkout / ".shopfloor/repo.yaml"
    blueprint = ready_desk.checkout / ".shopfloor/blueprints/note.yaml"
    lines = [line for line in policy.read_text().splitlines() if not line.startswith(("verify:", "# verify:"))]
    policy.write_text("\n".join([*lines, 'verify: "nope-9 test"', ""]))
    blueprint.with_name("other.yaml").write_text(
        blueprint.read_text().replace("name: note", "name: other").replace("name: default", "name: nobody")
    )
    git(ready_desk.checkout, "add", ".shopfloor")
    git(ready_desk.checkout, "commit", "--quiet", "--message", "Break what is used")
    done = ready_desk.run("doctor")
    assert done.returncode == 1
    assert "'nobody'" in done.stdout
    assert "needs nope-9, and there is none" in done.stdout


def test_the_url_of_an_api_changes_nothing_for_what_runs_on_this_machine(ready_desk: Desk) -> None:
    elsewhere = {"SHOPFLOOR_API_URL": "http://127.0.0.1:9", "SHOPFLOOR_TOKEN": "t"}
    assert ready_desk.run("up", "--detach").returncode == 0
    assert ready_desk.run("token", "add", "ci", **elsewhere).returncode == 0
    assert "ci" in [each["name"] for each in ready_desk.ask("token", "list")]
    report = ready_desk.run("doctor", **elsewhere)
    assert report.returncode == 1
    assert "failed   api: The API at http://127.0.0.1:9 cannot be reached" in report.stdout
    assert "down." in ready_desk.run("down", **elsewhere).stdout
