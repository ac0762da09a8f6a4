"""What quality may cost in one call: by its request, its key or the settings, slowed where a day's budget is spent too fast.

Refuses values out of range. Knows nothing of models or prices.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.gateway.state import KeyState
from meliora.settings.routing import Dial

FLOOR_HEADER = b"x-meliora-quality-floor"
PAY_HEADER = b"x-meliora-willingness-to-pay"


class Dialled(msgspec.Struct, frozen=True):
    """How quality is weighed against cost, and who said so. Of both, the floor decides and the price is the most that is paid."""

    quality_floor: float | None = None
    """Share of the reference model's quality to hold."""
    willingness_to_pay: float | None = None
    """US dollars for an answer of quality 1 in place of one of quality 0."""
    source: Literal["settings", "key", "request"] = "settings"
    pace: float = 1.0
    """What is left of the willingness to pay, as a share; see `pace`."""

    def __str__(self) -> str:
        said = [f"floor:{self.quality_floor:g}"] if self.quality_floor is not None else []
        if self.willingness_to_pay is not None:
            said.append(f"pay:{self.willingness_to_pay:g}")
        if self.pace < 1.0:
            said.append(f"pace:{self.pace:.2f}")
        return ";".join(said)


def dialled(floor: bytes | None, pay: bytes | None, key: KeyState | None, dial: Dial) -> Dialled:
    """Take the request's dial (headers `x-meliora-quality-floor`, `x-meliora-willingness-to-pay`), else the key's, else the settings'.

    Raises `InvalidRequest` for a value out of range, and where requests may not name their own.
    """
    if floor is not None or pay is not None:
        if not dial.from_requests:
            name = (FLOOR_HEADER if floor is not None else PAY_HEADER).decode()
            raise InvalidRequest(
                f"The header {name} is not taken here.", hint="`routing.dial.from_requests` allows it.", field=name
            )
        return checked(_number(FLOOR_HEADER, floor), _number(PAY_HEADER, pay))
    if key is not None and (key.quality_floor is not None or key.willingness_to_pay is not None):
        return Dialled(key.quality_floor, key.willingness_to_pay, "key")
    if dial.willingness_to_pay is not None:
        return Dialled(None, dial.willingness_to_pay)
    return Dialled(dial.quality_floor)


def checked(quality_floor: float | None, willingness_to_pay: float | None) -> Dialled:
    """Give a request's dial. Raises `InvalidRequest` where a value is out of range."""
    if quality_floor is not None and not 0 < quality_floor <= 1:
        raise InvalidRequest(
            f"The quality floor is {quality_floor:g}.",
            hint="It is a share of the reference model's quality: above 0, at most 1, e.g. 0.98.",
            field="quality_floor",
        )
    if willingness_to_pay is not None and not 0 <= willingness_to_pay < math.inf:
        raise InvalidRequest(
            f"The willingness to pay is {willingness_to_pay:g}.",
            hint="It is an amount of US dollars from 0 up.",
            field="willingness_to_pay",
        )
    return Dialled(quality_floor, willingness_to_pay, "request")


def pace(spent_micros: int, budget_micros: int, now_us: int, least: float) -> float:
    """Give the share of the willingness to pay that is left to a key that spends its day's budget faster than the day (UTC) goes by.

    share = (money left / budget) / (time left / day), at most 1 and at least `least`: a key with as much of its money left as of
    its day pays what its dial says, one with a fifth of the money at noon pays 0.4 of it. It falls smoothly, needs no memory, and
    recovers as the day goes on.
    """
    if budget_micros <= 0:
        return least
    money = max(0.0, 1 - spent_micros / budget_micros)
    time = 1 - now_us % _DAY_US / _DAY_US
    return max(least, min(1.0, money / time))


def _number(header: bytes, value: bytes | None) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except ValueError as error:
        name = header.decode()
        shown = value[:40].decode("latin-1")
        raise InvalidRequest(f"The header {name} is no number: {shown!r}.", field=name) from error


_DAY_US = 86_400_000_000
