"""The learned policies that this gateway serves by. numpy is imported with the first one and not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meliora.errors import MelioraError
from meliora.gateway.following import Following, Refused, file_in
from meliora.gateway.state import GATEWAY, PolicyRef, State

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


class TrialPolicies(Policies):
    """Follow the routing snapshots that overlays of trials name: each tenant's one, besides what serves it."""

    name = "routing snapshot of a trial"
    kept_in = "trial_policies"


def refs_of(state: State) -> dict[str, PolicyRef]:
    """Give, by tenant, the policy that the overlay of its trial names."""
    found = {one.tenant: one.overlay.policy for one in state.trials if one.surface == GATEWAY}
    return {tenant: ref for tenant, ref in found.items() if ref is not None}


def file_of(state_dir: Path, ref: PolicyRef, kind: type[Policies] = Policies) -> Path:
    """Give where a policy lies on the disk."""
    return file_in(state_dir / (kind.kept_in or kind.folder), ref)
