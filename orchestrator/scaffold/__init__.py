"""What `init` writes into a checkout: a policy, a sample blueprint, and an agent that needs no model.

The files beside this module are what is written, but for the target and the verify command, which are looked up.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from blueprints.errors import BlueprintError
from blueprints.policy import parse_policy
from orchestrator.errors import InputError
from orchestrator.git import Git

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.checkout import Checkout

_POLICY = ".shopfloor/repo.yaml"
_AGENT = ".shopfloor/agents/example.sh"
_BLUEPRINT = ".shopfloor/blueprints/note.yaml"
_NPM_DEFAULT = "no test specified"
_READ_MOST = 1024 * 1024  # bytes


def scaffold(checkout: Checkout) -> list[tuple[str, bool]]:
    """Write what is missing. A checkout that has a policy is left as it is.

    Returns:
        Each path, and whether it was written.

    Raises:
        InputError: It is not plain which branch changes are to land on.
    """
    if (checkout.root / _POLICY).exists():
        return [(_POLICY, False)]
    policy = _policy(target_of(checkout), guess_verify(checkout.root))
    # The policy comes last: as long as it is missing, this can be done again.
    return [
        (_AGENT, _write(checkout.root / _AGENT, _template("example.sh"), executable=True)),
        (_BLUEPRINT, _write(checkout.root / _BLUEPRINT, _template("note.yaml"))),
        (_POLICY, _write(checkout.root / _POLICY, policy)),
    ]


def next_steps(checkout: Checkout) -> str:
    """What to do after `init`, as lines for a person."""
    push = " && git push" if checkout.remote_url else ""
    lines = [
        "Next:",
        f"  1. Look at {_POLICY}, above all at `verify`.",
        f"  2. git add .shopfloor && git commit -m 'Add Shopfloor'{push}",
        "  3. shopfloor up --detach",
        '  4. shopfloor submit "Say hello" --wait',
        "",
        f"The agent {_AGENT} is no model: it adds the task's title to SHOPFLOOR_NOTES.md,",
        "so that you can see a task land. Put your own coding agent in its place.",
    ]
    if checkout.empty:
        lines.insert(0, "This repository has no commit yet, and Shopfloor needs one to begin from: step 2 makes it.\n")
    return "\n".join(lines)


def target_of(checkout: Checkout) -> str:
    """The branch that changes land on: the remote's default, else the one that the checkout is on.

    Raises:
        InputError: HEAD is detached, and no remote says which branch is its default.
    """
    heads = Git(checkout.git_dir).run("for-each-ref", "--format=%(symref:lstrip=3)", "refs/remotes/*/HEAD").decode()
    target = next(iter(heads.split()), None) or checkout.head_branch
    if target is None:
        raise InputError(
            "HEAD is detached, so it is not plain which branch changes are to land on.",
            "Switch to that branch first: git switch BRANCH",
        )
    return target


def guess_verify(root: Path) -> str | None:
    """The command that runs a repository's tests, by the files at its root; None where nothing tells."""
    if _uses_pytest(root):
        return "python3 -m pytest -q"
    if _has_npm_tests(root):
        return "npm ci && npm test" if (root / "package-lock.json").is_file() else "npm install && npm test"
    if re.search(r"^test\s*:(?!=)", _text(root / "Makefile"), re.MULTILINE):
        return "make test"
    if (root / "Cargo.toml").is_file():
        return "cargo test"
    return "go test ./..." if (root / "go.mod").is_file() else None


def _uses_pytest(root: Path) -> bool:
    sections = {"pyproject.toml": "[tool.pytest", "setup.cfg": "[tool:pytest]", "tox.ini": "[pytest]"}
    return (
        (root / "pytest.ini").is_file()
        or (root / "conftest.py").is_file()
        or any(section in _text(root / name) for name, section in sections.items())
        or any(next((root / folder).glob("**/test_*.py"), None) is not None for folder in ("tests", "test"))
        or next(root.glob("test_*.py"), None) is not None
    )


def _has_npm_tests(root: Path) -> bool:
    try:
        document = json.loads(_text(root / "package.json") or "{}")
    except ValueError:
        return False
    scripts = document.get("scripts") if isinstance(document, dict) else None
    test = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(test, str) and _NPM_DEFAULT not in test


def _policy(target: str, verify: str | None) -> str:
    said = (
        f"verify: {_quoted(verify)}" if verify else '# verify: "make test"   # nothing here tells how; please fill in'
    )
    text = _template("repo.yaml").replace("@TARGET@", _quoted(target)).replace("@VERIFY@", said)
    try:
        parse_policy(text, _POLICY)
    except BlueprintError as error:
        raise InputError(f"{error}.", "Switch to the branch that changes are to land on, and try again.") from error
    return text


def _quoted(text: str) -> str:
    """A string of JSON, which is one of YAML, too."""
    return json.dumps(text)


def _template(name: str) -> str:
    return files("orchestrator.scaffold").joinpath(name).read_text("utf-8")


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(_READ_MOST)
    except (FileNotFoundError, IsADirectoryError):
        return ""


def _write(file: Path, text: str, *, executable: bool = False) -> bool:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}.", "Mend that, and try again.") from error
    if executable:
        file.chmod(file.stat().st_mode | 0o111)
    return True
