"""The earlier name of `benchmarks/bcpl.py`."""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("bcpl.py")), run_name="__main__")
