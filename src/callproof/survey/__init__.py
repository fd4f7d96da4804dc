"""Whole trees of packages through the checker, with one table of findings and one of files.

    containers  .deb, .rpm, tar, wheel, zip, compressed files -> the AArch64 code in them
    work        one path -> rows (in another process, or on another machine)
    store       rows kept as they come, then Parquet or SQLite; read back
    run         all paths: what is done already, who does the rest
    summary     the tables as text, and as plots

Knows the checker as a library (`callproof.check`) and nothing of how it works.
"""

from __future__ import annotations

from callproof.survey.run import Survey, survey

__all__ = ["Survey", "survey"]
