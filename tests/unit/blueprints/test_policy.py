"""repo.yaml: the smallest one is valid, and each mistake is named."""

from __future__ import annotations

import pytest

from blueprints.errors import BlueprintError
from blueprints.model import AgentCall, Blueprint, Step
from blueprints.policy import AgentSpec, RepositoryPolicy, parse_policy
from tests.unit.blueprints.samples import POLICY


def test_the_smallest_policy_is_valid_as_it_is() -> None:
    policy = parse_policy(POLICY, "repo.yaml")
    assert (policy.version, policy.target, policy.verify) == (1, "main", "python -m pytest -q")
    assert policy.agents == {"default": AgentSpec(kind="command", command=(".shopfloor/agents/apply.sh",))}
    assert (policy.defaults.blueprint, policy.defaults.scope) == ("codemod", ("**",))
    assert (policy.verify_minutes, policy.reworks, policy.author) == (30, 2, None)


def test_every_key_can_be_given() -> None:
    more = "verify_minutes: 5\nreworks: 0\nauthor: {name: Floor Bot, email: bot@example.org}\n"
    text = POLICY.replace("apply.sh", "apply.sh, x").replace("]}", "], env: [CI, _x1]}", 1) + more
    policy = parse_policy(text, "repo.yaml")
    assert policy.author is not None
    assert (policy.author.name, policy.author.email) == ("Floor Bot", "bot@example.org")
    assert policy.agents["default"].env == ("CI", "_x1")
    assert (policy.verify_minutes, policy.reworks) == (5, 0)
    assert RepositoryPolicy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    ("good", "bad", "line", "key", "says"),
    [
        ("version: 1", "version: 2", 1, "version", "is 2; expected 1"),
        ("version: 1", "version: '1'", 1, "version", "is '1'; expected 1"),
        ("target: main", "target: a..b", 2, "target", "'..' or '@{'"),
        ("target: main", "target: 1.0", 2, "target", "is 1.0"),
        ("target: main", "# target: main", 1, "target", "is missing"),
        ("verify:", "verfy:", 3, "verfy", "'verify'"),
        ('"python -m pytest -q"', "''", 3, "verify", "a shell command"),
        ("default:", "Default:", 5, "agents.Default", "not a usable name"),
        ("kind: command", "kind: claude", 5, "agents.default.kind", "is 'claude'; expected 'command'"),
        ("kind: command, ", "", 5, "agents.default.kind", "is missing"),
        ('[".shopfloor/agents/apply.sh"]', "[]", 5, "agents.default.command", "an empty list"),
        ('[".shopfloor/agents/apply.sh"]', "apply.sh", 5, "agents.default.command", "is 'apply.sh'"),
        ('[".shopfloor/agents/apply.sh"]', "[' ']", 5, "agents.default.command[0]", "an executable"),
        ("]}", "], env: ['A-B']}", 5, "agents.default.env[0]", "is 'A-B'"),
        ('["**"]', "[../x]", 6, "defaults.scope[0]", "inside the repository"),
        ('["**"]', "[a, /x]", 6, "defaults.scope[1]", "inside the repository"),
        ('["**"]', "[]", 6, "defaults.scope", "an empty list"),
        ("codemod,", "'Code mod',", 6, "defaults.blueprint", "the name of a blueprint"),
        ("version: 1", "version: 1\nreworks: 2.5", 2, "reworks", "is 2.5"),
        ("version: 1", 'version: 1\nauthor: {name: "a\\nb", email: a@b}', 2, "author.name", "a name"),
        ("version: 1", "version: 1\nauthor: {name: a, email: b}", 2, "author.email", "an e-mail address"),
    ],
)
def test_a_mistake_is_named_by_line_and_key(good: str, bad: str, line: int, key: str, says: str) -> None:
    assert good in POLICY
    with pytest.raises(BlueprintError) as caught:
        parse_policy(POLICY.replace(good, bad, 1), "repo.yaml")
    assert (caught.value.line, caught.value.key) == (line, key)
    assert says in str(caught.value)


def test_what_a_blueprint_uses_and_the_repository_lacks_is_named() -> None:
    policy = parse_policy(POLICY, "repo.yaml")
    fine = Blueprint(name="b", steps=(Step(name="edit", agent=AgentCall(prompt="p")), Step(name="check", verify=True)))
    other = Blueprint(name="b", steps=(Step(name="edit", agent=AgentCall(name="defualt", prompt="p")),))
    assert policy.lacks(fine) is None
    assert "the agent 'defualt', which repo.yaml does not declare" in str(policy.lacks(other))
    assert "no key 'verify'" in str(policy.model_copy(update={"verify": None}).lacks(fine))
