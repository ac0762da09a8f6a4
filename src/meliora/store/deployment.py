"""What belongs to the deployment as a whole: its secret, made once and never changed."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa


class Deployment:
    """Keep named values of the deployment."""

    def __init__(self, engine: sa.Engine, randbytes: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._randbytes = randbytes

    def secret(self) -> str:
        """Give the deployment's secret (64 hex digits), made at the first call; two processes get the same."""
        raise NotImplementedError

    def value(self, name: str) -> str | None:
        """Give a named value, or None."""
        raise NotImplementedError

    def put(self, name: str, value: str) -> None:
        """Set a named value."""
        raise NotImplementedError
