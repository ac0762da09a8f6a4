"""Model calls that the control process makes for a caller: through the gateway, under the caller's key, within a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from meliora.clock import Clock
from meliora.errors import UpstreamTimeout
from meliora.routing.crosscheck import Ask, Told
from meliora.routing.pool import Catalogue
from meliora.runtime.asking import OwnGateway
from meliora.server.context import AskModels


def asking(url: Callable[[], str], offers: Callable[[], Catalogue], clock: Clock) -> AskModels:
    """Give what asks the gateway at `url`. Models are held to a shape where they declare that they can be."""

    def begin(secret: str, feature: str, seconds: float) -> Ask:
        end = clock.monotonic() + seconds

        def ask(model: str, messages: Sequence[dict[str, Any]], schema: dict[str, Any] | None) -> Told:
            left = end - clock.monotonic()
            if left <= 0:
                raise UpstreamTimeout(
                    f"The models took longer than {seconds:g} seconds.", hint="Raise routing.crosscheck.timeout."
                )
            known = offers().find(model)
            held = known is not None and known.capabilities is not None and "json_schema" in known.capabilities
            gateway = OwnGateway(url(), patience=left)
            told = gateway.ask(secret, model, messages, feature=feature, schema=schema if held else None)
            return Told(told.text, told.model, told.cost_micros, told.call_id)

        return ask

    return begin
