"""What governs the loop, built from the settings: the policies in force, and the decisions that can be replayed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meliora.loop.audit.replay import Replays
from meliora.loop.policy.bundle import with_directory
from meliora.loop.policy.decide import DECISION, Policies
from meliora.loop.policy.simulate import again
from meliora.settings import Settings

if TYPE_CHECKING:
    from meliora.store.store import Store


def policies(settings: Settings, store: Store | None = None) -> Policies:
    """Give the policies in force, and keep their text, so that what they decide can be taken again. Broken ones deny."""
    found = policies_of(settings.loop.policies, replace=settings.loop.replace_policies)
    if store is not None:
        store.policy_bundles.keep(found.sha256, found.bundle.text)
    return found


def policies_of(directory: Path | None, *, replace: bool) -> Policies:
    """Give Meliora's policies with those of a directory, or these alone."""
    return Policies(with_directory(None if directory is None else directory.expanduser(), replace=replace))


def replays(store: Store) -> Replays:
    """Give the decisions that can be taken again from what the store has."""
    known = Replays()
    known.register(DECISION, again(store.policy_bundles.text))
    return known
