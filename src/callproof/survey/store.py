"""Rows on disk: a part for each path while a survey runs, then tables.

Parts are written whole or not at all, so that a survey that was killed goes on where it
was.  The tables are `OUT.parquet` and `OUT-files.parquet`, or the tables `findings` and
`files` of one SQLite file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from callproof import __version__
from callproof.check import CheckOptions
from callproof.source import CallproofError
from callproof.survey.optional import optional
from callproof.survey.work import FileRow, FindingRow, Part

TABLES: dict[str, type] = {"findings": FindingRow, "files": FileRow}
SQLITE = frozenset((".sqlite", ".sqlite3", ".db"))
BATCH = 20_000  # rows written at a time
_PARQUET = {"str": "string", "int": "int64", "float": "float64"}
_SQL = {"str": "TEXT", "int": "INTEGER", "float": "REAL"}
Row = dict[str, Any]


def columns(table: str) -> dict[str, str]:
    """The columns of a table with their Python types."""
    return {field.name: str(field.type) for field in fields(TABLES[table])}


def check_name(out: Path) -> None:
    """Raises `CallproofError` if a file of this name cannot be written."""
    if out.suffix not in SQLITE and out.suffix != ".parquet":
        raise CallproofError(f"{out}: a survey is kept as .parquet or .sqlite")
    if out.suffix == ".parquet":
        optional("pyarrow", "writing Parquet")


def files_name(out: Path) -> Path:
    """Where the table of files is, beside Parquet findings."""
    return out.with_name(f"{out.stem}-files{out.suffix}")


class Parts:
    """The folder of what is done, beside the tables to be."""

    def __init__(self, out: Path, options: CheckOptions) -> None:
        self.folder = out.with_name(out.name + ".parts")
        self._options = f"{__version__} {options}"

    def name(self, path: Path) -> Path:
        """The part of a path as it is now: another size, time or option, another part."""
        try:
            stat = path.stat()
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = "gone"
        key = f"{path.absolute()}\0{state}\0{self._options}"
        return (
            self.folder
            / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}.json"
        )

    def write(self, path: Path, part: Part) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.name(path)
        passing = target.with_suffix(".new")
        passing.write_text(json.dumps(part.as_dict()), "utf-8")
        os.replace(passing, target)

    def has(self, path: Path) -> bool:
        return self.name(path).exists()

    def rows(self, paths: Iterable[Path], table: str) -> Iterator[Row]:
        for path in paths:
            try:
                part = json.loads(self.name(path).read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise CallproofError(f"the part of {path} is lost: {error}") from error
            yield from part[table]

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def write_tables(out: Path, parts: Parts, paths: list[Path]) -> None:
    """Both tables; the files appear when they are complete."""
    passing = out.with_name(f".{out.name}.new")
    try:
        if out.suffix in SQLITE:
            _write_sqlite(passing, parts, paths)
            os.replace(passing, out)
            return
        for table, target in (("findings", out), ("files", files_name(out))):
            _write_parquet(passing, table, parts.rows(paths, table))
            os.replace(passing, target)
    except OSError as error:
        raise CallproofError(f"cannot write {out}: {error.strerror or error}") from error


def _write_parquet(path: Path, table: str, rows: Iterable[Row]) -> None:
    pyarrow = optional("pyarrow", "writing Parquet")
    parquet = optional("pyarrow.parquet", "writing Parquet")
    schema = pyarrow.schema(
        [(name, getattr(pyarrow, _PARQUET[kind])()) for name, kind in columns(table).items()]
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _write_sqlite(path: Path, parts: Parts, paths: list[Path]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as base:
        for table in TABLES:
            kinds = columns(table)
            described = ", ".join(f"{name} {_SQL[kind]}" for name, kind in kinds.items())
            base.execute(f"CREATE TABLE {table} ({described})")
            places = ", ".join(f":{name}" for name in kinds)
            for batch in _batches(parts.rows(paths, table)):
                base.executemany(f"INSERT INTO {table} VALUES ({places})", batch)
        base.commit()


def read_table(out: Path, table: str, wanted: list[str]) -> Iterator[Row]:
    """Some columns of a table, row by row.  Raises `CallproofError` if it is none."""
    try:
        if out.suffix in SQLITE:
            if not out.exists():
                raise CallproofError(f"there is no {out}")
            with closing(sqlite3.connect(out)) as base:
                for row in base.execute(f"SELECT {', '.join(wanted)} FROM {table}"):
                    yield dict(zip(wanted, row, strict=True))
            return
        parquet = optional("pyarrow.parquet", "reading Parquet")
        path = out if table == "findings" else files_name(out)
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=wanted):
                yield from batch.to_pylist()
    except (OSError, ValueError, sqlite3.Error) as error:
        raise CallproofError(f"{out}: no survey: {error}") from error
