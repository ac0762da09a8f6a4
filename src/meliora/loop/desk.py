"""What people, agents and programs ask of the loop: how it stands, do this, stop that. HTTP, command line and MCP call it.

Each act is by somebody and noted in the audit; what the loop does by itself is not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from meliora.errors import Conflict, Forbidden, InvalidRequest, NotFound
from meliora.loop.acts import Acts
from meliora.loop.approvals import Approval, Approvers, Verdict
from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.change import Change, Environment, Origin
from meliora.loop.control import Controls
from meliora.loop.desk_store import Approvals, Changes, Cycles, GateStates, Record, Switch
from meliora.loop.gates.board import GateRow
from meliora.loop.improvements import gains, improvements
from meliora.loop.policy.decide import Policies
from meliora.loop.policy.request import Action as Asked
from meliora.loop.policy.request import Actor, Facts, Request
from meliora.loop.policy.request import Target as PolicyTarget
from meliora.loop.pulse import Pulse
from meliora.loop.shown import Action, ChangeShown, CycleShown, History, Status, Triggered, action
from meliora.loop.states import ENDED, State

__all__ = [
    "Action",
    "ChangeShown",
    "CycleShown",
    "Desk",
    "History",
    "Status",
    "Target",
    "Triggered",
    "action",
]

DAY_US = 86_400_000_000
Target = Literal["all", "models", "infrastructure"]
AREAS: dict[str, tuple[str, ...]] = {
    "models": ("routing_policy", "routing_rule", "query_repair", "reranker", "fusion_weights"),
    "infrastructure": ("model_choice", "reindex", "knowledge_pruning"),
}
"""The kinds of change that a trigger's target means: how questions are answered, and what answers them."""


WAITING = (State.PROPOSED, State.PROVED, State.TRYING)


@dataclass(frozen=True, slots=True)
class Desk:
    """Answers questions about the loop, and does as it is told."""

    changes: Changes
    cycles: Cycles
    acts: Acts
    pulse: Pulse
    switch: Switch
    controls: Controls
    approvals: Approvals
    approvers: Approvers
    policies: Policies
    audit: Record
    gates: GateStates
    environment: Environment
    uptime: Callable[[], float | None] = lambda: None
    """Seconds that this process has served."""

    def status(self, tenant: str) -> Status:
        """Say how it stands. A day's counts are of changes that were begun in it."""
        now = self.changes.now_us()
        counts = self.changes.counts(tenant, now - DAY_US)
        latest = self.changes.list(tenant, limit=1).items
        busy = self.changes.list(tenant, state=[one for one in State if one not in ENDED], limit=50).items
        running = self.switch.running() and not self.switch.halted()
        tick = self.gates.next_tick_us(tenant)
        return Status(
            is_running=running,
            total_optimizations_24h=sum(sum(states.values()) for states in counts.values()),
            actions_by_type={kind: sum(states.values()) for kind, states in sorted(counts.items())},
            quality_gates_status=self.gates.overall(tenant),
            next_cycle_in_minutes=max(0.0, round((tick - now) / 60e6, 1)) if running and tick is not None else None,
            last_action=action(latest[0]) if latest else None,
            halted=self.switch.halted(),
            environment=self.environment,
            open_cycles=tuple(one.id for one in self.cycles.open_ones() if one.tenant == tenant),
            in_progress=tuple(action(one) for one in busy),
            waiting_for_people=sum(one.due_us is None or "waits for an approval" in (one.reason or "") for one in busy),
            uptime_seconds=self.uptime(),
            backlog_seconds=self.gates.last(tenant).get("ingest_lag"),
        )

    def trigger(self, tenant: str, actor: Actor, *, force: bool, target: Target = "all") -> Triggered:
        """Look at the gates now; with `force` begin a cycle whatever they say. Raises `Forbidden`, `Conflict` where none may begin."""
        kinds = () if target == "all" else AREAS.get(target)
        if kinds is None:
            raise InvalidRequest(
                f"There is no target {target!r}.", hint="Write all, models or infrastructure.", field="target"
            )
        known = tuple(kind for kind in kinds if kind in self.pulse.kinds)
        with self._noting("trigger", actor, PolicyTarget(id="loop", kind="loop", tenant=tenant)):
            if kinds and not known:
                raise Conflict(f"This deployment has no kind of change for {target}.", hint="Ask for all.")
            cycle = self.pulse.trigger(tenant, _origin(actor), force=force, kinds=known)
        if cycle is None:
            return Triggered(status="nothing_to_do", cycle_id=None, actions_taken=(), improvements=improvements(()))
        taken = tuple(one.kind for one in self.changes.of_cycle(tenant, cycle.id))
        return Triggered(status="started", cycle_id=cycle.id, actions_taken=taken, improvements=improvements(()))

    def propose(self, tenant: str, actor: Actor, kind: str, target: str, payload: dict[str, Any]) -> Change:
        """Begin a change that somebody asks for: `payload` says what, in the kind's words. Raises `Forbidden`, `NotFound`."""
        known = self.pulse.kinds.get(kind)
        if known is None:
            raise NotFound(f"There is no kind of change {kind!r}.", hint=f"There are: {', '.join(self.pulse.kinds)}.")
        with self._noting("propose", actor, PolicyTarget(id=target, kind=kind, surface=known.surface, tenant=tenant)):
            return self.changes.add(
                tenant,
                kind=kind,
                target=target,
                surface=known.surface,
                environment=self.environment,
                origin=_origin(actor),
                state=State.DIAGNOSED,
                payload=payload,
            )

    def start(self, actor: Actor) -> bool:
        """Let the loop begin things; False where it could already. Raises `Forbidden`, `Conflict` under the kill switch."""
        return self.controls.start(actor, self._facts())

    def stop(self, actor: Actor) -> bool:
        """Let it begin nothing new; False where it did not. Raises `Forbidden`."""
        return self.controls.stop(actor, self._facts())

    def kill(self, actor: Actor, why: str) -> int:
        """All traffic to the baselines, in every process; gives the epoch to wait for. Raises `Forbidden`."""
        return self.controls.kill(actor, self._facts(), why)

    def resume(self, actor: Actor, why: str) -> int:
        """Take the kill switch back. Raises `Forbidden`."""
        return self.controls.resume(actor, self._facts(), why)

    def set_threshold(self, tenant: str, actor: Actor, gate: str, threshold: float) -> GateRow:
        """Set the bound of a gate, by its name or its metric. Raises `NotFound`, `InvalidRequest`, `Forbidden`."""
        with self._noting("set_gate", actor, PolicyTarget(id=gate, kind="gate", tenant=tenant)):
            if not math.isfinite(threshold):
                raise InvalidRequest(f"threshold is {threshold}.", hint="Write a finite number.", field="threshold")
            return self.gates.set_threshold(tenant, gate, threshold, actor.name)

    def decide(self, tenant: str, change: str, actor: Actor, verdict: Verdict, why: str) -> Approval:
        """Approve or reject what a change waits for, and let it go on at once.

        Raises `NotFound` where nothing is asked for it, `Forbidden` for who may not, `Conflict` where somebody decided before.
        """
        found = self.changes.get(tenant, change)
        asked = [one for one in self.approvals.list(tenant, limit=500) if one.change == change]
        if not asked:
            raise NotFound(f"Change {change} waits for no approval.", hint="`meliora changes list` shows what does.")
        if found.state in ENDED:
            with self._noting("approve", actor, _target(found), change):
                raise Conflict(f"Change {change} is {found.state}: it waits for nothing any more.")
        decided = self.approvers.decide(asked[0].id, verdict, why, self._request("approve", actor, _target(found)))
        self.changes.wake(tenant, change)
        return decided

    def waiting(self, tenant: str) -> tuple[Approval, ...]:
        """Give what waits for a person, the newest first; what was asked for a change that has ended waits no more."""
        asked = self.approvals.list(tenant, "asked", limit=500)
        return tuple(one for one in asked if self.changes.get(tenant, one.change).state not in ENDED)

    def pause(self, tenant: str, change: str, actor: Actor, why: str) -> Change:
        """Hold a change where it stands. Raises `NotFound`, `Forbidden`, `Conflict`."""
        with self._noting("pause", actor, _target(self.changes.get(tenant, change)), change):
            return self.acts.pause(tenant, change, actor=actor.name, why=why)

    def go_on(self, tenant: str, change: str, actor: Actor, why: str) -> Change:
        """Let a paused change go on. Raises `NotFound`, `Forbidden`, `Conflict`."""
        with self._noting("resume", actor, _target(self.changes.get(tenant, change)), change):
            return self.acts.resume(tenant, change, actor=actor.name, why=why)

    def reject(self, tenant: str, change: str, actor: Actor, why: str) -> Change:
        """End a change; one that was delivered is rolled back. Raises `NotFound`, `Forbidden`, `Conflict`."""
        with self._noting("reject", actor, _target(self.changes.get(tenant, change)), change):
            return self.acts.reject(tenant, change, actor=actor.name, why=why)

    def roll_back(self, tenant: str, change: str, actor: Actor, why: str) -> Change:
        """Roll a delivered change back. Raises `NotFound`, `Forbidden`, `Conflict`."""
        with self._noting("roll_back", actor, _target(self.changes.get(tenant, change)), change):
            return self.acts.roll_back(tenant, change, actor=actor.name, why=why)

    def history(self, tenant: str, *, limit: int = 50, cursor: str | None = None) -> History:
        """Give all that was ever done, the newest first."""
        page = self.changes.list(tenant, limit=limit, cursor=cursor)
        return History(tuple(action(one) for one in page.items), page.next)

    def cycle(self, tenant: str, cycle: str) -> CycleShown:
        """Show a cycle. Raises `NotFound`."""
        found = self.cycles.get(tenant, cycle)
        changes = self.changes.of_cycle(tenant, cycle)
        kept = next((one for one in reversed(changes) if one.state is State.KEPT), None)
        measured = gains(self.changes.edges(tenant, kept.id)) if kept is not None else ()
        return CycleShown(
            cycle=found, actions=tuple(action(one) for one in changes), improvements=improvements(measured)
        )

    def change(self, tenant: str, change: str) -> ChangeShown:
        """Show a change with its edges and evidence. Raises `NotFound`."""
        edges = tuple(self.changes.edges(tenant, change))
        return ChangeShown(
            change=self.changes.get(tenant, change),
            edges=edges,
            gains=tuple(msgspec.to_builtins(one) for one in gains(edges)),
        )

    def rollback(self, tenant: str, actor: Actor, *, environment: str, to_version: str | None, why: str) -> Change:
        """Roll back the last delivered change, or the one whose baseline is `to_version`.

        Raises `InvalidRequest` for another environment than this one, `NotFound` where no such change was delivered.
        """
        if environment != self.environment:
            raise InvalidRequest(
                f"This deployment is {self.environment}, not {environment}.", hint="Ask that one.", field="environment"
            )
        delivered = self.changes.list(tenant, state=(State.KEPT, State.WATCHING, State.DELIVERING), limit=500).items
        for one in sorted(delivered, key=lambda change: change.updated_us, reverse=True):
            if to_version is None or one.baseline == to_version:
                return self.roll_back(tenant, one.id, actor, why)
        what = "No change was delivered" if to_version is None else f"No delivered change replaced {to_version!r}"
        raise NotFound(f"{what}: there is nothing to roll back.", hint="`meliora changes list` shows what there is.")

    def _facts(self) -> Facts:
        return Facts(environment=self.environment, halted=self.switch.halted(), running=self.switch.running())

    def _request(self, asked: Asked, actor: Actor, target: PolicyTarget) -> Request:
        return Request(actor=actor, action=asked, target=target, facts=self._facts())

    @contextmanager
    def _noting(self, asked: Asked, actor: Actor, target: PolicyTarget, subject: str | None = None) -> Iterator[None]:
        """Let the block act where the policies do, and tell the audit of a refusal: theirs, or one that what was asked earns."""
        request = self._request(asked, actor, target)
        decision = self.policies.decide(request)
        body = self.policies.recorded(request, decision)
        try:
            if decision.policies == ("halted",):
                raise Conflict("The kill switch is on.", hint="Take it back first: `meliora loop resume`.")
            if not decision.allowed:
                raise Forbidden(decision.reason)
            body = {}
            yield
        except (InvalidRequest, Forbidden, Conflict) as error:
            note = AuditNote(
                tenant=target.tenant,
                actor=word(actor.name),
                action=f"{asked}.refused",
                subject=word(subject or target.id),
                body={**body, "code": error.code},
            )
            self.audit.record(note)
            raise


def _origin(actor: Actor) -> Origin:
    return Origin("agent" if actor.kind == "agent" else "person", actor.name)


def _target(change: Change) -> PolicyTarget:
    return PolicyTarget(id=change.target, kind=change.kind, surface=change.surface, tenant=change.tenant)
