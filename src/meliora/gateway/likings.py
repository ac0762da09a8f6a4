"""What users like, as far as it moves a policy's choice: each tenant's table of offsets, and a call's own lines of it."""

from __future__ import annotations

from collections.abc import Mapping

from meliora.errors import MelioraError
from meliora.gateway.following import Following, Refused
from meliora.gateway.state import PolicyRef
from meliora.routing.preferences.offsets import OffsetTable, decode
from meliora.telemetry.ids import subject_of


class Likings(Following[OffsetTable]):
    """Follow the tables of offsets. Without one everybody is served by the policy alone."""

    name = "table of preferences"
    folder = "preferences"

    def open(self, blob: bytes, ref: PolicyRef) -> OffsetTable:
        """Decode. Raises `Refused`."""
        try:
            return decode(blob)
        except MelioraError as error:
            raise Refused(str(error)) from error


def offsets_of(
    tables: Mapping[str, OffsetTable], secret: str, tenant: str, user: str | None
) -> Mapping[str, Mapping[str, float]] | None:
    """Give a user's offsets by task and model; None where nothing is known of them."""
    table = tables.get(tenant)
    if table is None or user is None:
        return None
    return table.of(subject_of(secret, tenant, user))
