"""Alerts to an Alertmanager, in the form of its API v2 (`POST /api/v2/alerts`). It groups, silences and passes them on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from meliora.integrations.webhook import Webhook
from meliora.loop.alerts import Message

SOURCE = "meliora"
"""Label `source` of what comes from here; what comes back with it is not taken for news."""


class Alertmanager:
    """An Alertmanager."""

    name = "alertmanager"

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    def send(self, message: Message) -> None:
        """Post it. Raises `UpstreamError`, `OSError`."""
        self._webhook.post([posted(message)])


def posted(message: Message) -> dict[str, Any]:
    """Give an alert as the API takes it; `endsAt` says until when it stands without being told again."""
    ends = message.until_us if message.ended_us is None else message.ended_us
    return {
        "labels": {
            **message.labels,
            "alertname": message.name,
            "severity": message.severity,
            "tenant": message.tenant,
            "source": SOURCE,
        },
        "annotations": {"summary": message.summary},
        "startsAt": _moment(message.began_us),
        "endsAt": _moment(ends),
    }


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
