"""The numbered state that gateways serve by: keys, rules, secret."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from meliora.gateway.state import RuleState, State


class States:
    """Put together what a gateway needs to know."""

    def __init__(self, engine: sa.Engine, secret: str) -> None:
        self._engine = engine
        self._secret = secret

    def load(self, settings_rules: Sequence[RuleState], now_us: int) -> State:
        """Give the state of all tenants; its version grows whenever anything in it changed, and only then.

        Revoked keys and ended secrets are left out; inactive rules too. Rules of the settings stand beside those kept here.
        """
        raise NotImplementedError
