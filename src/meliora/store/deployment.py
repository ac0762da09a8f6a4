"""What belongs to the deployment as a whole: its secret, made once and never changed."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from meliora.store.engine import reading, writing
from meliora.store.rows import insert_into
from meliora.store.tables import deployment


class Deployment:
    """Keep named values of the deployment."""

    def __init__(self, engine: sa.Engine, randbytes: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._randbytes = randbytes

    def secret(self) -> str:
        """Give the deployment's secret (64 hex digits), made at the first call; two processes get the same."""
        return self._once("secret", lambda: self._randbytes(32).hex())

    def value(self, name: str) -> str | None:
        """Give a named value, or None."""
        with reading(self._engine) as connection:
            return connection.execute(
                sa.select(deployment.c.value).where(deployment.c.name == name)
            ).scalar_one_or_none()

    def put(self, name: str, value: str) -> None:
        """Set a named value."""
        with writing(self._engine) as connection:
            insert = insert_into(connection, deployment).values(name=name, value=value)
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    def values(self, prefix: str) -> dict[str, str]:
        """Give all values whose names begin with `prefix`, by name."""
        named = deployment.c.name.startswith(prefix, autoescape=True)
        query = sa.select(deployment.c.name, deployment.c.value).where(named).order_by(deployment.c.name)
        with reading(self._engine) as connection:
            return {row.name: row.value for row in connection.execute(query)}

    def grow(self, name: str) -> int:
        """Add one to a value that is a number (0 where there is none) and give it; two processes never get the same."""
        with writing(self._engine) as connection:
            insert = insert_into(connection, deployment).values(name=name, value="0")
            connection.execute(insert.on_conflict_do_nothing())
            query = sa.select(deployment.c.value).where(deployment.c.name == name).with_for_update()
            number = int(connection.execute(query).scalar_one()) + 1
            connection.execute(sa.update(deployment).where(deployment.c.name == name).values(value=str(number)))
        return number

    def _once(self, name: str, make: Callable[[], str]) -> str:
        found = self.value(name)
        if found is None:
            with writing(self._engine) as connection:
                insert = insert_into(connection, deployment).values(name=name, value=make())
                connection.execute(insert.on_conflict_do_nothing())
            found = self.value(name)
        assert found is not None
        return found
