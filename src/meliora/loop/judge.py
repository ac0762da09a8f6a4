"""Judges the arms of a trial and the holdback of a watch: from the sums that the store reads off the calls to a verdict.

All that a verdict rests on goes into its evidence, so that `again` comes to the same one from the record alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

import msgspec

from meliora.loop.arms import Arm, Paired, Stretch
from meliora.loop.change import Change
from meliora.loop.house import TrialVerdict, WatchVerdict
from meliora.loop.kind import Guardrail, TrialPlan, WatchPlan
from meliora.loop.metrics import METRICS, Metric
from meliora.stats import trial as statistics
from meliora.stats.multiple import e_lond_level, early_share
from meliora.stats.quantiles import quantile_point
from meliora.stats.srm import Split, log_e_value, mismatch

SPLIT = "split"
VERDICT = "verdict"
DISCOVERY = "discovery"
CORRELATION = 0.2
"""Assumed of the calls of one unit, where a quantile is judged."""


class ArmReader(Protocol):
    """Reads what the arms of a change have shown. Raises `StoreError`."""

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> Sequence[Stretch]:
        """Give each stretch of one share, the first one first, with the sums of what is mature by now."""
        ...

    def calls(self, tenant: str, change: str, phase: str, since_us: int) -> int:
        """Count the calls of both arms since."""
        ...

    def pairs(self, tenant: str, change: str, metrics: Sequence[tuple[Metric, bool]], now_us: int) -> Paired:
        """Give what shadows have shown that is mature; each metric with whether it is read as a share of the baseline's."""
        ...


class ArmJudge:
    """Judges by `stats.trial`."""

    def __init__(
        self,
        arms: ArmReader,
        now_us: Callable[[], int],
        earlier: Callable[[str], Sequence[bool]] = lambda change: (),
        false_discoveries: float = 0.1,
    ) -> None:
        """`earlier` gives, of the trials that began before a change's, whether each ended in a delivery."""
        self._arms = arms
        self._now_us = now_us
        self._earlier = earlier
        self._false_discoveries = false_discoveries

    def trial(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Judge a trial by everything that is mature: harm first, then the split, then the gain."""
        metrics = [METRICS[plan.primary], *(METRICS[one.metric] for one in plan.guardrails)]
        stretches = self._arms.stretches(change.tenant, change.id, "trial", metrics, self._now_us())
        live = [one for one in stretches if 0 < one.share < 1]
        units = sum(one.candidate.units for one in live), sum(one.baseline.units for one in live)
        last = live[-1].candidate.units if live and live[-1] is stretches[-1] else 0
        if not any(units):
            return TrialVerdict(outcome="no_data", sentence="no calls have come into the arms yet")
        rules = _rules(plan)
        evidence = {
            SPLIT: [[one.candidate.units, one.baseline.units, one.share] for one in live],
            VERDICT: {
                "primary": _plain(_reading(METRICS[plan.primary], plan.margin or None, True, live)),
                "guardrails": [
                    _plain(_reading(METRICS[one.metric], one.margin, one.relative, live)) for one in plan.guardrails
                ],
                "rules": msgspec.to_builtins(rules),
                "looks": change.progress.get("looks", []),
            },
            DISCOVERY: {"earlier": list(self._earlier(change.id)), "alpha": self._false_discoveries},
        }
        outcome, sentence, figures = again(evidence)
        return TrialVerdict(
            outcome=outcome,
            sentence=sentence,
            candidate_units=units[0],
            baseline_units=units[1],
            stage_units=last,
            information=_information(evidence),
            evidence=evidence | {"figures": figures},
        )

    def shadow(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Judge a trial in the shadow by its pairs: the same calls in both arms, so there is no split that could be wrong.

        Where it wins by this alone, it needs the evidence that any delivery does; before live stages the plan's own is enough.
        """
        wanted = [(METRICS[plan.primary], plan.margin or None, plan.margin > 0)]
        wanted += [(METRICS[one.metric], one.margin, one.relative) for one in plan.guardrails]
        now = self._now_us()
        seen = self._arms.pairs(change.tenant, change.id, [(metric, share) for metric, _, share in wanted], now)
        if not seen.units:
            return TrialVerdict(outcome="no_data", sentence="no call has been shadowed yet")
        readings = [_paired_reading(*one, seen) for one in wanted]
        # Looks in the shadow are not looks at the live arms: a committed horizon is the live trial's.
        evidence = {
            VERDICT: {
                "primary": _plain(readings[0]),
                "guardrails": [_plain(one) for one in readings[1:]],
                "rules": msgspec.to_builtins(_rules(plan, "confseq")),
                "looks": [],
            },
            "shadow": {"units": seen.units, "pairs": seen.pairs, "same": seen.same},
        }
        if not plan.live:
            evidence[DISCOVERY] = {"earlier": list(self._earlier(change.id)), "alpha": self._false_discoveries}
        outcome, sentence, figures = again(evidence)
        return TrialVerdict(
            outcome=outcome,
            sentence=f"in the shadow, {sentence}",
            candidate_units=seen.units,
            baseline_units=seen.units,
            stage_units=seen.units,
            evidence=evidence | {"figures": figures},
        )

    def watch(self, change: Change, plan: WatchPlan, period_us: int) -> WatchVerdict:
        """Judge by everything since the delivery: it fails when a guardrail is shown to be worse than its margin allows."""
        metrics = [METRICS[one.metric] for one in plan.guardrails]
        stretches = self._arms.stretches(change.tenant, change.id, "watch", metrics, self._now_us())
        live = [one for one in stretches if 0 < one.share < 1]
        calls = self._arms.calls(change.tenant, change.id, "watch", period_us)
        rules = _watched(plan)
        readings = [_reading(METRICS[one.metric], one.margin, one.relative, live) for one in plan.guardrails]
        evidence = {
            VERDICT: {
                "primary": _plain(readings[0]),
                "guardrails": [_plain(one) for one in readings[1:]],
                "rules": msgspec.to_builtins(rules),
                "looks": [],
            }
        }
        if not live or not all(min(one.candidate.units, one.baseline.units) for one in live[-1:]):
            return WatchVerdict(outcome="no_data", sentence="an arm has had no calls", calls=calls, evidence=evidence)
        outcome, sentence, figures = again(evidence)
        if outcome != "worse":
            effects = "; ".join(f"{one['name']} {one['effect']:+.4g}" for one in figures if one["effect"] is not None)
            sentence = f"nothing is shown to be worse than its margin allows: {effects or 'nothing is known yet'}"
        return WatchVerdict(
            outcome="fail" if outcome == "worse" else "pass",
            sentence=sentence,
            calls=calls,
            evidence=evidence | {"figures": figures},
        )

    def detects(self, change: Change, plan: WatchPlan) -> dict[str, float | None]:
        """Give the smallest harm to each guardrail that a watch with no more calls than it must have finds in four of five cases.

        Reckoned from how much calls varied in the change's trial; None where there was none, or the watch is too thin.
        """
        metrics = [METRICS[one.metric] for one in plan.guardrails]
        stretches = self._arms.stretches(change.tenant, change.id, "trial", metrics, self._now_us())
        arms = [(one.candidate, one.share) for one in stretches] + [(one.baseline, 1 - one.share) for one in stretches]
        held = plan.checks * plan.minimum_calls * plan.holdback
        # The arm most like the holdback: how much an arm varies by unit depends on how often its units called.
        seen = min(
            ((arm, share) for arm, share in arms if arm.calls), key=lambda one: abs(one[0].calls - held), default=None
        )
        return {one.metric: None if seen is None else smallest_harm(plan, one, *seen) for one in plan.guardrails}


def smallest_harm(plan: WatchPlan, rail: Guardrail, arm: Arm, share: float, calls: float | None = None) -> float | None:
    """Give the smallest harm to a guardrail that a watch finds with a chance of four in five.

    `arm` says how much calls vary, of a `share` of all units; `calls` is how many a check has (None: the least that it takes). In the
    metric's unit, or as a share of the baseline's value where the margin is one; None where it cannot be told.
    """
    metric = METRICS[rail.metric]
    known = float(arm.calls) if metric.quantile is not None else float(arm.sums[metric.name].weight)
    if not known:
        return None
    total = plan.checks * (plan.minimum_calls if calls is None else calls)
    shares = plan.holdback, 1 - plan.holdback
    # Of n calls to units that call by their habits, the squares of the units' counts come to n and to n * n times this.
    crowded = max(_size(arm) - 1, 0.0) / known * share
    units = [part * total / (1 + total * crowded) for part in shares]
    compared = _compared(metric, rail.margin, rail.relative)
    if metric.form == "rate":
        compared = replace(compared, kind="rate")  # worse, it varies more
    split = known, shares[0] * total, shares[1] * total
    harm = _watched(plan).harm(len(plan.guardrails))
    return statistics.detectable(compared, _point(arm, metric), split, (units[0], units[1]), harm)


def _watched(plan: WatchPlan) -> statistics.Rules:
    """Give the rules of a watch: it promotes nothing, and stops what is shown to harm."""
    return statistics.Rules(alpha=plan.alpha, harm_alpha=plan.alpha, least=2**31)


def _information(evidence: Mapping[str, Any]) -> float | None:
    if evidence[VERDICT]["rules"]["boundary"] != "obf":
        return None
    return _decided(evidence).information


def _decided(evidence: Mapping[str, Any]) -> statistics.Verdict:
    given = evidence[VERDICT]
    return statistics.decide(
        _read(given["primary"]),
        [_read(one) for one in given["guardrails"]],
        statistics.Rules(**given["rules"]),
        given["looks"],
    )


def again(evidence: Mapping[str, Any]) -> tuple[Any, str, list[dict[str, Any]]]:
    """Come to a verdict from evidence as it is recorded: outcome, sentence, figures."""
    found = _decided(evidence)
    figures = [msgspec.to_builtins(one) for one in found.findings]
    because = ", ".join(found.because)
    if found.outcome == "worse":
        return "worse", f"{because} is worse than its margin allows: {_said(found)}", figures
    splits = [Split((a, b), (share, 1 - share)) for a, b, share in evidence.get(SPLIT, [])]
    if splits and mismatch(splits):
        evidence_for = round(float(log_e_value(splits)), 1)
        sentence = f"the arms' sizes do not fit their shares (log e-value {evidence_for}): nothing they say counts"
        return "mismatch", sentence, figures
    need = _needed(evidence)
    unsure = found.outcome == "better" and found.findings[0].e_better < need
    if unsure and found.findings[0].not_inferior:
        # Where a margin is given nobody claims that it is better: what gains must not fare worse than what loses a little.
        return "better", f"{because} is not inferior: {_said(found)}", figures
    if unsure:
        sentence = f"{because} is better: {_said(found)}; over all trials so far an e-value of {need:.3g} is asked for"
        return "undecided", f"{sentence}, and it is {found.findings[0].e_better:.3g}", figures
    if found.outcome in ("better", "not_inferior"):
        return "better", f"{because} is {found.outcome.replace('_', ' ')}: {_said(found)}", figures
    return "undecided", f"{because} is not decided yet: {_said(found)}", figures


def _needed(evidence: Mapping[str, Any]) -> float:
    """Give the e-value that a better candidate must show, so that of all promoted ones few are false; 0 where none is asked for."""
    told = evidence.get(DISCOVERY)
    return 0.0 if told is None else 1 / e_lond_level(told["earlier"], told["alpha"], early_share)


def _said(found: statistics.Verdict) -> str:
    named = {one.name: one for one in found.findings}
    said = []
    for name in found.because:
        one = named[name]
        if one.effect is None:
            said.append(f"{name} is not known yet")
        elif one.low is None or one.high is None:
            said.append(f"{name} {one.effect:+.4g}")
        else:
            said.append(f"{name} {one.effect:+.4g} ({one.low:+.4g} to {one.high:+.4g})")
    return "; ".join(said)


def _reading(metric: Metric, margin: float | None, relative: bool, live: Sequence[Stretch]) -> statistics.Reading:
    pairs = [statistics.Pair(_point(one.baseline, metric), _point(one.candidate, metric)) for one in live]
    return statistics.Reading(_compared(metric, margin, relative), tuple(pairs))


def _rules(plan: TrialPlan, boundary: Literal["confseq", "obf"] | None = None) -> statistics.Rules:
    return statistics.Rules(
        alpha=plan.alpha,
        boundary=boundary or plan.boundary,
        target=float(plan.horizon_units or max(plan.minimum_units, 3000)),
        least=min(plan.minimum_units, 100),
    )


def _compared(metric: Metric, margin: float | None, relative: bool) -> statistics.Metric:
    kind: Any = {"rate": "rate", "mean": "ratio", "quantile": "quantile"}[metric.form]
    return statistics.Metric(
        name=metric.name,
        kind=kind,
        better="higher" if metric.direction == "up" else "lower",
        margin=margin,
        relative=relative and margin is not None,
    )


def _paired_reading(metric: Metric, margin: float | None, relative: bool, seen: Paired) -> statistics.Reading:
    """Read a metric of pairs. A quantile has no pairs: its two arms are read as if apart, which overstates how far they may differ."""
    known = _compared(metric, margin, relative)
    if metric.quantile is not None:
        pair = statistics.Pair(_point(seen.baseline, metric), _point(seen.candidate, metric))
        return statistics.Reading(known, (pair,))
    bounded = metric.unit in ("share", "0..1")
    return statistics.Reading(known, statistics.Paired(seen.sums[metric.name], bounded=bounded))


def _point(arm: Arm, metric: Metric) -> Any:
    if metric.quantile is not None:
        return quantile_point(arm.histograms[metric.name], metric.quantile, float(arm.units), _design(arm))
    return arm.sums[metric.name]


def _design(arm: Arm) -> float:
    """Give by how much more a share varies by unit than by call: Kish's design effect at an assumed correlation within units."""
    return 1 + max(_size(arm) - 1, 0.0) * CORRELATION


def _size(arm: Arm) -> float:
    """Give the calls a unit, weighted by size: units of many calls weigh more (Kish, Survey Sampling, 1965, 8.2)."""
    sizes = [one.weight_squares / one.weight for one in arm.sums.values() if one.weight]
    return max([float(one) for one in sizes], default=arm.calls / max(arm.units, 1))


def _plain(reading: statistics.Reading) -> dict[str, Any]:
    """Give a reading as the evidence keeps it: what is not known is null, since JSON has no other word for it."""
    plain = statistics.reading_to_json(reading)
    for arm in _arms(plain):
        arm.update({name: None for name, value in arm.items() if isinstance(value, float) and not math.isfinite(value)})
    return plain


def _read(plain: Mapping[str, Any]) -> statistics.Reading:
    known = copy.deepcopy(dict(plain))
    for arm in _arms(known):
        arm.update({name: math.nan for name, value in arm.items() if value is None})
    return statistics.reading_from_json(known)


def _arms(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    stages = plain["stages"]
    if isinstance(stages, dict):
        return [stages["differences"]]
    return [arm for pair in stages for arm in (pair["control"], pair["treated"])]
