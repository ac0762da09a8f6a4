"""Rows of calls, written many at a time: tuples straight to the driver, since building statements would cost more than the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import StoreError, StoreUnavailable
from meliora.store.calls.slots import SLOT_US
from meliora.store.tables import call_contents, calls
from meliora.telemetry.records import CallBegun, CallFinished, RoutingTrace, Usage

CALL_COLUMNS = tuple(column.name for column in calls.columns)
CONTENT_COLUMNS = tuple(column.name for column in call_contents.columns)
_NO_USAGE = Usage()
_encode = msgspec.json.Encoder().encode

Row = tuple[Any, ...]


def states_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Give the state of those of these calls that are in the store."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql("SELECT id, state FROM calls WHERE id = ANY(%s)", (list(ids),))
    else:
        query = "SELECT id, state FROM calls WHERE id IN (SELECT value FROM json_each(?))"
        rows = connection.exec_driver_sql(query, (_encode(ids).decode(),))
    return {row[0]: row[1] for row in rows}


def rows_of_calls(
    finished: Iterable[CallFinished], begun: Iterable[CallBegun], first_seq: int
) -> tuple[list[Row], list[Row]]:
    """Give rows of `calls`, begun ones first, and of `call_contents`; numbered from `first_seq` in the order of the arguments."""
    rows: list[Row] = []
    contents: list[Row] = []
    seq = first_seq
    for opened in begun:
        rows.append(_begun(opened, seq))
        seq += 1
    for record in finished:
        rows.append(_finished(record, seq))
        seq += 1
        if record.request_text is not None or record.response_text is not None:
            contents.append(
                (
                    record.id,
                    record.tenant,
                    record.started_us,
                    record.content,
                    record.request_text,
                    record.response_text,
                    record.truncated,
                    record.masked,
                )
            )
    return rows, contents


def _begun(r: CallBegun, seq: int) -> Row:
    known = {
        "id": r.id,
        "tenant": r.tenant,
        "state": "open",
        "seq": seq,
        "key_id": r.key_id,
        "gateway": r.gateway,
        "started_us": r.started_us,
        "slot": r.started_us // SLOT_US,
        "dialect": r.dialect,
        "model_asked": r.model_asked,
        "stream": r.stream,
        "user_id": r.user,
        "session_id": r.session,
        "cached": False,
        "simulated": False,
    }
    return tuple([known.get(name) for name in CALL_COLUMNS])


def _finished(r: CallFinished, seq: int) -> Row:
    """In the order of the table's columns; a test holds the two together."""
    usage = r.usage or _NO_USAGE
    return (
        r.id,
        r.tenant,
        "finished",
        seq,
        r.key_id,
        r.gateway,
        r.started_us,
        r.started_us // SLOT_US,
        r.ended_us,
        r.dialect,
        r.model_asked,
        r.outcome,
        r.status,
        r.stream,
        r.model,
        r.provider,
        r.endpoint,
        r.tier,
        r.task,
        r.reason or None,
        r.rule_id,
        r.observed_model,
        r.confidence,
        _encode(r.attempts).decode() if r.attempts else None,
        r.ttft_us,
        r.overhead_us,
        usage.input,
        usage.output,
        usage.cached,
        usage.cache_write,
        usage.reasoning,
        r.usage_source,
        r.cost_micros,
        r.error_code,
        r.error_message,
        r.finish_reason,
        r.response_id,
        r.message_id,
        r.user,
        r.session,
        r.feature,
        _encode(r.tags).decode() if r.tags else None,
        r.trace_id,
        r.span_id,
        r.parent_span_id,
        r.request_bytes,
        r.response_bytes,
        r.chunks,
        r.prompt_hash,
        _encode(r.features).decode() if r.features else None,
        r.cached,
        r.simulated,
        _encode(r.loss).decode() if r.loss else None,
        r.content,
        _routing(r.routing) if r.routing is not None else None,
        _encode(r.legs).decode() if r.legs else None,
        r.trial,
        r.trial_phase,
        r.trial_stage,
        r.arm,
        r.trial_unit,
    )


def _routing(trace: RoutingTrace) -> str:
    """Write a trace as people look at it: what the policy read in the prompt stays out."""
    shown = msgspec.to_builtins(trace)
    del shown["phi"]
    return _encode(shown).decode()


def insert_rows(connection: sa.Connection, call_rows: list[Row], content_rows: list[Row]) -> None:
    """Insert rows. Raises `StoreError` where one is refused."""
    for table, columns, rows in (
        ("calls", CALL_COLUMNS, call_rows),
        ("call_contents", CONTENT_COLUMNS, content_rows),
    ):
        if rows:
            write_rows(connection, table, columns, rows)


def write_rows(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    """Insert rows into a table, each in the order of the columns. Raises `StoreError` where one is refused."""
    _WRITERS[connection.dialect.name](connection, table, columns, rows)


def _insert_sqlite(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    marks = ",".join("?" * len(columns))
    connection.exec_driver_sql(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)


def _copy_postgres(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    import psycopg  # an extra: SQLite works without

    try:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"The database cannot be used: {error}.", retry_after=1) from error
    except psycopg.Error as error:
        raise StoreError(f"The database refused a record: {error}.") from error


_WRITERS: dict[str, Callable[[sa.Connection, str, tuple[str, ...], list[Row]], None]] = {
    "sqlite": _insert_sqlite,
    "postgresql": _copy_postgres,
}
