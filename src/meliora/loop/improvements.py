"""What a change brought, as measured in its trial: differences with their intervals, null where nothing was measured. Claims nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from meliora.loop.change import Edge
from meliora.loop.metrics import METRICS


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """The difference that a change made to a metric, candidate minus baseline: in its unit, or a share where `relative`."""

    metric: str
    effect: float | None
    low: float | None = None
    high: float | None = None
    relative: bool = False


def gains(edges: Sequence[Edge]) -> tuple[Gain, ...]:
    """Give what the last look at a change's trial measured; empty before the first."""
    trial = _looked(edges)
    return () if trial is None else tuple(_gains(trial))


def impact(edges: Sequence[Edge]) -> float | None:
    """Give how much better the trial's primary metric became, 0..1; None where it was not measured, or is no share of anything."""
    trial = _looked(edges)
    if trial is None:
        return None
    metric = trial.get("verdict", {}).get("primary", {}).get("metric", {})
    gain = next((one for one in _gains(trial) if one.metric == metric.get("name")), None)
    known = METRICS.get(metric.get("name"))
    if gain is None or gain.effect is None or not math.isfinite(gain.effect):
        return None
    if not gain.relative and (known is None or known.unit not in ("share", "0..1")):
        return None
    better = gain.effect if metric.get("better") == "higher" else -gain.effect
    return min(1.0, max(0.0, better))


def improvements(found: Iterable[Gain]) -> dict[str, str | None]:
    """Give the documented pair: null until it was measured."""
    named = {gain.metric: gain for gain in found}
    return {
        "ndcg_delta": _said(named.get("ndcg@10"), ""),
        "latency_delta": _said(named.get("latency_mean") or named.get("latency_p95"), "ms"),
    }


def _looked(edges: Sequence[Edge]) -> dict[str, Any] | None:
    for edge in reversed(edges):
        trial = edge.evidence.get("trial")
        if isinstance(trial, dict) and trial.get("figures"):
            return trial
    return None


def _gains(trial: dict[str, Any]) -> Iterable[Gain]:
    verdict = trial.get("verdict", {})
    metrics = [verdict.get("primary", {}), *verdict.get("guardrails", [])]
    relative = {one["metric"]["name"]: bool(one["metric"].get("relative")) for one in metrics if "metric" in one}
    for one in trial["figures"]:
        yield Gain(
            metric=one["name"],
            effect=one["effect"],
            low=one["low"],
            high=one["high"],
            relative=relative.get(one["name"], False),
        )


def _said(gain: Gain | None, unit: str) -> str | None:
    if gain is None or gain.effect is None:
        return None
    return f"{gain.effect * 100:+.1f}%" if gain.relative else f"{gain.effect:+.4g}{unit}"
