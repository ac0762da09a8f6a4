"""Alerts by Apprise, which speaks to a hundred services (mail, Teams, Telegram, PagerDuty, ...). Needs the extra `apprise`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from meliora.errors import MissingExtra, SettingsError, UpstreamError
from meliora.loop.alerts import Message

_KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class Apprise:
    """Its services, all told together."""

    name = "apprise"

    def __init__(self, notifier: Any) -> None:
        """`notifier` is an `apprise.Apprise` with its services."""
        self._notifier = notifier

    @classmethod
    def of(cls, urls: Sequence[str]) -> Apprise:
        """Give one with these services. Raises `MissingExtra`, and `SettingsError` for an address that Apprise does not know."""
        try:
            module: Any = importlib.import_module("apprise")
        except ImportError as error:
            raise MissingExtra("Apprise is not installed.", hint="pip install 'meliora[apprise]'") from error
        notifier = module.Apprise()
        for number, url in enumerate(urls, 1):
            if not notifier.add(url):
                raise SettingsError(f"Address {number} of loop.alerts.apprise is none that Apprise knows.")
        return cls(notifier)

    def send(self, message: Message) -> None:
        """Tell all services. Raises `UpstreamError` where one did not take it: those that did are told again with it."""
        kind = "success" if message.status == "resolved" else _KINDS[message.severity]
        try:
            told = self._notifier.notify(
                body=message.summary, title=message.title, notify_type=kind, body_format="text"
            )
        except Exception as error:  # noqa: BLE001 - what its services raise may hold addresses
            raise UpstreamError(f"Apprise failed: {type(error).__name__}.") from None
        if not told:
            raise UpstreamError("Apprise could not tell every service.")
