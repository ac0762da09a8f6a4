"""Alerts, put together from settings and store: what is watched, which sinks there are, how much is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from meliora.errors import MelioraError
from meliora.loop.alerts import Alerts, Sink, Telling
from meliora.loop.change import Change
from meliora.loop.control import RunState
from meliora.loop.gates.board import GateBoard, GateRow
from meliora.loop.states import State
from meliora.settings import Settings
from meliora.settings.secret import resolve_secret
from meliora.store.store import Store

log = structlog.get_logger(__name__)


def alerts_of(settings: Settings, store: Store, board: GateBoard, owner: str) -> Alerts:
    """Put them together; sinks are made at the first sending, in the worker."""
    chosen = settings.loop.alerts
    telling = Telling(
        severity=chosen.severity,
        degrade=chosen.on_degrade,
        quiet_us=round(chosen.quiet_seconds * 1e6),
        repeat_us=round(chosen.repeat_seconds * 1e6),
        per_hour=chosen.per_hour,
    )
    return Alerts(store.alerts, Looked(store, board), lambda: sinks_of(settings), telling, owner)


def sinks_of(settings: Settings) -> tuple[Sink, ...]:
    """Make the sinks that are set up. One that cannot be made is left out and said so; the others are there."""
    made = []
    for name in ("slack", "alertmanager", "apprise"):
        try:
            sink = _sink(settings, name)
        except MelioraError as error:
            log.error("alerts cannot go there", sink=name, error=str(error))
            continue
        if sink is not None:
            made.append(sink)
    return tuple(made)


def _sink(settings: Settings, name: str) -> Sink | None:
    from meliora.integrations.alertmanager import Alertmanager
    from meliora.integrations.apprise import Apprise
    from meliora.integrations.slack import Slack
    from meliora.integrations.webhook import Webhook

    chosen = settings.loop.alerts
    if name == "slack" and chosen.slack_webhook:
        return Slack(Webhook(resolve_secret(chosen.slack_webhook), "Slack", patience=chosen.timeout))
    if name == "alertmanager" and chosen.alertmanager:
        url = f"{chosen.alertmanager.rstrip('/')}/api/v2/alerts"
        token = resolve_secret(chosen.alertmanager_token)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        webhook = Webhook(url, "Alertmanager", headers=headers, ca_file=chosen.ca_file, patience=chosen.timeout)
        return Alertmanager(webhook)
    if name == "apprise" and chosen.apprise:
        return Apprise.of([resolve_secret(one) for one in chosen.apprise])
    return None


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at for what holds, over the store."""

    store: Store
    board: GateBoard

    def gates(self, tenant: str) -> Sequence[GateRow]:
        """Give the gates as they stand."""
        return self.board.status(tenant)

    def stuck(self, tenant: str) -> Sequence[Change]:
        """Give the changes whose baseline could not be restored."""
        return self.store.changes.list(tenant, state=(State.ROLLBACK_FAILED,), limit=500).items

    def state(self) -> RunState:
        """Give how the loop stands."""
        return self.store.control.state()

    def tenants(self) -> Sequence[str]:
        """Give all tenants."""
        return self.store.keys.tenants()
