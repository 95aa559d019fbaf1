"""The files that these tests begin from."""

from __future__ import annotations

CODEMOD = """\
name: codemod
description: one mechanical edit, checked by the tests
match: {labels: [codemod], title: "(?i)codemod"}
needs: []
limits: {minutes: 20, tokens: 200000, diff_lines: 2000}
rounds: 3
steps:
  - {name: edit, agent: {name: default, prompt: "{{ task.title }}\\n\\n{{ task.body }}\\n\\n{{ feedback }}"}}
  - {name: lint, run: "ruff check .", gate: true, on_fail: edit, minutes: 5}
  - {name: test, run: "python -m pytest -q", gate: true, on_fail: edit, minutes: 10}
review: {tier: auto}
"""

POLICY = """\
version: 1
target: main                       # branch that changes land on
verify: "python -m pytest -q"      # run by a shell in a clean workspace of the candidate commit
agents:
  default: {kind: command, command: [".shopfloor/agents/apply.sh"]}   # relative paths: from the target branch's tree
defaults: {blueprint: codemod, scope: ["**"]}
"""


def blueprint_text(name: str, match: str = "{}") -> str:
    return f"name: {name}\nmatch: {match}\nsteps:\n  - {{name: edit, agent: {{prompt: go}}}}\n"
