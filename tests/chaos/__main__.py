"""`python -m tests.chaos --tasks N --hosts H --seed S`: run, check, print the checker's table; 1 where a rule broke."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Run, Wanted


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="A fleet under seeded faults.")
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slots", type=int, default=3, help="attempts at once on each host")
    parser.add_argument("--faults", default="", help="kinds, with commas between; all of them if left out")
    parser.add_argument("--strikes", type=int, help="how many faults at most")
    parser.add_argument("--minutes", type=float, default=10, help="what has not ended by then is lost")
    parser.add_argument("--keep", type=Path, help="a new directory for the evidence; kept whatever the outcome")
    asked = parser.parse_args()
    root: Path = asked.keep or Path(tempfile.mkdtemp(prefix="chaos-")) / "run"
    wanted = Wanted(
        tasks=asked.tasks,
        hosts=asked.hosts,
        seed=asked.seed,
        faults=tuple(filter(None, asked.faults.split(","))),
        minutes=asked.minutes,
        strikes=asked.strikes,
        slots=asked.slots,
    )
    Run(root, wanted).go()
    checked = subprocess.run([sys.executable, "-m", "tests.chaos.checker", str(root)], check=False)
    if checked.returncode or asked.keep:
        sys.stdout.write(f"The evidence is in {root}\n")
    else:
        shutil.rmtree(root.parent)
    return checked.returncode


if __name__ == "__main__":
    sys.exit(main())
