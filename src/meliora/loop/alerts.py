"""What people are told: each thing once in a while however often it is seen, by workers that share one store.

What holds (a gate that fails, the kill switch) is told when it begins and when it ends; what happened is told once. An alert is
written first and sent later, each sink by itself, so that none that hangs or fails holds the loop or another sink.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Protocol

import msgspec
import structlog

from meliora.errors import MelioraError
from meliora.loop.change import Change
from meliora.loop.control import RunState
from meliora.loop.gates.board import GateRow
from meliora.loop.house import Happened

log = structlog.get_logger(__name__)

Severity = Literal["info", "warning", "critical"]
Status = Literal["firing", "resolved"]
RANK: dict[str, int] = {"info": 0, "warning": 1, "critical": 2}
GATE, KILL, STUCK = "gate_failing", "kill_switch", "rollback_failed"
_LONGEST = 600
"""Characters of a summary: what is longer is cut."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be told. `lasting`: it holds until it is seen to hold no more."""

    name: str
    severity: Severity
    summary: str
    labels: dict[str, str] = {}
    lasting: bool = False

    @property
    def fingerprint(self) -> str:
        """Give what makes it the same alert again: its name and labels."""
        text = msgspec.json.encode([self.name, sorted(self.labels.items())])
        return sha256(text).hexdigest()[:16]


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is kept. `told` is what people were told last."""

    tenant: str
    fingerprint: str
    name: str
    severity: Severity
    source: str
    """`meliora`, or `alertmanager` for what came in; that is never sent out."""
    lasting: bool
    status: Status
    summary: str
    labels: dict[str, str]
    seen: int
    began_us: int
    seen_us: int
    ended_us: int | None
    told: Status | None
    told_us: int | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink sends."""

    tenant: str
    fingerprint: str
    status: Status
    name: str
    severity: Severity
    summary: str
    labels: dict[str, str]
    began_us: int
    ended_us: int | None
    until_us: int
    """Until when it stands without being told again."""

    @property
    def title(self) -> str:
        """Give it in a line."""
        return f"[{self.status}] {self.name.replace('_', ' ')} ({self.severity}, {self.tenant})"


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is being sent."""

    id: int
    message: Message
    attempts: int
    made_us: int


@dataclass(frozen=True, slots=True)
class Telling:
    """How much is told."""

    severity: Severity = "warning"
    """The least that is sent."""
    degrade: bool = True
    """Whether gates that fail and changes that are undone are."""
    quiet_us: int = 3_600_000_000
    """The same alert is not told again for so long."""
    repeat_us: int = 86_400_000_000
    """What still holds is told again after so long."""
    per_hour: int = 20
    """Alerts an hour, over all tenants; critical ones and ends are told all the same. The rest waits."""
    lease_us: int = 120_000_000
    retry_us: int = 10_000_000
    """First pause after a failed attempt; doubled each time, up to an hour."""
    give_up_us: int = 86_400_000_000


class Sink(Protocol):
    """Where alerts go. `name` stands in the outbox."""

    name: str

    def send(self, message: Message) -> None:
        """Send it, within a bounded time. Raises `MelioraError` or `OSError`."""
        ...


class AlertShelf(Protocol):
    """Alerts and their outbox as they are kept. All methods raise `StoreError`."""

    def happened(self, tenant: str, alert: Alert, quiet_us: int) -> None:
        """Note that it happened; within `quiet_us` of the last time it was told it is only counted."""
        ...

    def hold(self, tenant: str, found: Sequence[Alert]) -> None:
        """Note which lasting alerts hold now: those that are new begin, those that are not among them end."""
        ...

    def plan(self, telling: Telling, sinks: Sequence[str]) -> int:
        """Put what is to be told now into the outbox, and give how many; every process may, one at a time does."""
        ...

    def claim(self, sink: str, owner: str, lease_us: int, limit: int = 20) -> Sequence[Sending]:
        """Take up what a sink has to send."""
        ...

    def sent(self, sending: Sending) -> None:
        """Note that it is sent."""
        ...

    def failed(self, sending: Sending, error: str, retry_us: int, give_up_us: int) -> None:
        """Note that it was not, and when it is tried again; one older than `give_up_us` is given up."""
        ...


class Watched(Protocol):
    """What is looked at for what holds."""

    def gates(self, tenant: str) -> Sequence[GateRow]:
        """Give the gates as they stand."""
        ...

    def stuck(self, tenant: str) -> Sequence[Change]:
        """Give the changes whose baseline could not be restored."""
        ...

    def state(self) -> RunState:
        """Give how the loop stands."""
        ...

    def tenants(self) -> Sequence[str]:
        """Give all tenants."""
        ...


class Alerts:
    """Notes what happens and what holds, and sends it."""

    def __init__(
        self, shelf: AlertShelf, watched: Watched, sinks: Callable[[], Sequence[Sink]], telling: Telling, owner: str
    ) -> None:
        """`sinks` is asked at the first sending, and may raise `MelioraError`."""
        self._shelf = shelf
        self._watched = watched
        self._make = sinks
        self._sinks: dict[str, Sink] | None = None
        self._telling = telling
        self._owner = owner

    def note(self, happened: Happened) -> None:
        """Note what happened to a change. A store that cannot be written costs the alert, never the edge."""
        alert = alert_of(happened)
        if not self._telling.degrade and happened.what == "rolled_back":
            return
        try:
            if not alert.lasting:
                self._shelf.happened(happened.change.tenant, alert, self._telling.quiet_us)
        except MelioraError as error:
            log.error("an alert could not be noted", change=happened.change.id, what=happened.what, error=str(error))

    def look(self) -> bool:
        """Note what holds now, and plan what is to be told. Raises `StoreError`."""
        state = self._watched.state()
        tenants = dict.fromkeys(("default", *self._watched.tenants()))
        for tenant in tenants:
            alerts = [stuck(one) for one in self._watched.stuck(tenant)]
            if self._telling.degrade:
                alerts += [failing(one) for one in self._watched.gates(tenant) if one.standing.failing]
            if tenant == "default" and state.halted:
                alerts.append(killed(state))
            self._shelf.hold(tenant, alerts)
        self._shelf.plan(self._telling, tuple(self.sinks()))
        return False

    def sinks(self) -> dict[str, Sink]:
        """Give the sinks by name. Raises `MelioraError` where one cannot be made."""
        if self._sinks is None:
            self._sinks = {sink.name: sink for sink in self._make()}
        return self._sinks

    def send(self, name: str) -> bool:
        """Send what a sink has to send; tell whether there was anything. A failure is noted and tried again later."""
        sink = self.sinks()[name]
        found = self._shelf.claim(name, self._owner, self._telling.lease_us)
        for sending in found:
            try:
                sink.send(sending.message)
            except (MelioraError, OSError) as error:
                pause = min(3_600_000_000, self._telling.retry_us * 2 ** min(sending.attempts, 20))
                self._shelf.failed(sending, f"{error}"[:_LONGEST], pause, self._telling.give_up_us)
                log.warning("an alert could not be sent", sink=name, name=sending.message.name, error=str(error))
                return False
            self._shelf.sent(sending)
        return bool(found)


_WORTH: dict[str, Severity] = {
    "approval_needed": "warning",
    "rejected": "info",
    "paused": "warning",
    "delivered": "info",
    "kept": "info",
    "rolled_back": "warning",
    "rollback_failed": "critical",
}


def alert_of(happened: Happened) -> Alert:
    """Give what happened to a change as an alert."""
    change = happened.change
    if happened.what == STUCK:
        return stuck(change)
    return Alert(
        name=f"change_{happened.what}",
        severity=_WORTH[happened.what],
        summary=_cut(f"{change.kind} at {change.target}: {happened.sentence or change.summary}"),
        labels=_labels(change),
    )


def stuck(change: Change) -> Alert:
    """Give a change whose baseline could not be restored."""
    return Alert(
        name=STUCK,
        severity="critical",
        summary=_cut(
            f"{change.kind} at {change.target} could not be rolled back: {change.reason or 'no reason is known'}"
        ),
        labels=_labels(change),
        lasting=True,
    )


def failing(row: GateRow) -> Alert:
    """Give a gate that fails."""
    last, gate = row.last, row.definition
    value = "has no data now" if last is None or last.value is None else f"is {last.value:.6g}"
    bound = "" if last is None or last.bound is None else f", and the bound is {last.bound:.6g}"
    return Alert(
        name=GATE,
        severity=gate.severity,
        summary=_cut(f"The gate {row.name} fails: {gate.metric} {value}{bound}."),
        labels={"gate": row.name, "metric": gate.metric},
        lasting=True,
    )


def killed(state: RunState) -> Alert:
    """Give the kill switch."""
    by, why = state.by or "somebody", f": {state.why}" if state.why else ""
    return Alert(
        name=KILL,
        severity="critical",
        summary=_cut(f"The kill switch is on, by {by}{why}."),
        labels={"epoch": str(state.kill_epoch)},
        lasting=True,
    )


def _labels(change: Change) -> dict[str, str]:
    labels: dict[str, Any] = {"change": change.id, "kind": change.kind, "environment": change.environment}
    return labels | ({} if change.cycle is None else {"cycle": change.cycle})


def _cut(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST - 1]}…"
