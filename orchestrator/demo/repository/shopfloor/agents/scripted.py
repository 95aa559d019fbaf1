#!/usr/bin/env python3
"""A coding agent without a model: it knows the demonstration's tasks, and edits files for them like any other agent.

It reads its task from the file that SHOPFLOOR_TASK names, works in the directory it is started in, tells its (made-up)
token use in the file that SHOPFLOOR_USAGE names, and exits 0 when it is done.
"""

import json
import os
import re
import time
from pathlib import Path

TASK = json.loads(Path(os.environ["SHOPFLOOR_TASK"]).read_text("utf-8"))
FEEDBACK = TASK["feedback"]


def write(path, text):
    print(f"writing {path}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, "utf-8")


def replace(path, old, new):
    write(path, Path(path).read_text("utf-8").replace(old, new))


def subtract():
    replace("calc/arithmetic.py", "return b - a", "return a - b")
    test = "\n\nclass SubtractTest(unittest.TestCase):\n    def test_sign(self):\n        self.assertEqual(subtract(5, 3), 2)\n"
    replace("tests/test_arithmetic.py", "import add\n", "import add, subtract\n")
    write("tests/test_arithmetic.py", Path("tests/test_arithmetic.py").read_text("utf-8") + test)


def guide():
    write("docs/index.md", "# Guide\n\n    from calc.arithmetic import add\n    add(2, 3)\n\ngives 5.\n")


def hints():
    for path in ("calc/arithmetic.py", "calc/report.py"):
        text = Path(path).read_text("utf-8")
        write(path, re.sub(r"def (\w+)\((\w+), (\w+)\):", r"def \1(\2: float, \3: float) -> object:", text))


def reference():
    names = [
        name for path in sorted(Path("calc").glob("*.py")) for name in re.findall(r"def .*", path.read_text("utf-8"))
    ]
    write("docs/reference.md", "# Reference\n\n" + "".join(f"- `{name.rstrip(':')}`\n" for name in names))


def divide():
    """Forgets the zero at first; the log of the failed test says so, and then it is put right."""
    guard = "    if b == 0:\n        return None\n" if FEEDBACK and "ZeroDivisionError" in FEEDBACK["log"] else ""
    write("calc/division.py", f'"""Division."""\n\n\ndef divide(a, b):\n{guard}    return a / b\n')
    write(
        "tests/test_division.py",
        '"""Tests of division."""\n\nimport unittest\n\nfrom calc.division import divide\n\n\n'
        "class DivisionTest(unittest.TestCase):\n"
        "    def test_halves(self):\n        self.assertEqual(divide(4, 2), 2)\n\n"
        "    def test_by_zero_there_is_no_answer(self):\n        self.assertIsNone(divide(1, 0))\n",
    )


def circle():
    """Tries another value each time; none can be right."""
    write("calc/circle.py", f'"""The circle, squared."""\n\nSIDE = {1.77 + TASK["round"] / 1000}\n')
    write(
        "tests/test_circle.py",
        '"""A test that no number passes."""\n\nimport unittest\n\nfrom calc.circle import SIDE\n\n\n'
        "class CircleTest(unittest.TestCase):\n"
        "    def test_area_is_pi_exactly(self):\n"
        '        self.assertEqual(f"{SIDE * SIDE:.40f}", "3.1415926535897932384626433832795028841971")\n',
    )


WORK = {
    "subtract": subtract,
    "guide": guide,
    "type hints": hints,
    "reference": reference,
    "divide": divide,
    "circle": circle,
}

for word, work in WORK.items():
    if word in TASK["title"]:
        print(f"round {TASK['round']}: {TASK['title']}")
        time.sleep(0.5)  # thinks
        work()
        with Path(os.environ["SHOPFLOOR_USAGE"]).open("a", encoding="utf-8") as usage:
            usage.write(json.dumps({"input_tokens": 1200 * TASK["round"], "output_tokens": 350}) + "\n")
        break
else:
    raise SystemExit(f"this agent does not know how to do: {TASK['title']}")
