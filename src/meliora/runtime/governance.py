"""What governs the loop, built from the settings: the policies in force, and the decisions that can be replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meliora.loop.approvals import Approvers
from meliora.loop.audit.edges import verdict_again, watch_again
from meliora.loop.audit.replay import Replays
from meliora.loop.caps import Caps, Counts
from meliora.loop.change import Change
from meliora.loop.control import Controls, KillFile, Switch
from meliora.loop.governance import Governed, Offices, Settled
from meliora.loop.policy.bundle import with_directory
from meliora.loop.policy.decide import DECISION, Policies
from meliora.loop.policy.request import Facts
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


@dataclass(frozen=True, slots=True)
class Governance:
    """Who decides, who approves, who starts and stops."""

    governed: Governed
    policies: Policies
    approvers: Approvers
    controls: Controls
    switch: Switch
    file: KillFile
    facts: Facts
    """Of an act on the loop itself."""


def governance(
    settings: Settings, store: Store, clock_us: Callable[[], int], counts: Callable[[Change], Counts]
) -> Governance:
    """Put it together; `counts` says what was done today, and at a change's target."""
    chosen = settings.loop
    found = policies(settings, store)
    file = KillFile(settings.server.state_dir)
    switch = Switch(store.control, file)
    dollars = chosen.budget_usd
    caps = Caps(
        cycles_per_day=chosen.max_cycles_per_day,
        changes_per_day=chosen.max_changes_per_day,
        cooldown_seconds=chosen.cooldown_seconds,
        budget_micros_per_day=None if dollars is None else round(dollars * 1e6),
    )
    offices = Offices(
        policies=found,
        approvals=store.approvals,
        switch=switch,
        control=store.control,
        audit=store.audit,
        counts=counts,
        now_us=clock_us,
    )
    settled = Settled(
        environment=chosen.environment,
        auto_promote=chosen.approval.auto_promote and not chosen.approval.required,
        protected=frozenset(chosen.protected),
        caps=caps,
        approval_seconds=chosen.approval.expires_seconds,
    )
    return Governance(
        governed=Governed(offices, settled),
        policies=found,
        approvers=Approvers(store.approvals, found, store.audit),
        controls=Controls(store.control, file, found, store.audit),
        switch=switch,
        file=file,
        facts=Facts(environment=chosen.environment),
    )


def replays(store: Store) -> Replays:
    """Give the decisions that can be taken again from what the store has."""
    known = Replays()
    known.register(DECISION, again(store.policy_bundles.text))
    known.register("trial", verdict_again)
    known.register("watch", watch_again)
    return known
