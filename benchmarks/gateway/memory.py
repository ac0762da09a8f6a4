"""What calls leave behind: resident memory after many of them with many open streams in between, and its slope.

The slope is taken over the calls after the streams have ended, so that it is growth a call and not the one-time room
that a thousand streams ask for. Its high end is what counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

from benchmarks.gateway.processes import Child
from benchmarks.gateway.saturate import CONNECTIONS, refuse_errors
from benchmarks.intervals import Estimate, slope
from benchmarks.load import canned
from benchmarks.load.canned import Target
from benchmarks.load.client import Probe, Stop, closed_loop
from benchmarks.report import ControlFailed


@dataclass(frozen=True)
class Plan:
    """How many calls in all, how many streams open in between, and how many memory readings the slope has."""

    calls: int
    streams: int
    readings: int
    most_seconds: float

    @classmethod
    def full(cls) -> Plan:
        """The issue's own: 200,000 calls, 1,000 streams."""
        return cls(200_000, 1_000, 60, 600.0)

    @classmethod
    def quick(cls) -> Plan:
        """A fifth of it, in seconds."""
        return cls(40_000, 1_000, 24, 9.0)


@dataclass(frozen=True)
class Memory:
    """Megabytes at the end, at the beginning and with the streams open; kilobytes per 10,000 calls."""

    mb: float
    mb_before: float
    mb_with_streams: float
    slope_kb: Estimate
    calls: int
    streams: int


def remembered(target: Target, child: Child, plan: Plan, seed: int) -> Memory:
    """Make the calls on a gateway that was just started. Raises `ControlFailed` where calls or streams fail."""
    requests = canned.requests(target, canned.CHAT, seed)
    holds = list(islice(cycle(canned.requests(target, canned.CHAT_HOLD, seed, stream=True)), plan.streams))
    before = child.rss_kb()
    first = closed_loop(target, requests, CONNECTIONS, Stop(calls=plan.calls // 5, seconds=plan.most_seconds / 4))
    refuse_errors(first)
    looks = Probe(child.rss_kb, seconds=0.5)
    held = closed_loop(target, requests, CONNECTIONS, Stop(asides=True), probe=looks, asides=holds)
    refuse_errors(held)
    if held.asides != plan.streams:
        raise ControlFailed(f"{held.asides} of {plan.streams} streams ended whole")
    left = max(plan.calls - first.calls - held.calls, plan.calls // 4)
    stop = Stop(calls=left, seconds=plan.most_seconds / 2)
    each = Probe(child.rss_kb, calls=left / plan.readings, seconds=stop.seconds / plan.readings)
    last = closed_loop(target, requests, CONNECTIONS, stop, probe=each)
    refuse_errors(last)
    return Memory(
        mb=child.rss_kb() / 1024,
        mb_before=before / 1024,
        mb_with_streams=max(mark.value for mark in held.marks) / 1024,
        slope_kb=slope([mark.calls / 1e4 for mark in last.marks], [mark.value for mark in last.marks]),
        calls=first.calls + held.calls + last.calls,
        streams=held.asides,
    )
