"""The learned policies that serve, as the control process knows them: read from the store, held until another one serves.

Refuses to stand another policy in for one that does not load: what is explained is what the state names.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from meliora.gateway.state import PolicyRef
from meliora.routing.pool import Catalogue
from meliora.settings.models import Settings

if TYPE_CHECKING:
    from meliora.routing.choose import Learned
    from meliora.routing.learned.policy import Policy
    from meliora.store.routing.snapshots import RoutingSnapshots


SERVING, TRIALLED = "serving", "trialled"


class ServedPolicies:
    """Hold one decoded policy a tenant, and one of its trial. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], tuple[PolicyRef, Policy]] = {}

    def learned(
        self,
        tenant: str,
        ref: PolicyRef | None,
        kept: RoutingSnapshots,
        settings: Settings,
        offers: Catalogue,
        place: str = SERVING,
    ) -> Learned | None:
        """Give the tenant's policy at today's prices; None where the state names none, or learned routing is off.

        Raises `StoreError`, or `BadSnapshot` where its bytes do not load.
        """
        if ref is None or settings.routing.learned == "off":
            return None
        from meliora.routing.choose import learned

        return learned(self._policy((tenant, place), ref, kept), settings, offers.all())

    def _policy(self, place: tuple[str, str], ref: PolicyRef, kept: RoutingSnapshots) -> Policy:
        with self._lock:
            held = self._held.get(place)
        if held is not None and held[0] == ref:
            return held[1]
        from meliora.routing.learned.snapshot import decode

        policy = decode(kept.blob(place[0], ref.number))
        with self._lock:
            self._held[place] = (ref, policy)
        return policy
