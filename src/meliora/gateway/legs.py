"""What several models cost one call together. Refuses to count what is not known as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meliora.telemetry.records import Leg, Usage


def summed(parts: Iterable[Usage | None]) -> Usage | None:
    """Add up usages; what was not answered has none, and None is given where nobody has."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    return Usage(
        input=_sum([part.input for part in found]),
        output=_sum([part.output for part in found]),
        cached=_known([part.cached for part in found]),
        cache_write=_known([part.cache_write for part in found]),
        reasoning=_known([part.reasoning for part in found]),
    )


def cost_of(legs: Sequence[Leg]) -> int | None:
    """Add up what legs cost in micro-dollars; None where one of them is unknown."""
    return _sum([leg.cost_micros for leg in legs])


def _sum(values: list[int | None]) -> int | None:
    """Give the sum, None where a part is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _known(values: list[int | None]) -> int | None:
    """Give the sum of a part that providers leave out where it is nothing."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
