"""All tables as compressed JSON lines, and back. For databases that cannot be copied as a file."""

from __future__ import annotations

import gzip
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.store.engine import reading, writing
from meliora.store.loop.audit import allow_replacing
from meliora.store.tables import metadata

_BATCH = 1000


def dump_tables(engine: sa.Engine, folder: Path) -> None:
    """Write one file a table, all as of one moment; none of what is made of other tables."""
    folder.mkdir(mode=0o700)
    with reading(engine) as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for table in filter(_is_dumped, metadata.sorted_tables):
            path = folder / f"{table.name}.jsonl.gz"
            with gzip.open(path, "wb", compresslevel=3) as lines:
                rows = connection.execution_options(yield_per=_BATCH).execute(sa.select(table))
                for row in rows:
                    lines.write(msgspec.json.encode(dict(row._mapping)) + b"\n")
            path.chmod(0o600)


def load_tables(engine: sa.Engine, folder: Path) -> None:
    """Replace the content of all tables, in one transaction, and let serial numbers go on behind it."""
    with writing(engine) as connection:
        allow_replacing(connection)
        for table in metadata.sorted_tables:
            connection.execute(sa.delete(table))
            if not _is_dumped(table):
                continue
            binary = [column.name for column in table.columns if isinstance(column.type, sa.LargeBinary)]
            for rows in _batches(folder / f"{table.name}.jsonl.gz"):
                connection.execute(sa.insert(table), [_with_bytes(row, binary) for row in rows])
            if _is_serial(table):
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "
                    f"COALESCE((SELECT max(id) FROM {table.name}), 0) + 1, false)"
                )


def tables_are_empty(engine: sa.Engine) -> bool:
    """Say whether nothing was ever recorded or configured here."""
    with reading(engine) as connection:
        return all(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is None
            for table in metadata.sorted_tables
            if table.name != "deployment"
        )


def _is_dumped(table: sa.Table) -> bool:
    return not table.info.get("derived")


def _with_bytes(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Give a row whose bytes, which are base64 in JSON, are bytes again."""
    return row | {name: b64decode(row[name]) for name in names if row[name] is not None}


def _is_serial(table: sa.Table) -> bool:
    column = table.autoincrement_column
    return column is not None and column.name == "id"


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    with gzip.open(path, "rb") as lines:
        for line in lines:
            rows.append(msgspec.json.decode(line))
            if len(rows) == _BATCH:
                yield rows
                rows = []
    if rows:
        yield rows
