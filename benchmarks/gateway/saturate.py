"""What a call, a masked call and a streamed chunk cost, and how many calls a second one core serves.

Refuses its own figures when the load (client and upstream on their core) is not five times faster than the gateway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.gateway.processes import Child, Upstream
from benchmarks.intervals import Estimate, mean, ratio_of_sums
from benchmarks.load import canned
from benchmarks.load.canned import Target
from benchmarks.load.client import Closed, Mark, Probe, Stop, closed_loop
from benchmarks.report import ControlFailed

CONNECTIONS = 64
STREAMS = 500
"""Streams open at a time: some 25,000 paced chunks a second, about what one core can pass on."""
TIMES_FASTER = 5.0
_SLICE = 0.25
_WARM_SECONDS = 0.7
_ERRORS_ALLOWED = 0.001


@dataclass(frozen=True)
class Saturation:
    """What one process did under a closed loop. `busy`: its share of a core."""

    rps: Estimate
    cpu_us: Estimate
    busy: float
    calls: int


def saturated(target: Target, child: Child, seconds: float, seed: int, *, masked: bool = False) -> Saturation:
    """Keep a gateway fully busy with calls. Raises `ControlFailed` where calls fail."""
    return saturated_by(canned.requests(target, canned.CHAT, seed, masked=masked), target, child, seconds)


def saturated_by(requests: Sequence[bytes], target: Target, child: Child, seconds: float) -> Saturation:
    """Keep a gateway fully busy with these requests in turn. Raises `ControlFailed` where calls fail."""
    closed_loop(target, requests, CONNECTIONS, Stop(seconds=_WARM_SECONDS))
    probe = Probe(child.cpu_seconds, seconds=_SLICE)
    seen = closed_loop(target, requests, CONNECTIONS, Stop(seconds=seconds), probe=probe)
    calls, cpu, spans = _slices(seen.marks, lambda mark: mark.calls)
    refuse_errors(seen)
    busy = sum(cpu) / sum(spans)
    rps = mean([done / span for done, span in zip(calls, spans, strict=True)])
    return Saturation(rps, ratio_of_sums([c * 1e6 for c in cpu], calls), busy, seen.calls)


def pooled(one: Saturation, other: Saturation) -> Saturation:
    """Give the mean of two measurements of one process; their intervals are averaged and not narrowed."""
    return Saturation(
        _between(one.rps, other.rps),
        _between(one.cpu_us, other.cpu_us),
        (one.busy + other.busy) / 2,
        one.calls + other.calls,
    )


def _between(one: Estimate, other: Estimate) -> Estimate:
    low, high = (one.low + other.low) / 2, (one.high + other.high) / 2
    return Estimate((one.value + other.value) / 2, low, high, one.n + other.n)


@dataclass(frozen=True)
class ChunkCost:
    """CPU of a streamed chunk, its share of the call included. `alone`: chunks that were read by themselves."""

    cpu_us: Estimate
    chunks: int
    alone: float


def streamed(target: Target, child: Child, seconds: float, seed: int, *, model: str = canned.CHAT) -> ChunkCost:
    """Keep streams open: paced ones of 33 chunks, or with `CHAT_LONG` 10,000 chunks as fast as they go."""
    requests = canned.requests(target, model, seed, stream=True)
    connections = STREAMS if model == canned.CHAT else 4
    probe = Probe(child.cpu_seconds, seconds=seconds / 10)
    seen = closed_loop(target, requests, connections, Stop(seconds=seconds), probe=probe)
    # The first second opens all streams at once, which no later one does.
    marks = [mark for mark in seen.marks if mark.at >= 1.0] if model == canned.CHAT else seen.marks
    chunks, cpu, _ = _slices(marks, lambda mark: mark.events)
    refuse_errors(seen)
    if model == canned.CHAT:
        refuse_lost_chunks(seen)
    alone = seen.pieces / max(1, seen.calls) / (canned.STREAM_CHUNKS + 1)
    return ChunkCost(ratio_of_sums([c * 1e6 for c in cpu], chunks), seen.events, min(1.0, alone))


@dataclass(frozen=True)
class Direct:
    """Client and upstream by themselves, on the core they share: what the load could do, and its CPU a call."""

    rps: float
    cpu_us: float


def direct(upstream: Upstream, seconds: float, seed: int) -> Direct:
    """Measure the load without a gateway."""
    requests = canned.requests(upstream.target, canned.CHAT, seed)
    closed_loop(upstream.target, requests, CONNECTIONS, Stop(seconds=0.3))
    before = time.process_time() + upstream.cpu_seconds()
    seen = closed_loop(upstream.target, requests, CONNECTIONS, Stop(seconds=seconds))
    spent = time.process_time() + upstream.cpu_seconds() - before
    refuse_errors(seen)
    return Direct(seen.rps, spent / seen.calls * 1e6)


def refuse_slow_load(load: Direct, rps: float) -> None:
    """Raise `ControlFailed` where the load is not five times faster than the gateway it measured."""
    if load.rps < TIMES_FASTER * rps:
        raise ControlFailed(
            f"client and upstream alone make {load.rps:,.0f} calls a second, which is less than {TIMES_FASTER:.0f} times "
            f"the gateway's {rps:,.0f}: the load is what was measured"
        )


def refuse_errors(seen: Closed) -> None:
    """Raise `ControlFailed` where more than one call in a thousand failed, or too few were made."""
    if seen.errors > _ERRORS_ALLOWED * seen.calls or (seen.calls == 0 and seen.events == 0):
        raise ControlFailed(f"{seen.errors} calls failed beside {seen.calls} that were answered")


def refuse_lost_chunks(seen: Closed) -> None:
    """Raise `ControlFailed` where streams arrived with chunks missing."""
    if seen.events < seen.calls * canned.STREAM_CHUNKS:
        raise ControlFailed(f"{seen.calls} streams brought {seen.events} chunks, not {canned.STREAM_CHUNKS} each")


def _slices(marks: Sequence[Mark], count: Callable[[Mark], int]) -> tuple[list[float], list[float], list[float]]:
    """Give what was counted, the probe's growth and the seconds of each slice between two marks."""
    pairs = list(pairwise(marks))
    counted = [float(count(after) - count(before)) for before, after in pairs]
    return (
        counted,
        [after.value - before.value for before, after in pairs],
        [after.at - before.at for before, after in pairs],
    )
