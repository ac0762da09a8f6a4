"""What was deleted can be read in no file of the database once it was written anew."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from meliora.errors import StoreUnavailable
from meliora.store.engine import reading, writing
from meliora.store.rewriting import rewrite, size_of
from meliora.store.tables import activity_log, deployment

SECRET = "quillbor"


def rows(count: int) -> list[dict[str, object]]:
    """Rows of many lengths, which move between pages as others come; each names the secret."""
    chance = random.Random(5)
    return [
        {
            "tenant": f"t{chance.randrange(40)}",
            "at": at,
            "actor": "a",
            "action": "b",
            "subject": f"{SECRET} {at} " * chance.randrange(1, 60),
            "detail": None,
        }
        for at in range(count)
    ]


def test_nothing_deleted_is_left_and_all_else_is_there(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        connection.execute(sa.insert(deployment).values(name="stays", value="here"))
        connection.execute(sa.insert(activity_log), rows(2_000))
    with writing(engine) as connection:
        for third in range(3):
            connection.execute(sa.delete(activity_log).where(activity_log.c.at % 3 == third))
    rewrite(engine)
    with reading(engine) as connection:
        stays = sa.select(deployment.c.value).where(deployment.c.name == "stays")
        assert connection.execute(stays).scalar_one() == "here"
    if engine.dialect.name == "sqlite":
        folder = Path(str(engine.url.database)).parent
        assert not any(SECRET.encode() in path.read_bytes() for path in folder.iterdir())
        assert (size_of(engine) or 0) > 0
    else:
        with reading(engine) as connection:
            pages = sa.text("SELECT pg_relation_size('activity_log')")
            assert connection.execute(pages).scalar_one() == 0
        assert size_of(engine) is None


def test_deleted_bytes_are_overwritten_at_once_where_rows_stood(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL leaves dead rows until it vacuums")
    with writing(engine) as connection:
        connection.execute(sa.insert(activity_log), rows(1))
    with writing(engine) as connection:
        connection.execute(sa.delete(activity_log))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
    assert SECRET.encode() not in Path(str(engine.url.database)).read_bytes()


def test_a_database_that_is_being_read_is_not_said_to_be_written_anew(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("VACUUM FULL of PostgreSQL waits for readers")
    with writing(engine) as connection:
        connection.execute(sa.insert(deployment).values(name="a", value="b"))
    with reading(engine) as connection:
        assert connection.execute(sa.select(deployment)).all()
        with pytest.raises(StoreUnavailable):
            rewrite(engine)
    rewrite(engine)
