"""Which endpoint of a model a call goes to: by weight and health. Refuses to know why endpoints fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from meliora.gateway.breaker import Breaker


class Balanced(Protocol):
    """What can be chosen among."""

    @property
    def weight(self) -> float:
        """Share of calls, against the other endpoints'. 0: a standby, used when nothing else is left."""
        ...

    @property
    def breaker(self) -> Breaker:
        """Its breaker."""
        ...


E = TypeVar("E", bound=Balanced)


class Named(Balanced, Protocol):
    """What can be chosen by its name."""

    @property
    def id(self) -> str:
        """Its name."""
        ...


N = TypeVar("N", bound=Named)


def first(endpoints: Sequence[N], preferred: Sequence[str], now: float) -> N | None:
    """Give the first in the order of `preferred` that may be called; None where none of these may."""
    by_id = {endpoint.id: endpoint for endpoint in endpoints}
    for name in preferred:
        endpoint = by_id.get(name)
        if endpoint is not None and endpoint.breaker.admit(now):
            return endpoint
    return None


def choose(endpoints: Sequence[E], random: float, now: float) -> E | None:
    """Choose with a probability proportional to weight times health; `random` is uniform in [0, 1), `now` monotonic seconds.

    An open breaker excludes its endpoint. One that may probe has half its weight, and being chosen takes the place of its probe:
    its breaker must hear how the call ended. None where every endpoint is out: an early probe would only make clients wait for
    what is known to be down, so the call goes to the next model, or is refused with `retry_after`.
    """
    if len(endpoints) == 1:
        only = endpoints[0]
        return only if only.breaker.admit(now) else None
    pool = [(e, e.weight * e.breaker.health(now)) for e in endpoints if e.breaker.available(now)]
    total = sum(share for _, share in pool)
    if total <= 0.0:
        pool = [(e, e.breaker.health(now)) for e, _ in pool]
        total = sum(share for _, share in pool)
    point = random * total
    chosen: E | None = None
    for endpoint, share in pool:
        if share <= 0.0:
            continue
        chosen = endpoint
        point -= share
        if point < 0.0:
            break
    if chosen is None or not chosen.breaker.admit(now):
        return None
    return chosen


def retry_after(endpoints: Iterable[Balanced], now: float) -> float | None:
    """Give the seconds until the first of them may be called; None where there are none."""
    return min((e.breaker.retry_after(now) for e in endpoints), default=None)
