"""Alerts into a Slack channel, by an incoming webhook. Names in an alert are data: nothing in them becomes a link or a mention."""

from __future__ import annotations

from meliora.integrations.webhook import Webhook
from meliora.loop.alerts import Message


class Slack:
    """A channel."""

    name = "slack"

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    def send(self, message: Message) -> None:
        """Post it. Raises `UpstreamError`, `OSError`."""
        text = f"*{_plain(message.title)}*\n{_plain(message.summary)}"
        self._webhook.post({"text": text})


def _plain(text: str) -> str:
    """Escape as Slack asks for it, and the marks that it would format by."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\N{ZERO WIDTH SPACE}{c}" if c in "*_~`" else c for c in text)
