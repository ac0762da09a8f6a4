"""What passes between the parts of a diagnosis, and what is kept of one: plain records, without numpy behind them."""

from __future__ import annotations

from typing import Literal

import msgspec

Measured = Literal["errors", "slow", "dissatisfied", "cost", "spend"]
"""What a scan is about: failures a call, calls above a latency, dissatisfaction a judged call, cost a call, cost in all."""

Effect = Literal["worse", "more"]
"""`worse`: these calls do worse than such calls did; `more`: they do as before, and there are more of them."""

Unit = Literal["share", "ms", "usd", "points"]


class Window(msgspec.Struct, frozen=True):
    """A span of time, half-open, in microseconds UTC."""

    since_us: int
    until_us: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Above what a call is slow, and up to what its cost counts; None where nothing before tells."""

    slow_us: int | None
    cost_cap_micros: int | None


class FoundSlice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Calls that explain a part of a change. `observed`, `expected`, `before` and `excess` are in the unit of the measure."""

    attributes: dict[str, str]
    """The description; empty: all calls alike."""
    effect: Effect
    calls_now: int
    calls_before: int
    observed: float
    expected: float
    """What the past would have led to, with the traffic of now."""
    before: float
    excess: float
    """What this slice adds: observed less expected; where it is `more`, what the shift of traffic adds."""
    share: float | None
    """Part of the whole excess, at most 1; None where there is none in all."""
    score: float
    """Log likelihood ratio."""
    p_value: float
    """Bound of the chance of such a slice, among all that were looked at, where nothing changed."""
    same_calls_as: tuple[dict[str, str], ...] = ()
    """Other descriptions of the same calls."""
    classes: dict[str, tuple[float, float]] = {}
    """What its hits are marked by, observed and expected: the classes of its errors, the largest excess first."""


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan found. No slices: nothing that was looked at stands out of chance."""

    slices: tuple[FoundSlice, ...]
    observed: float
    expected: float
    """What there would be now, had each kind of call done as it did before."""
    expected_unchanged: float
    """The same, had the mixture of calls not changed either."""
    descriptions: int
    """How many descriptions the chance was bounded over."""


class Point(msgspec.Struct, frozen=True):
    """Hits among calls in one span of time. Without calls nothing is known of it."""

    start_us: int
    hits: float
    calls: float


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The span in which a rate changed most: it began between `since_us` and `until_us`."""

    since_us: int
    until_us: int
    before: float
    after: float
    p_value: float
    """Chance that a series that did not change looks as changed."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: a promotion, a change of a price, an alias, a setting, a deploy. Holds no content."""

    at_us: int
    kind: str
    text: str


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """An event near the moment. `distance_us` is negative before it, 0 within it."""

    event: Event
    distance_us: int
