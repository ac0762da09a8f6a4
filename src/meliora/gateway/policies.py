"""The learned policies that this gateway serves by. numpy is imported with the first one and not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meliora.errors import MelioraError
from meliora.gateway.following import Following, Refused, file_in
from meliora.gateway.state import PolicyRef

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy


class Policies(Following["Policy"]):
    """Follow the routing snapshots that serve."""

    name = "routing snapshot"
    folder = "policies"

    def open(self, blob: bytes, ref: PolicyRef) -> Policy:
        """Decode, and compare the number. Raises `Refused`."""
        from meliora.routing.learned.snapshot import decode

        try:
            policy = decode(blob)
        except MelioraError as error:
            raise Refused(str(error)) from error
        if policy.number != ref.number:
            raise Refused(f"it says that it is number {policy.number}")
        return policy


def file_of(state_dir: Path, ref: PolicyRef) -> Path:
    """Give where a policy lies on the disk."""
    return file_in(state_dir / Policies.folder, ref)
