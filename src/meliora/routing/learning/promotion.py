"""A candidate proves itself before it serves: on logged traffic where it reads prompts as the running policy does, else by replay.

Refuses to put in service what has not proved better, unless a person says so; then the evidence says who did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from meliora.errors import Conflict
from meliora.routing.dialled import dialled
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.snapshot import BadSnapshot, decode
from meliora.routing.learning.evaluate import Evaluation, evaluate, log_of
from meliora.routing.learning.records import Outcome, Snapshot
from meliora.settings.routing import Dial as DialSettings
from meliora.stats.offpolicy import Estimate

DAY_US = 86_400_000_000
_MOST = 20_000


class Shelf(Protocol):
    """What a promotion asks of the snapshots as the store keeps them. All methods raise `StoreError`."""

    def get(self, tenant: str, number: int) -> Snapshot:
        """Give a snapshot. Raises `NotFound`."""
        ...

    def blob(self, tenant: str, number: int) -> bytes:
        """Give a snapshot's bytes. Raises `NotFound`."""
        ...

    def serving(self, tenant: str) -> Snapshot | None:
        """Give what serves."""
        ...

    def note(self, tenant: str, number: int, evidence: dict[str, Any]) -> Snapshot:
        """Add to what is known of a snapshot."""
        ...

    def promote(self, tenant: str, number: int, *, evidence: dict[str, Any] | None = None) -> Snapshot:
        """Let a snapshot serve."""
        ...


class Logged(Protocol):
    """What a promotion asks of the outcomes as the store keeps them. Raises `StoreError`."""

    def logged(self, tenant: str, trunk: str, since_us: int, limit: int) -> Sequence[Outcome]:
        """Give the last outcomes of a trunk."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a candidate beside the policy that serves (None: none does), and whether that is enough."""

    number: int
    running: int | None
    method: str
    """`logged`: off-policy, on recorded traffic; `replay`: on prompts of which every model's outcome is known; `none`."""
    proved: bool
    sentence: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where candidates are held against what serves."""

    shelf: Shelf
    outcomes: Logged
    dial: Dial
    now_us: int
    days: float = 30.0

    def prove(self, tenant: str, number: int) -> Proof:
        """Hold a candidate against what serves, and keep what comes out as its evidence.

        Raises `NotFound`, and `Conflict` for one that serves already or does not load.
        """
        candidate, running = self.shelf.get(tenant, number), self.shelf.serving(tenant)
        if running is not None and running.number == number:
            raise Conflict(f"Routing snapshot {number} serves already.")
        proof = self._compared(tenant, candidate, running)
        self.shelf.note(tenant, number, {"proof": proof.evidence | {"at_us": self.now_us}})
        return proof

    def promote(self, tenant: str, number: int, *, force: bool, actor: str) -> tuple[Snapshot, Proof]:
        """Let a candidate serve that has proved better, or any with `force`. Raises `Conflict` for one that has not."""
        proof = self.passed(tenant, number, force=force)
        said = {"promoted_by": actor} | ({} if proof.proved else {"forced": True})
        return self.shelf.promote(tenant, number, evidence=said), proof

    def passed(self, tenant: str, number: int, *, force: bool) -> Proof:
        """Prove a candidate. Raises `Conflict` for one that has not proved better, unless with `force`."""
        proof = self.prove(tenant, number)
        if not proof.proved and not force:
            raise Conflict(
                f"Routing snapshot {number} was not put in service: {proof.sentence}.",
                hint="`--force` (in the API `force`) puts it in service all the same, and its evidence says so.",
            )
        return proof

    def _compared(self, tenant: str, candidate: Snapshot, running: Snapshot | None) -> Proof:
        """Estimate on logged traffic where that holds prompts as the candidate reads them, else take the replay's word."""
        try:
            policy = decode(self.shelf.blob(tenant, candidate.number))
        except BadSnapshot as error:
            raise Conflict(f"Routing snapshot {candidate.number} cannot serve: {error}") from error
        if running is None:
            return _replayed(candidate, None)
        try:
            now = decode(self.shelf.blob(tenant, running.number))
        except BadSnapshot as error:
            return _unproved(candidate, running.number, f"the snapshot that serves does not load: {error}")
        if policy.trunk != now.trunk:
            return _replayed(candidate, running)
        since = max(0, self.now_us - round(self.days * DAY_US))
        log = log_of(self.outcomes.logged(tenant, now.trunk, since, _MOST), now.trunk)
        found = evaluate(log, policy, now, self.dial)
        evidence = {"method": "logged", "against": running.number, "proved": found.serves, "verdict": found.verdict()}
        evidence |= described(found)
        return Proof(candidate.number, running.number, "logged", found.serves, found.verdict(), evidence)


def delivered_by(shelf: Shelf, tenant: str) -> str | None:
    """Give the change that put in service what serves, with what was learned since; None where it was none."""
    serving = shelf.serving(tenant)
    if serving is None:
        return None
    said = shelf.get(tenant, serving.anchor).evidence
    root = said.get("root")
    if "delivered_by" not in said and isinstance(root, int):
        said = shelf.get(tenant, root).evidence
    found = said.get("delivered_by")
    return found if isinstance(found, str) else None


def dial_of(settings: DialSettings) -> Dial:
    """Give the dial of the settings, at which candidates are compared."""
    said = dialled(None, None, None, settings)
    return Dial(said.quality_floor, said.willingness_to_pay)


def described(found: Evaluation) -> dict[str, Any]:
    """Give an evaluation as plain numbers; None for what could not be told."""
    named = ("candidate", "running", "difference", "snips", "reward_difference", "cost_difference")
    estimates = {name: _estimate(getattr(found, name)) for name in named}
    return estimates | {
        "decisions": found.decisions,
        "unsupported_share": _number(found.unsupported_share),
        "unpriced_share": _number(found.unpriced_share),
        "pay": found.pay,
    }


def _estimate(found: Estimate) -> dict[str, float | None]:
    return {name: _number(getattr(found, name)) for name in ("value", "low", "high", "ess")}


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _replayed(candidate: Snapshot, running: Snapshot | None) -> Proof:
    """Take the word of the replay that the candidate came with, where it was held against what serves now."""
    kept = candidate.evidence.get("replay")
    against = None if running is None else running.number
    if not isinstance(kept, dict):
        return _unproved(
            candidate, against, "it came without a replay, and the log holds prompts as another policy read them"
        )
    anchor = None if running is None else running.anchor
    if kept.get("against_anchor") != anchor:
        was = kept.get("against")
        return _unproved(
            candidate, against, f"its replay was against {'no policy' if was is None else f'snapshot {was}'}"
        )
    low = kept.get("low")
    proved = isinstance(low, int | float) and low > 0
    verdict = str(kept.get("verdict", ""))
    evidence = {"method": "replay", "against": against, "proved": proved, "verdict": verdict}
    evidence |= {name: kept.get(name) for name in ("value", "low", "high", "prompts")}
    return Proof(candidate.number, against, "replay", proved, verdict, evidence)


def _unproved(candidate: Snapshot, against: int | None, why: str) -> Proof:
    verdict = f"not proved: {why}"
    evidence = {"method": "none", "against": against, "proved": False, "verdict": verdict}
    return Proof(candidate.number, against, "none", False, verdict, evidence)
