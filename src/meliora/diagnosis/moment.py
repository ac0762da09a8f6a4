"""When it began, and what else happened then. Nearness is no proof: an event is named, never blamed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meliora.diagnosis.records import Around, Event, Moment, Point
from meliora.stats.changepoint import strongest

HOUR_US = 3_600_000_000


def began(points: Sequence[Point], width_us: int, *, level: float = 0.05, money: bool = False) -> Moment | None:
    """Find when the rate of a series of spans of `width_us` rose; None where no split is out of chance, or the strongest is a fall.

    With `money` hits are sums rather than counted calls. Spans without calls are unknown, and left out.
    """
    ordered = sorted(points, key=lambda point: point.start_us)
    known = [None if point.calls <= 0 else point.hits for point in ordered]
    calls = [None if point.calls <= 0 else point.calls for point in ordered]
    if money:
        known = [None if hits is None or n is None else hits / n for hits, n in zip(known, calls, strict=True)]
    found = strongest(known, calls, shape="mean" if money else "count")
    if found is None or found.p > level or found.after <= found.before:
        return None
    start = ordered[found.index].start_us
    return Moment(since_us=start, until_us=start + width_us, before=found.before, after=found.after, p_value=found.p)


def around(
    moment: Moment, events: Iterable[Event], *, within_us: int = 6 * HOUR_US, most: int = 5
) -> tuple[Around, ...]:
    """Give the events near a moment, the nearest first; of two as near the one that came before it."""
    near = [Around(event=event, distance_us=_distance(moment, event)) for event in events]
    near = [one for one in near if abs(one.distance_us) <= within_us]
    near.sort(key=lambda one: (abs(one.distance_us), one.distance_us > 0, one.event.at_us, one.event.text))
    return tuple(near[:most])


def _distance(moment: Moment, event: Event) -> int:
    if event.at_us < moment.since_us:
        return event.at_us - moment.since_us
    return max(0, event.at_us - moment.until_us)
