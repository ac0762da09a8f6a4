"""What the gateway adds to a call's time at 100 requests a second, open loop, against the same calls made directly.

Both schedules (random, seeded) run at once, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.intervals import Estimate, quantile, quantile_difference
from benchmarks.load import canned
from benchmarks.load.canned import Target
from benchmarks.load.client import Planned, Sample, open_loop
from benchmarks.report import ControlFailed

RATE = 100.0
"""Calls a second, of each schedule."""
STREAM_RATE = 10.0


@dataclass(frozen=True)
class Added:
    """Milliseconds added at one quantile, beside the quantiles themselves."""

    ms: Estimate
    direct_ms: float
    through_ms: float


def added(direct: Target, through: Target, seconds: float, seed: int) -> dict[float, Added]:
    """Measure whole calls; the result is by quantile (0.5 and 0.99). Raises `ControlFailed` where calls fail."""
    samples = _both((direct, through), RATE, seconds, seed, stream=False)
    totals = [[1e3 * sample.total for sample in samples if sample.target == index] for index in (0, 1)]
    return {share: _added(totals[0], totals[1], share, seed) for share in (0.5, 0.99)}


def added_to_first_chunk(direct: Target, through: Target, seconds: float, seed: int) -> Added:
    """Measure the time to a stream's first byte, at its median."""
    samples = _both((direct, through), STREAM_RATE, seconds, seed, stream=True)
    firsts = [[1e3 * sample.first_byte for sample in samples if sample.target == index] for index in (0, 1)]
    return _added(firsts[0], firsts[1], 0.5, seed)


def _added(direct: Sequence[float], through: Sequence[float], share: float, seed: int) -> Added:
    estimate = quantile_difference(through, direct, share, rng=random.Random(seed))
    return Added(estimate, quantile(sorted(direct), share), quantile(sorted(through), share))


def _both(targets: tuple[Target, Target], rate: float, seconds: float, seed: int, *, stream: bool) -> list[Sample]:
    plan: list[Planned] = []
    for index, target in enumerate(targets):
        rng = random.Random(f"{seed}/{index}")
        requests = canned.requests(target, canned.CHAT, seed, stream=stream)
        at = 0.0
        while (at := at + rng.expovariate(rate)) < seconds:
            plan.append(Planned(at, index, rng.choice(requests)))
    plan.sort(key=lambda planned: planned.at)
    samples = open_loop(targets, plan)
    failed = sum(not sample.ok for sample in samples)
    if failed:
        raise ControlFailed(f"{failed} of {len(samples)} calls of the open loop failed")
    return samples
