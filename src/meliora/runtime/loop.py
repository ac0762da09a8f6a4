"""The loop, put together from settings and store: for the worker that moves it, and for whoever asks it something."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from meliora.clock import Clock
from meliora.diagnosis.diagnose import diagnose
from meliora.diagnosis.finding import Breach
from meliora.diagnosis.records import Measured, Unit, Window
from meliora.loop.acts import Acts
from meliora.loop.alerts import Alerts
from meliora.loop.caps import Counts, capped
from meliora.loop.change import Change
from meliora.loop.control import Switch
from meliora.loop.desk import Desk
from meliora.loop.engine import Engine
from meliora.loop.front import Loop
from meliora.loop.gates.board import GateBoard
from meliora.loop.gates.signals import Signals
from meliora.loop.governance import Governed
from meliora.loop.house import Happened, House, Rules
from meliora.loop.judge import ArmJudge
from meliora.loop.policy.decide import Decision
from meliora.loop.pulse import Pulse
from meliora.loop.triggers import Triggers, undone
from meliora.runtime.alerts import alerts_of
from meliora.runtime.artifacts import archive_of
from meliora.runtime.changes import kinds as kinds_of
from meliora.runtime.gates import gate_board, trigger_service
from meliora.runtime.governance import governance
from meliora.runtime.knowledge.diagnosing import METRICS as SEARCH_METRICS
from meliora.runtime.knowledge.diagnosing import SearchDiagnosis
from meliora.runtime.knowledge.kinds import SURFACES, knowing_of
from meliora.runtime.report import Reports
from meliora.runtime.schedules import schedules_of
from meliora.runtime.shared import FEATURES
from meliora.runtime.trials import ArmsOf, TrialRows
from meliora.settings import Settings
from meliora.settings.loop import Loop as LoopSettings
from meliora.store.rows import new_id
from meliora.store.store import Store

log = structlog.get_logger(__name__)

DAY_US = 86_400_000_000
BEFORE_WINDOWS = 24
"""How many windows before the breach a diagnosis compares with."""


def loop_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    owner: str,
    tell: Callable[[Happened], None] | None = None,
    randbytes: Callable[[int], bytes] = os.urandom,
    uptime: Callable[[], float | None] = lambda: None,
) -> Loop:
    """Put the loop together; `owner` names this process in leases, `uptime` says how long it serves.

    Raises `SettingsError`, `InvalidRequest` for a gate or trigger.
    """
    chosen = settings.loop
    counting = Counting(store)
    office = governance(settings, store, store.changes.now_us, counting.of)
    knowing = knowing_of(settings, store, clock)
    kinds = kinds_of(settings, store, clock, knowing)
    board = gate_board(settings, store, randbytes)
    alerts = alerts_of(settings, store, board, owner)
    trials = TrialRows(store.trials)
    triggers = trigger_service(settings, store, board, tuple(kinds))
    house = House(
        shelf=store.changes,
        kinds=kinds,
        governance=office.governed,
        judge=ArmJudge(
            ArmsOf(store.arms, store.trials, store.shadow_arms, store.search_arms),
            store.changes.now_us,
            store.changes.earlier_trials,
        ),
        trials=trials,
        finding=lambda tenant, finding: msgspec.to_builtins(store.findings.get(tenant, finding)),
        diagnose=Diagnosing(store, chosen, clock, randbytes, None if knowing is None else knowing.diagnosis),
        tell=tell or Told(alerts),
        owner=owner,
        rules=rules_of(chosen),
        undone=Undoing(store, board, triggers),
    )
    signals = Signals(
        board,
        triggers,
        schedules_of(chosen, store, kinds),
        lambda tenant, since, subject: bool(store.cycles.since(tenant, since, subject)),
        clock.now_us,
    )
    archive = archive_of(settings, store, clock, kinds)
    pulse = Pulse(
        signals,
        store.cycles,
        store.changes,
        kinds,
        Opening(office.governed, counting, store),
        store.keys.tenants,
        chosen.environment,
        closed=archive.closed,
        prefer=Preferring(store),
    )
    desk = Desk(
        changes=store.changes,
        cycles=store.cycles,
        acts=Acts(store.changes, trials),
        pulse=pulse,
        switch=SwitchState(office.switch, store),
        controls=office.controls,
        approvals=store.approvals,
        approvers=office.approvers,
        policies=office.policies,
        audit=store.audit,
        gates=board,
        environment=chosen.environment,
        uptime=uptime,
    )
    return Loop(
        desk=desk,
        engine=Engine(house),
        pulse=pulse,
        board=board,
        triggers=triggers,
        archive=archive,
        alerts=alerts,
        reports=Reports(settings, store, board),
    )


def rules_of(chosen: LoopSettings) -> Rules:
    """Give the loop's own numbers."""
    return Rules(
        lease_seconds=chosen.lease_seconds,
        look_seconds=min(60.0, chosen.watch.every_seconds),
        ab_testing=chosen.trial.ab_testing,
        roll_back_on_degrade=chosen.watch.rollback_on_degrade,
    )


def told(happened: Happened) -> None:
    """Write what people want to hear of into the log."""
    shout = log.critical if happened.what == "rollback_failed" else log.warning
    shout(
        "a change asks for attention" if happened.what == "approval_needed" else "a change came to something",
        change=happened.change.id,
        what=happened.what,
        why=happened.sentence,
    )


class Told:
    """Writes what people want to hear of into the log, and among the alerts."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def __call__(self, happened: Happened) -> None:
        """Do both."""
        told(happened)
        self._alerts.note(happened)


class SwitchState:
    """The run state, for the desk."""

    def __init__(self, switch: Switch, store: Store) -> None:
        self._switch = switch
        self._store = store
        self.acks = store.control.acks

    def running(self) -> bool:
        """Tell whether it begins anything new."""
        return self._store.control.running()

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        return self._switch.halted()


class Counting:
    """Counts what the loop did since the UTC day began, for its caps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, change: Change) -> Counts:
        """Count at a change's target."""
        return self.at(change.tenant, change.target, change.id)

    def at(self, tenant: str, target: str, but: str = "") -> Counts:
        """Count at a target, leaving a change out."""
        now = self._store.changes.now_us()
        midnight = now // DAY_US * DAY_US
        tally = self._store.changes.tally(tenant, target, midnight, but)
        day = datetime.fromtimestamp(now / 1e6, UTC).strftime("%Y-%m-%d")
        return Counts(
            now_us=now,
            cycles=self._store.cycles.opened(midnight),
            changes=tally.delivered,
            last_change_us=tally.last_us,
            spent_micros=self._store.cycles.spent_micros(day, FEATURES) + self._store.shadows.spent_micros(day),
        )


class Opening:
    """Whether a cycle may be opened: the run state, the kill switch, the caps, and a pause after the last cycle of its subject."""

    def __init__(self, governed: Governed, counting: Counting, store: Store) -> None:
        self._governed = governed
        self._counting = counting
        self._store = store

    def __call__(self, tenant: str, subject: str) -> Decision:
        """Decide."""
        if self._governed.halted():
            return Decision(allowed=False, reason="the kill switch is on")
        if not self._governed.running():
            return Decision(allowed=False, reason="the loop is stopped")
        counts = self._counting.at(tenant, f"cycle:{subject}")
        last = self._store.cycles.last_closed_us(tenant, subject)
        found = capped(self._governed.settled.caps, msgspec.structs.replace(counts, last_change_us=last), "trigger")
        if found is not None:
            return Decision(allowed=False, reason=found.sentence, until_seconds=found.seconds)
        return Decision(allowed=True)


class Undoing:
    """Whether the trigger behind a delivered change wants it undone: its gate's metric, measured wholly since, is beyond the bound."""

    def __init__(self, store: Store, board: GateBoard, triggers: Triggers) -> None:
        self._store = store
        self._board = board
        self._triggers = triggers

    def __call__(self, change: Change) -> str | None:
        """Say why; None where it does not, or cannot tell. What was beyond before the change, and is no worse now, is not its doing."""
        breach = None if change.cycle is None else self._store.cycles.get(change.tenant, change.cycle).breach
        row = next((row for row in self._board.status(change.tenant) if breach and row.name == breach["gate"]), None)
        if breach is None or row is None or row.last is None or row.last.value is None:
            return None
        gate, value = row.definition, row.last.value
        if row.last.at_us - round(gate.window_seconds * 1e6) < change.progress.get("began_us", 0):
            return None
        before = (breach.get("reading") or {}).get("value")
        if before is not None and not gate.beyond(value, before):
            return None
        baseline = None if row.baseline is None else row.baseline.value
        for trigger in self._triggers.of(change.tenant, gate, value):
            if undone(trigger, gate, value, baseline):
                return f"{gate.metric} is {value:.4g} since the delivery: {trigger.name} wants that undone"
        return None


class Diagnosing:
    """Finds the cause of what a gate saw, in the calls of its window beside those before."""

    def __init__(
        self,
        store: Store,
        chosen: LoopSettings,
        clock: Clock,
        randbytes: Callable[[int], bytes],
        searches: SearchDiagnosis | None = None,
    ) -> None:
        """`searches` looks into those; None where this deployment keeps no documents."""
        self._store = store
        self._searches = searches
        self._chosen = chosen
        self._clock = clock
        self._randbytes = randbytes

    def __call__(self, change: Change) -> tuple[str, dict[str, Any]] | None:
        """Give the finding; None where nothing was measured that a diagnosis could be of."""
        seen = {} if change.cycle is None else self._store.cycles.get(change.tenant, change.cycle).breach or {}
        breach = breach_of(change, seen, self._clock.now_us(), self._chosen.environment)
        at, id = self._clock.now_us(), new_id("fnd", self._randbytes)
        found = None
        if self._searches is not None and (breach.metric in SEARCH_METRICS or change.surface in SURFACES):
            found = self._searches(breach, id=id, at_us=at)
        if found is None:
            found = diagnose(breach, self._store.slices, (), id=id, at_us=at)
        self._store.findings.keep(change.tenant, found)
        return found.id, msgspec.to_builtins(found)


class Preferring:
    """Which kinds a finding names, the likeliest first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, tenant: str, finding: str) -> Sequence[str]:
        """Read them off the finding."""
        found = self._store.findings.get(tenant, finding)
        if found.recommended is not None:
            return tuple(dict.fromkeys(one.kind for one in found.recommended))
        return ()


_MEASURED: dict[str, tuple[Measured, Unit]] = {
    "error_rate": ("errors", "share"),
    "latency_mean": ("slow", "ms"),
    "latency_p50": ("slow", "ms"),
    "latency_p95": ("slow", "ms"),
    "latency_p99": ("slow", "ms"),
    "cost_per_1k": ("cost", "usd"),
    "budget_share": ("spend", "share"),
    "satisfaction": ("dissatisfied", "points"),
    "search_success": ("dissatisfied", "share"),
}


def breach_of(change: Change, seen: dict[str, Any], now_us: int, environment: str) -> Breach:
    """Give what a gate saw as a diagnosis takes it. What was asked for without a breach is looked at by its errors, over a day."""
    metric = str(seen.get("metric", "search_success" if change.surface in SURFACES else "error_rate"))
    measured, unit = _MEASURED.get(metric, ("dissatisfied", "points"))
    reading = seen.get("reading") or {}
    until = int(reading.get("at_us") or now_us)
    span = round(float(seen.get("window_seconds", 86_400.0)) * 1e6)
    now = Window(until - span, until)
    before = Window(now.since_us - min(BEFORE_WINDOWS * span, 7 * DAY_US), now.since_us)
    baseline, value = seen.get("baseline") or {}, reading.get("value")
    return Breach(
        tenant=change.tenant,
        metric=metric,
        gate=str(seen.get("gate", change.origin.name)),
        environment=environment,
        measured=measured,
        unit=unit,
        value=None if value is None else float(value),
        low=reading.get("low"),
        high=reading.get("high"),
        baseline=baseline.get("value"),
        direction="below" if seen.get("direction") == "min" else "above",
        now=now,
        before=before,
        kinds=(change.kind,),
    )
