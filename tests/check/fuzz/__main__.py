"""`python -m tests.check.fuzz [--count N] [--first SEED]`: damaged files for the checker."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.check.fuzz.run import run


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").rsplit(": ", 1)[-1])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), arguments.first, arguments.count)
    print(f"checked {dict(result.checked)}, refused {dict(result.refused)}")
    print(f"slowest: {result.slowest:.2f} s; problems: {len(result.problems)}")
    for problem in result.problems[:50]:
        print(problem)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
