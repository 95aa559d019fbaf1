"""What one would write by hand: a Celery chain that lands a task, with no store, lease, scope, limit or halt.

With a repository, its steps run the git commands that Shopfloor runs for a task that lands in its first round
(`overhead --json` lists both), and the same agent, gate and verify commands by plain `subprocess`. Without one, its
steps are empty. Both have the worker settings of Shopfloor. The last two steps of all chains take turns in a worker
of one process, landings first, so that a candidate is verified on the tip that it lands on.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from celery import Celery, Signature, chain, signals

from orchestrator.config import inherited_environment, settings
from orchestrator.couriers.celery import TRANSPORT
from tests.bench.overhead_repository import AGENT, GATE, VERIFY

if TYPE_CHECKING:
    from typing import Any

    from celery import Task as CeleryTask

HOST_QUEUE = "bare"
TRAIN_QUEUE = "train"
LANDED = "bench:landed"
STEPS = ("prepare", "agent", "gate", "publish", "verify", "land")
_LAND_FIRST = 0
_ELSE_LATER = 5
_TRIES = 20
_COMMITTED_BY = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")


def make_app(redis_url: str) -> Celery:
    """An application with the settings of Shopfloor's workers."""
    made = Celery("bare", broker=redis_url, set_as_current=False)
    made.conf.update(broker_transport_options=TRANSPORT, task_ignore_result=True)
    return made


def chain_of(app: Celery, file: str) -> Signature[Any]:
    """The steps of one task."""
    links = []
    for step in STEPS:
        priority = _LAND_FIRST if step == "land" else _ELSE_LATER
        queue = TRAIN_QUEUE if step in ("verify", "land") else HOST_QUEUE
        links.append(app.signature(f"bare.{step}", args=(file,), immutable=True, queue=queue, priority=priority))
    return chain(*links, app=app)


class Landing:
    """The steps of a task on a repository.

    Args:
        root: For the mirror and the worktrees.
        repository: What it lands on.
    """

    def __init__(self, root: Path, repository: str) -> None:
        self._root = root
        self._repository = repository
        self._mirror = root / "mirror.git"
        self._tip_ref = "refs/bench/target"
        root.mkdir(parents=True, exist_ok=True)

    def prepare(self, file: str) -> None:
        """A worktree at the target's tip."""
        if not self._mirror.exists():
            made = self._mirror.with_name(f"new.{id(file)}.{file.replace('/', '-')}")
            self._run("init", "--quiet", "--bare", str(made), at=self._root)
            try:
                made.rename(self._mirror)
            except OSError:
                shutil.rmtree(made)  # another process was first
        tip = self._tip()
        if self._kept() != tip:
            self._git("fetch", "--quiet", "--no-tags", self._repository, f"+refs/heads/main:{self._tip_ref}")
        self._check_out(file, tip)

    def agent(self, file: str) -> None:
        """The agent's edit, committed and kept."""
        place, base = self._place(file), self._read(file, "base")
        self._git("cat-file", "--batch", stdin=f"{base}:.shopfloor/repo.yaml\n")
        program = self._root / "policies" / base / AGENT
        if not program.exists():
            self._git("ls-tree", "-r", base, "--", ".shopfloor")
            content = self._git("cat-file", "--batch", stdin=f"{base}:{AGENT}\n").partition("\n")[2]
            program.parent.mkdir(parents=True, exist_ok=True)
            fresh = program.with_name(f"new.{file.replace('/', '-')}")
            fresh.write_text(content, "utf-8")
            fresh.chmod(0o755)
            fresh.replace(program)
        subprocess.run([program], input=file.encode(), cwd=place, check=True, stdout=subprocess.PIPE)
        self._run("add", "--all", "--", ".", at=place)
        self._run("diff-index", "--cached", "--raw", base, at=place)
        tree = self._run("write-tree", at=place)
        head = self._git(*_COMMITTED_BY, "commit-tree", tree, "-p", base, "-m", file)
        self._write(file, "head", head)
        self._git("push", "--quiet", "--no-verify", self._repository, f"{head}:{self._ref(file, 'checkpoint')}")

    def gate(self, file: str) -> None:
        """The gate, on a clean checkout of the agent's commit."""
        place, head = self._place(file), self._read(file, "head")
        self._run("read-tree", "--reset", "-u", head, at=place)
        self._run("clean", "-ffdq", at=place)
        subprocess.run(["/bin/sh", "-c", GATE], cwd=place, check=True, stdout=subprocess.PIPE)

    def publish(self, file: str) -> None:
        """The diff, looked at; the branch, pushed; the worktree, removed."""
        base, head = self._read(file, "base"), self._read(file, "head")
        self._git("diff-tree", "-r", "--raw", "--numstat", base, head)
        self._git("push", "--quiet", "--no-verify", self._repository, f"{head}:refs/heads/bench/{file}")
        self._remove(file)

    def verify(self, file: str) -> None:
        """The merge with the target's tip, and the verify command on exactly that."""
        head = self._read(file, "head")
        tip = self._tip()
        if self._kept() != tip:
            self._git("fetch", "--quiet", "--no-tags", self._repository, f"+refs/heads/main:{self._tip_ref}")
        self._git("rev-list", "--objects", "--quiet", head, "--not", "--all")
        self._git("cat-file", "--batch", stdin=f"{tip}:.shopfloor/repo.yaml\n")
        tree = self._git("merge-tree", "--write-tree", tip, head)
        self._git("rev-parse", "--verify", f"{tip}^{{tree}}")
        candidate = self._git(*_COMMITTED_BY, "commit-tree", tree, "-p", tip, "-p", head, "-m", f"Merge {file}")
        self._write(file, "tip", tip)
        self._write(file, "candidate", candidate)
        self._git("push", "--quiet", "--no-verify", self._repository, f"{candidate}:{self._ref(file, 'candidate')}")
        self._git("cat-file", "-e", f"{candidate}^{{commit}}")
        self._check_out(file, candidate)
        subprocess.run(["/bin/sh", "-c", VERIFY], cwd=self._place(file), check=True, stdout=subprocess.PIPE)
        self._remove(file)

    def land(self, file: str) -> None:
        """The target moved by compare-and-swap, and what served the task deleted."""
        tip, candidate = self._read(file, "tip"), self._read(file, "candidate")
        if self._tip() != tip:
            raise RuntimeError(f"the target moved while {file} was verified")
        self._git("merge-base", "--is-ancestor", tip, candidate)
        self._run("worktree", "list", "--porcelain", at=Path(self._repository))
        lease = f"--force-with-lease=refs/heads/main:{tip}"
        self._git("push", "--quiet", "--no-verify", lease, self._repository, f"{candidate}:refs/heads/main")
        gone = (self._ref(file, "candidate"), self._ref(file, "checkpoint"), f"refs/heads/bench/{file}")
        self._run("worktree", "list", "--porcelain", at=Path(self._repository))
        self._git("push", "--quiet", "--no-verify", self._repository, *(f":{ref}" for ref in gone))

    def _check_out(self, file: str, commit: str) -> None:
        self._write(file, "base", commit)
        place = self._place(file)
        self._git("worktree", "add", "--quiet", "--detach", "--no-checkout", str(place), commit)
        self._run("read-tree", "--reset", "-u", commit, at=place)

    def _remove(self, file: str) -> None:
        shutil.rmtree(self._place(file))
        shutil.rmtree(self._mirror / "worktrees" / file)

    def _tip(self) -> str:
        return self._run("rev-parse", "--verify", "refs/heads/main", at=Path(self._repository))

    def _kept(self) -> str:
        kept = self._mirror / self._tip_ref
        return kept.read_text("ascii").strip() if kept.exists() else ""

    def _place(self, file: str) -> Path:
        return self._root / "trees" / file

    def _ref(self, file: str, kind: str) -> str:
        return f"refs/bench/{kind}/{file}"

    def _write(self, file: str, name: str, text: str) -> None:
        (self._root / f"{file}.{name}").write_text(text, "ascii")

    def _read(self, file: str, name: str) -> str:
        return (self._root / f"{file}.{name}").read_text("ascii")

    def _git(self, *args: str, stdin: str = "") -> str:
        return self._run(*args, at=self._mirror, stdin=stdin)

    def _run(self, *args: str, at: Path, stdin: str = "") -> str:
        """Run git; what meets another one half-made (a worktree, a lock) is asked again."""
        for _ in range(_TRIES):
            done = subprocess.run(["git", *args], cwd=at, input=stdin, capture_output=True, text=True, check=False)
            if not done.returncode:
                return done.stdout.strip()
        raise RuntimeError(f"git {args} failed: {done.stderr}")


@lru_cache(maxsize=1)
def _landing() -> Landing | None:
    repository = inherited_environment().get("SHOPFLOOR_BENCH_REPOSITORY")
    state = settings().state
    return Landing(state, repository) if repository and state else None


@lru_cache(maxsize=1)
def _notes() -> redis.Redis:
    return redis.Redis.from_url(settings().redis_url or "")


app = Celery("bare")
app.config_from_object("workers.celeryconfig")
app.conf.update(imports=(), beat_schedule={})


def _step(self: CeleryTask[..., None], file: str) -> None:
    name = self.name.removeprefix("bare.")
    landing = _landing()
    if landing is not None:
        getattr(landing, name)(file)
    if name == STEPS[-1]:
        _notes().rpush(LANDED, file)


for _name in STEPS:
    app.task(name=f"bare.{_name}", bind=True)(_step)


@signals.worker_ready.connect
def _say_ready(**_: Any) -> None:  # noqa: ANN401 - Celery's signals
    ready = settings().ready_file
    if ready:
        ready.touch()
