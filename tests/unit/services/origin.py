"""The repository that the services are tried on: a policy, two blueprints, and files to change."""

from __future__ import annotations

POLICY = """\
version: 1
target: main
verify: "true"
agents:
  default: {kind: command, command: ["true"]}
defaults: {blueprint: edit, scope: ["src"]}
reworks: 1
"""
EDIT = """\
name: edit
limits: {minutes: 7, tokens: 700, diff_lines: 70}
rounds: 2
steps:
  - {name: setup, run: "true"}
  - {name: edit, agent: {prompt: "{{ task.title }}"}}
"""
SHIP = """\
name: ship
match: {labels: [ship]}
needs: [gpu]
steps:
  - {name: edit, agent: {prompt: "{{ task.title }}"}}
review: {tier: human}
"""
STRANGE = """\
name: strange
steps:
  - {name: edit, agent: {name: unheard-of, prompt: "{{ task.title }}"}}
"""
FILES = {
    ".shopfloor/repo.yaml": POLICY,
    ".shopfloor/blueprints/edit.yaml": EDIT,
    ".shopfloor/blueprints/ship.yaml": SHIP,
    ".shopfloor/blueprints/strange.yaml": STRANGE,
    "src/a.txt": "one\n",
    "src/b.txt": "one\n",
}
