"""A change of the policy that serves: the pointer moves once, in one transaction with the fence, and back to exactly what was there.

A version is what learning set out from: the snapshots that learning inside a policy publishes are the same version, so they are
neither taken for another change nor lost by a rollback. What somebody else put in service is never touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from meliora.changes.manner import GATEWAY, Check, Manner
from meliora.changes.routing_policy.shelf import Frozen, LoggedOutcomes, PolicyShelf, Wanted, version
from meliora.errors import Conflict
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work
from meliora.routing.learning.records import Outcome, Snapshot

if TYPE_CHECKING:
    from meliora.routing.learned.dial import Dial

DAY_US = 86_400_000_000
_MOST = 20_000
_LISTED = 200


class RoutingPolicy:
    """Fits, proves and switches policies of learned routing."""

    name = "routing_policy"
    surface = GATEWAY

    def __init__(
        self,
        shelf: PolicyShelf,
        outcomes: LoggedOutcomes,
        dial: Dial,
        check: Check,
        manner: Manner | None = None,
        days: float = 30.0,
    ) -> None:
        """`dial` is where candidates are compared, `days` how much traffic a policy is fitted to."""
        self._shelf, self._outcomes, self._dial, self._check = shelf, outcomes, dial, check
        self._manner = manner or Manner()
        self._days = days

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Fit a policy to the outcomes on record, or take the snapshot that the change names; None where there is too little.

        Raises `NotFound`, and `Conflict` for a snapshot that serves already or whose bytes are gone.
        """
        named = change.payload.get("snapshot")
        serving = self._shelf.serving(change.tenant)
        found = self._fitted(change, serving, work) if named is None else self._named(change.tenant, named, serving)
        if found is None:
            return None
        frozen = None if serving is None else Frozen(serving.number, serving.anchor, serving.sha256)
        forced = bool(change.payload.get("forced")) and change.origin.kind == "person"
        wanted = Wanted(found.number, found.sha256, frozen, _seen_until(found), forced)
        against = "no policy" if serving is None else version(serving.number)
        return Proposal(
            target="routing",
            summary=f"Routing snapshot {found.number} ({found.kind}) in place of {against}.",
            payload=msgspec.to_builtins(wanted),
            candidate=version(found.number),
            baseline=None if frozen is None else version(frozen.number),
        )

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Hold the candidate against the frozen baseline: off-policy on recorded outcomes, or by its replay."""
        from meliora.changes.routing_policy.proof import proved

        return proved(self._shelf, self._outcomes, self._dial, change, _wanted(change), work.seed)

    def trial(self, change: Change) -> TrialPlan | None:
        """Serve the candidate's arm by it: to win by its answers, or by cost where that is what was proved. None for a forced one."""
        wanted = _wanted(change)
        if wanted.forced:
            return None
        said = self._shelf.get(change.tenant, wanted.snapshot).evidence.get("tried_for", {})
        primary = said.get("metric", "reward") if said.get("change") == change.id else "reward"
        return self._manner.tried(_overlay(wanted.snapshot, wanted.sha256), primary)

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that the baseline serves and can serve again, and that the candidate can. Raises `Conflict` or `NotFound`."""
        from meliora.routing.learned.snapshot import BadSnapshot, decode

        wanted = _wanted(change)
        serving = self._shelf.serving(change.tenant)
        if self._version(change, wanted, serving) != change.baseline:
            raise self._elsewhere(change, serving)
        for number in (wanted.snapshot, *(() if serving is None else (serving.number,))):
            try:
                decode(self._shelf.blob(change.tenant, number))
            except BadSnapshot as error:
                raise Conflict(f"Routing snapshot {number} cannot serve: {error}") from error
        back = None if serving is None else {"number": serving.number, "sha256": serving.sha256}
        return {"restores": back, "candidate": wanted.sha256}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Move the pointer to the candidate. Raises `Conflict` where something else than the baseline serves."""
        wanted = _wanted(change)
        serving = self._shelf.serving(change.tenant)
        now = self._version(change, wanted, serving)
        if now is not None and now == change.candidate:
            return now
        if now != change.baseline or not self._shelf.exchange(
            change.tenant,
            wanted.snapshot,
            instead_of=None if serving is None else serving.anchor,
            evidence={"delivered_by": change.id},
            is_return=False,
            fenced=self._check(work.fence),
        ):
            raise self._elsewhere(change, serving)
        return self.serving(change) or ""

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Move the pointer back to what the candidate replaced. Raises `Conflict` where something else serves by now."""
        wanted = _wanted(change)
        serving = self._shelf.serving(change.tenant)
        now = self._version(change, wanted, serving)
        if now == change.baseline:
            return now
        if (
            serving is None
            or now != change.candidate
            or not self._shelf.exchange(
                change.tenant,
                self._replaced(change, wanted),
                instead_of=serving.anchor,
                evidence={"restored_by": change.id, "root": self._root(change.tenant, wanted)},
                is_return=True,
                fenced=self._check(work.fence),
            )
        ):
            raise self._elsewhere(change, serving)
        return self.serving(change)

    def serving(self, change: Change) -> str | None:
        """Read what serves, by what its learning set out from."""
        return self._version(change, _wanted(change), self._shelf.serving(change.tenant))

    def watch(self, change: Change) -> WatchPlan | None:
        """Keep the holdback on what the candidate replaced, or on no policy where none served."""
        number = self._replaced(change, _wanted(change))
        if number is None:
            return self._manner.watched({"no_policy": True})
        return self._manner.watched(_overlay(number, self._shelf.get(change.tenant, number).sha256))

    def _named(self, tenant: str, number: int, serving: Snapshot | None) -> Snapshot:
        found = self._shelf.get(tenant, number)
        if serving is not None and number in (serving.number, serving.anchor):
            raise Conflict(f"Routing snapshot {number} serves already, with what was learned since.")
        if not found.kept:
            raise Conflict(f"The bytes of routing snapshot {number} were let go.")
        return found

    def _fitted(self, change: Change, serving: Snapshot | None, work: Work) -> Snapshot | None:
        """Give this change's candidate: the one it kept before, a new fit, or where nothing serves the newest that is kept."""
        listed = self._shelf.list(change.tenant, limit=_LISTED)
        own = next((one for one in listed if one.evidence.get("fitted_for") == change.id), None)
        if own is not None:
            return own
        if serving is None:
            return next(
                (one for one in listed if one.state == "candidate" and one.kept and "replay" in one.evidence), None
            )
        return self._fit(change, serving, work)

    def _fit(self, change: Change, serving: Snapshot, work: Work) -> Snapshot | None:
        from dataclasses import replace

        from meliora.changes.routing_policy.refit import LEAST, refit, split, usable
        from meliora.routing.learned.snapshot import decode, encode

        running = decode(self._shelf.blob(change.tenant, serving.number))
        since = max(0, work.now_us() - round(self._days * DAY_US))
        outcomes = usable(self._outcomes.logged(change.tenant, running.trunk, since, _MOST), running)
        outcomes = _since_trouble(outcomes, work.finding, LEAST)
        if len(outcomes) < LEAST:
            return None
        seen, until = split(outcomes)
        work.progress(0.1, f"a policy is fitted to {len(seen)} outcomes")
        policy = refit(running, seen)
        if policy is None:
            return None
        work.progress(0.9, "the policy is kept")
        return self._shelf.add(
            change.tenant,
            lambda number: encode(replace(policy, number=number)),
            kind="fit",
            made_by=change.id,
            evidence={"fitted_for": change.id, "outcomes": len(seen), "fitted_until_us": until},
            parent=serving.number,
        )

    def _version(self, change: Change, wanted: Wanted, serving: Snapshot | None) -> str | None:
        if serving is None:
            return None
        if wanted.snapshot in (serving.number, serving.anchor):
            return version(wanted.snapshot)
        frozen = wanted.baseline
        if frozen is not None and serving.anchor in (frozen.number, frozen.anchor, self._replaced(change, wanted)):
            return version(frozen.number)
        root = self._shelf.get(change.tenant, serving.anchor).evidence.get("root")
        if root == wanted.snapshot:
            return version(wanted.snapshot)
        return version(frozen.number if frozen is not None and root == frozen.anchor else serving.anchor)

    def _root(self, tenant: str, wanted: Wanted) -> int | None:
        """Give what the baseline's learning set out from, whatever rollbacks made its anchor since."""
        if wanted.baseline is None:
            return None
        anchor = wanted.baseline.anchor
        return self._shelf.get(tenant, anchor).evidence.get("root", anchor)

    def _replaced(self, change: Change, wanted: Wanted) -> int | None:
        """Give the snapshot that a rollback restores: the last one of the baseline's learning, as it was when the candidate came."""
        if wanted.baseline is None:
            return None
        candidate = self._shelf.get(change.tenant, wanted.snapshot)
        mine = candidate.evidence.get("delivered_by") == change.id and candidate.replaced is not None
        if mine and self._shelf.get(change.tenant, candidate.replaced or 0).kept:
            return candidate.replaced
        return wanted.baseline.number

    def _elsewhere(self, change: Change, serving: Snapshot | None) -> Conflict:
        now = "no policy" if serving is None else version(serving.number)
        return Conflict(
            f"{now} serves by now, which is neither the baseline ({change.baseline}) nor the candidate ({change.candidate}).",
            hint="`meliora routing status` shows it. What somebody put in service is not touched.",
        )


def _since_trouble(outcomes: list[Outcome], finding: dict[str, Any] | None, least: int) -> list[Outcome]:
    """Give the outcomes since the finding's trouble began, where those are enough: before it, models were other than they are now."""
    moment = (finding or {}).get("moment") or {}
    fresh = [one for one in outcomes if one.started_us >= moment.get("since_us", 0)]
    return fresh if len(fresh) >= least else outcomes


def _wanted(change: Change) -> Wanted:
    return msgspec.convert(change.payload, Wanted)


def _seen_until(found: Snapshot) -> int:
    """Tell up to when a snapshot may have learned from recorded outcomes; they prove nothing of it."""
    fitted = int(found.evidence.get("fitted_until_us", 0))
    return max(fitted, found.made_us) if found.kind == "online" else fitted


def _overlay(number: int, sha256: str) -> dict[str, Any]:
    return {"policy": {"number": number, "sha256": sha256}}
