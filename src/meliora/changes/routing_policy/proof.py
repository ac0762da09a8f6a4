"""Holds a candidate against the frozen baseline, whatever serves by now, and by outcomes that its fit has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from meliora.changes.routing_policy.shelf import Frozen, LoggedOutcomes, PolicyShelf, Wanted
from meliora.loop.change import Change
from meliora.loop.kind import Figure, Proof, Verdict
from meliora.routing.learned.dial import Dial
from meliora.routing.learning.evaluate import LEAST_ESS
from meliora.routing.learning.promotion import Bench
from meliora.routing.learning.promotion import Proof as Compared
from meliora.routing.learning.records import Outcome, Snapshot

RULE = "lower bound (95%) of the difference in utility, candidate less baseline, > 0"
CHEAPER = 0.02
"""Share of the cost that a replay must have saved for the candidate to be tried for its cost."""


@dataclass(frozen=True, slots=True)
class Against:
    """The snapshots with the frozen baseline in the place of what serves. Puts nothing in service."""

    shelf: PolicyShelf
    frozen: Frozen | None

    def get(self, tenant: str, number: int) -> Snapshot:
        """Give a snapshot. Raises `NotFound`."""
        return self.shelf.get(tenant, number)

    def blob(self, tenant: str, number: int) -> bytes:
        """Give a snapshot's bytes. Raises `NotFound`."""
        return self.shelf.blob(tenant, number)

    def serving(self, tenant: str) -> Snapshot | None:
        """Give the baseline; where its bytes were let go meanwhile, what learning has made of it since, else what it set out from."""
        frozen = self.frozen
        if frozen is None:
            return None
        found = self.shelf.get(tenant, frozen.number)
        if not found.kept:
            serving = self.shelf.serving(tenant)
            same = serving is not None and serving.anchor == frozen.anchor
            found = serving if same and serving is not None else self.shelf.get(tenant, frozen.anchor)
        return msgspec.structs.replace(found, anchor=frozen.anchor)

    def note(self, tenant: str, number: int, evidence: dict[str, Any]) -> Snapshot:
        """Add to what is known of a snapshot."""
        return self.shelf.note(tenant, number, evidence)

    def promote(self, tenant: str, number: int, *, evidence: dict[str, Any] | None = None) -> Snapshot:
        """Refuse: a proof puts nothing in service."""
        raise NotImplementedError("a proof puts nothing in service")


class Unseen:
    """Recorded outcomes of a stretch of time: after the fit, up to where the change began to be proved."""

    def __init__(self, outcomes: LoggedOutcomes, after_us: int, until_us: int) -> None:
        self._outcomes, self._after, self._until = outcomes, after_us, until_us
        self.calls: list[Outcome] = []
        """What was used last."""

    def logged(self, tenant: str, trunk: str, since_us: int, limit: int) -> Sequence[Outcome]:
        """Give the outcomes of a trunk in the stretch."""
        found = self._outcomes.logged(tenant, trunk, max(since_us, self._after + 1), limit)
        self.calls = [one for one in found if one.started_us <= self._until]
        return self.calls


def proved(
    shelf: PolicyShelf, outcomes: LoggedOutcomes, dial: Dial, change: Change, wanted: Wanted, seed: int
) -> Proof:
    """Prove a candidate. Raises `NotFound` or `Conflict` where it, or the baseline, cannot be read."""
    until = change.updated_us
    unseen = Unseen(outcomes, wanted.fitted_until_us, until)
    found = Bench(Against(shelf, wanted.baseline), unseen, dial, until).prove(change.tenant, wanted.snapshot)
    shelf.note(
        change.tenant, wanted.snapshot, {"tried_for": {"change": change.id, "metric": gain_in(found, shelf, change)}}
    )
    used = unseen.calls
    data: dict[str, Any] = {
        "baseline_snapshot": found.running,
        "outcomes": len(used),
        "after_us": wanted.fitted_until_us,
        "until_us": until,
    }
    if used:
        data |= {"first": used[0].call_id, "last": used[-1].call_id}
    verdict, sentence = _verdict(found), found.sentence
    if wanted.forced and verdict != "passed":
        verdict, sentence = "passed", f"it stands on a person's word: {sentence}"
    return Proof(
        verdict=verdict,
        method={"logged": "off-policy on recorded outcomes, doubly robust", "replay": "replay of scored prompts"}.get(
            found.method, "none"
        ),
        rule=RULE,
        sentence=sentence,
        data=data,
        figures=_figures(found),
        baseline=change.baseline,
        seed=seed,
    )


def gain_in(found: Compared, shelf: PolicyShelf, change: Change) -> str:
    """Tell what the candidate is to win its trial by: cost where it proved cheaper and not better, else the answers."""
    if found.method == "logged":
        cost, reward = (found.evidence.get(f"{name}_difference") or {} for name in ("cost", "reward"))
        cheaper, better = (cost.get("high") or 0) < 0, (reward.get("low") or 0) > 0
        return "cost_per_call" if cheaper and not better else "reward"
    if found.method == "replay":
        known = shelf.get(change.tenant, found.number).evidence
        saving, share = known.get("saving"), known.get("quality_share")
        if isinstance(saving, int | float) and isinstance(share, int | float):
            return "cost_per_call" if saving >= CHEAPER and share <= 1 else "reward"
    return "reward"


def _verdict(found: Compared) -> Verdict:
    if found.proved:
        return "passed"
    if found.method == "none":
        return "inconclusive"
    if found.method == "logged":
        ess = (found.evidence.get("difference") or {}).get("ess")
        return "failed" if ess is not None and ess >= LEAST_ESS else "inconclusive"
    return "failed" if found.evidence.get("low") is not None else "inconclusive"


def _figures(found: Compared) -> tuple[Figure, ...]:
    shown = []
    for name, unit in (
        ("difference", "utility"),
        ("candidate", "utility"),
        ("running", "utility"),
        ("reward_difference", "0..1"),
        ("cost_difference", "USD"),
    ):
        told = found.evidence.get(name)
        if isinstance(told, dict):
            n = int(told.get("ess") or 0)
            shown.append(Figure(name=name, value=told["value"], low=told["low"], high=told["high"], n=n, unit=unit))
    if found.method == "replay":
        value, low, high = (found.evidence.get(name) for name in ("value", "low", "high"))
        count = int(found.evidence.get("prompts") or 0)
        shown.append(Figure(name="difference", value=value, low=low, high=high, n=count, unit="utility"))
    if (share := found.evidence.get("unsupported_share")) is not None:
        shown.append(Figure(name="unsupported_share", value=share, n=found.evidence["decisions"], unit="share"))
    return tuple(shown)
