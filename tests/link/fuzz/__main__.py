"""`python -m tests.link.fuzz [--count N] [--first SEED] [--seconds N]`: damaged link inputs."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.link.fuzz.run import run


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").rsplit(": ", 1)[-1])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(
            Path(folder), arguments.first, arguments.count, seconds=arguments.seconds, loud=True
        )
    print(f"linked {dict(result.linked)}\nrefused {dict(result.refused)}")
    print(f"{result.tried} tried; slowest: {result.slowest:.2f} s (seed {result.slowest_seed})")
    print(f"problems: {len(result.problems)} of {len(result.kinds)} kinds")
    for kind, number in result.kinds.most_common():
        print(f"{number:6}  {kind}")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
