"""Changes that live a second: two scripted kinds over real planes, a scripted judge, and people who do what people do.

`Outside` delivers to a plane outside the database, `Pointer` moves the pointer of the tenant's routing policy. Whatever happens to a
change is drawn of its id and attempt, so that its path needs no memory, and lifecycles take every way there is.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from benchmarks.loop.plane import Plane
from meliora.errors import Conflict
from meliora.loop.acts import Acts
from meliora.loop.change import Change, Origin
from meliora.loop.house import House, Rules, TrialVerdict, WatchVerdict
from meliora.loop.kind import Guardrail, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.policy.decide import Decision
from meliora.loop.pulse import Pulse
from meliora.loop.states import State
from meliora.loop.work import Work
from meliora.runtime.trials import TrialRows
from meliora.store.store import Store
from meliora.testing.loop import OpenGovernance

TENANTS = ("a", "b", "c")
OPEN = 8
"""Changes that are under way at once, at least."""
RULES = Rules(
    lease_seconds=0.5,
    look_seconds=0.02,
    wait_seconds=0.05,
    failures=3,
    retry_seconds=0.02,
    inconclusive_seconds=0.05,
    inconclusive_tries=2,
)


class Told(Exception):
    """A failure by the script."""


def chance(change: Change, what: str, *, once: bool = False) -> float:
    """Give a number from 0 to 1: the same for a change's attempt, with `once` for the whole change."""
    of = f"{change.id}/{what}" if once else f"{change.id}/{what}/{change.attempt}"
    return int.from_bytes(sha256(of.encode()).digest()[:6], "big") / 2**48


@dataclass
class Scripted:
    """What both kinds do alike."""

    store: Store

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Pass mostly; sometimes fail, or say that it cannot be told."""
        drawn = chance(change, "prove")
        if drawn > 0.95:
            return Later(0.02, "it goes on", {"done": work.checkpoint.get("done", 0) + 1})
        verdict: Any = "failed" if drawn < 0.05 else "inconclusive" if drawn < 0.12 else "passed"
        return Proof(verdict=verdict, method="script", rule="as drawn", sentence="drawn", baseline=change.baseline)

    def trial(self, change: Change) -> TrialPlan | None:
        """Try most of them, in two stages."""
        if chance(change, "tried", once=True) < 0.15:
            return None
        return TrialPlan(
            overlay=self.overlay(change, change.candidate),
            primary="reward",
            stages=(0.05, 0.2),
            stage_seconds=0.0,
            stage_units=0,
            minimum_seconds=0.0,
            minimum_units=0,
            maximum_seconds=3600.0,
        )

    def watch(self, change: Change) -> WatchPlan | None:
        """Watch most of them, three checks long."""
        if chance(change, "watched", once=True) < 0.1:
            return None
        return WatchPlan(
            overlay=self.overlay(change, change.baseline),
            guardrails=(Guardrail(metric="error_rate", margin=0.1),),
            checks=3,
            every_seconds=0.02,
            minimum_calls=1,
        )

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that the baseline serves. Raises `Conflict`."""
        if self.serving(change) != change.baseline:
            raise Conflict(f"{self.serving(change)} serves, not {change.baseline}")
        return {"baseline": change.baseline}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Exchange the baseline for the candidate; fail before or after now and then."""
        return self._spoilt(change, work, "deliver") or self.serving(change) or ""

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Exchange it back; fail before or after more often."""
        return self._spoilt(change, work, "undo") or self.serving(change)

    def _spoilt(self, change: Change, work: Work, what: Any) -> Later | None:
        drawn = chance(change, what)
        if drawn < 0.1:
            raise Told(f"{what} fails before its effect")
        if drawn > 0.95:
            return Later(0.02, "not yet")
        self.effect(change, work, what)
        if drawn < (0.2 if what == "deliver" else 0.3):
            raise Told(f"{what} fails after its effect")
        return None

    def effect(self, change: Change, work: Work, what: Any) -> None:
        """Take effect, once."""
        raise NotImplementedError

    def serving(self, change: Change) -> str | None:
        """Read back."""
        raise NotImplementedError

    def overlay(self, change: Change, version: str | None) -> dict[str, Any]:
        """Give what an arm does differently."""
        raise NotImplementedError


@dataclass
class Outside(Scripted):
    """Its effect is in a file, under a key, with the attempt as a fence."""

    plane: Plane
    name = "outside"
    surface = "outside"

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Offer a version named after the change."""
        if chance(change, "propose", once=True) < 0.03:
            return None
        target = f"{change.tenant}-{'xy'[chance(change, 'target', once=True) < 0.5]}"
        return Proposal(
            target=target, summary="", payload={}, candidate=f"v-{change.id}", baseline=self.plane.serving(target)
        )

    def effect(self, change: Change, work: Work, what: Any) -> None:
        """Write it into the plane's file."""
        ways = (change.baseline or "", change.candidate or "")
        before, after = ways if what == "deliver" else ways[::-1]
        self.plane.exchange(change.target, what, change.id, work.fence.attempt, work.key, before, after)

    def serving(self, change: Change) -> str | None:
        """Read the plane's file."""
        return self.plane.serving(change.target)

    def overlay(self, change: Change, version: str | None) -> dict[str, Any]:
        """Nothing that a gateway knows."""
        return {}


@dataclass
class Pointer(Scripted):
    """Its effect is the pointer of the policy that serves, moved in one transaction with the fence."""

    name = "pointer"
    surface = "gateway"

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Keep a snapshot, once a change, and offer it."""
        shelf = self.store.routing_snapshots
        serving = shelf.serving(change.tenant)
        assert serving is not None, "each tenant begins with one"
        known = (one for one in shelf.list(change.tenant, limit=50) if one.made_by == change.id)
        made = next(known, None) or shelf.add(
            change.tenant, lambda number: b"%d" % number, kind="fit", made_by=change.id, parent=serving.number
        )
        return Proposal(
            target="routing", summary="", payload={}, candidate=str(made.number), baseline=str(serving.number)
        )

    def effect(self, change: Change, work: Work, what: Any) -> None:
        """Move the pointer, unless it is there."""
        ways = (int(change.baseline or 0), int(change.candidate or 0))
        before, after = ways if what == "deliver" else ways[::-1]
        shelf = self.store.routing_snapshots
        serving = shelf.serving(change.tenant)
        if serving is not None and serving.number == after:
            return
        moved = shelf.exchange(
            change.tenant,
            after,
            instead_of=before,
            evidence={what: change.id},
            is_return=what == "undo",
            fenced=self.store.changes.check(work.fence),
        )
        if not moved:
            raise Conflict("something else serves")

    def serving(self, change: Change) -> str | None:
        """Read the pointer."""
        serving = self.store.routing_snapshots.serving(change.tenant)
        return None if serving is None else str(serving.number)

    def overlay(self, change: Change, version: str | None) -> dict[str, Any]:
        """Serve an arm by a snapshot."""
        found = self.store.routing_snapshots.get(change.tenant, int(version or 0))
        return {"policy": {"number": found.number, "sha256": found.sha256}}


class DrawnJudge:
    """Judges by what is drawn of the change."""

    def trial(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Mostly better, sometimes worse, of the wrong size, or not to be told yet."""
        drawn = chance(change, "trial")
        outcome: Any = (
            "worse" if drawn < 0.06 else "mismatch" if drawn < 0.1 else "undecided" if drawn < 0.3 else "better"
        )
        return TrialVerdict(
            outcome=outcome, sentence="drawn", candidate_units=9, baseline_units=9, stage_units=9, evidence={"u": drawn}
        )

    def shadow(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Say what a trial says: no life here begins in the shadow."""
        return self.trial(change, plan)

    def watch(self, change: Change, plan: WatchPlan, period_us: int) -> WatchVerdict:
        """A third of all changes do harm, and that shows mostly."""
        drawn, harmful = chance(change, "watch"), chance(change, "harm", once=True) < 0.33
        if drawn > 0.93:
            return WatchVerdict(outcome="no_data", sentence="silence", calls=0)
        return WatchVerdict(outcome="fail" if drawn < (0.8 if harmful else 0.1) else "pass", sentence="drawn", calls=9)

    def detects(self, change: Change, plan: WatchPlan) -> dict[str, float | None]:
        """Know nothing of how calls vary."""
        return {}


class Switched(OpenGovernance):
    """Permits everything while the kill switch is off."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def halted(self) -> bool:
        """Read the switch."""
        return self._store.control.halted()


class Silent:
    """No gates, no schedules: people alone open cycles."""

    def tick(self, tenant: str) -> tuple[Any, ...]:
        """Find nothing."""
        return ()

    def reaction(self, tenant: str, gate: str) -> None:
        """Know no trigger."""

    def scheduled(self, tenant: str) -> tuple[Any, ...]:
        """Know no schedule."""
        return ()

    def failing(self, tenant: str) -> tuple[Any, ...]:
        """Find nothing."""
        return ()


class Life:
    """All that moves in one process: the house, the pulse, and the people."""

    def __init__(self, store: Store, plane: Plane, owner: str, rng: random.Random) -> None:
        self.store = store
        self.kinds: Mapping[str, Any] = {"outside": Outside(store, plane), "pointer": Pointer(store)}
        trials = TrialRows(store.trials)
        self.house = House(
            shelf=store.changes,
            kinds=self.kinds,
            governance=Switched(store),
            judge=DrawnJudge(),
            trials=trials,
            finding=lambda tenant, finding: {"id": finding},
            diagnose=lambda change: (f"fnd_{change.id}", {"sentence": "drawn"}),
            tell=lambda happened: None,
            owner=owner,
            rules=RULES,
        )
        self._acts = Acts(store.changes, trials)
        self.pulse = Pulse(Silent(), store.cycles, store.changes, self.kinds, _permitted, lambda: TENANTS, "production")
        self._rng = rng

    def people(self, *, begin: bool) -> bool:
        """Let people begin changes, and act on those that wait for them; tell whether anything is still under way."""
        rng = self._rng
        under_way = [
            change for tenant in TENANTS for change in self.store.changes.list(tenant, state=_UNDER_WAY, limit=50).items
        ]
        for change in under_way:
            try:
                self._act(change, rng.random(), calm=not begin)
            except Conflict:
                continue  # somebody else was first
        if self.store.control.halted() and (rng.random() < 0.3 or not begin):
            self.store.control.resume("cli", "it was a drill")
        if begin:
            if rng.random() < 0.01:
                self.store.control.kill("cli", "a drill")
            self._begin(rng, len(under_way))
        return bool(under_way)

    def _act(self, change: Change, drawn: float, *, calm: bool) -> None:
        acts, tenant, id = self._acts, change.tenant, change.id
        if change.state is State.ROLLBACK_FAILED:
            acts.roll_back(tenant, id, actor="key_1", why="again")
        elif change.state is State.PAUSED and change.due_us is None:
            act = acts.resume if drawn < 0.7 else acts.reject
            act(tenant, id, actor="key_1", why="")
        elif not calm and drawn < 0.01 and change.state in (State.TRYING, State.WATCHING, State.PROVING):
            acts.pause(tenant, id, actor="key_1", why="let me look")
        elif (
            not calm and drawn > 0.99 and change.state in (State.TRYING, State.WATCHING, State.PROVED, State.DELIVERING)
        ):
            acts.reject(tenant, id, actor="key_1", why="no")

    def _begin(self, rng: random.Random, under_way: int) -> None:
        tenant = rng.choice(TENANTS)
        if rng.random() < 0.05:
            kept = self.store.changes.list(tenant, state=(State.KEPT,), limit=3).items
            if kept:
                try:
                    self._acts.roll_back(tenant, rng.choice(kept).id, actor="key_1", why="it was better before")
                except Conflict:
                    return
        if rng.random() < 0.1:
            try:
                self.pulse.trigger(tenant, Origin("person", "key_1"), force=True, kinds=("outside", "pointer"))
            except Conflict:
                return
        if under_way < OPEN:
            kind = self.kinds[rng.choice(("outside", "pointer"))]
            self.store.changes.add(
                tenant,
                kind=kind.name,
                target=kind.name,
                surface=kind.surface,
                environment="production",
                origin=Origin("gate", "error_rate"),
            )


def _permitted(tenant: str, subject: str) -> Decision:
    return Decision(allowed=True)


_UNDER_WAY = tuple(state for state in State if state not in (State.KEPT, State.REJECTED, State.ROLLED_BACK))
