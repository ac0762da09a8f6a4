"""What a live trial says: from each arm's sums by stage to a verdict. Deterministic, so that an audit can take it again.

The candidate is better when its primary metric is, and no guardrail can still be worse than its margin allows; it is worse as soon
as any metric is shown to be worse than it tolerates. Harm is looked for with a boundary of its own, tuned for few units, its error
shared out over all metrics (Schultzberg, Ankargren & Franberg, 2024: guardrails must all pass, which needs no correction, while
any of them can stop, which does). What is not known never passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from meliora.stats.confseq import Side, Tuning, boundary, interval, log_e_value, p_value
from meliora.stats.contrast import Contrast, Stage, contrast, paired
from meliora.stats.group_sequential import boundaries, repeated_p_value, spaced
from meliora.stats.multiple import calibrated
from meliora.stats.sums import Point, Sums, paired_point

Kind = Literal["mean", "rate", "ratio", "quantile"]
Outcome = Literal["better", "worse", "not_inferior", "undecided"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What is compared, and which way is good."""

    name: str
    kind: Kind
    """"rate" is a share of outcomes of 0 or 1, one or several a unit; "ratio" is any other sum over a count that varies by unit."""
    better: Literal["higher", "lower"]
    margin: float | None = None
    """How much worse is still allowed. None: no such claim is made, and the metric only stops what harms it."""
    relative: bool = False
    """Whether margin and effect are shares of the control's value."""

    def __post_init__(self) -> None:
        """Refuse a margin that allows nothing, which no amount of data could ever show to be kept."""
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise ValueError(f"the margin of {self.name} is positive or left out, not {self.margin}")


@dataclass(frozen=True, slots=True)
class Pair:
    """What both arms had in one stage: `Sums` by unit, for a quantile its `Point`."""

    control: Sums | Point
    treated: Sums | Point


@dataclass(frozen=True, slots=True)
class Paired:
    """What pairs of answers to the same calls differ by, over all stages: each is compared with itself, so no drift comes in."""

    differences: Sums
    """Treated less control, over the pairs; for a relative metric over the control's values."""
    bounded: bool = False
    """Whether one outcome lies within 0..1."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric with what was seen of it in each stage, or in pairs."""

    metric: Metric
    stages: tuple[Pair, ...] | Paired


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a trial is judged; fixed before it begins. Targets are units an arm, were both arms as large."""

    alpha: float = 0.05
    """Of both sides together: a candidate that is no better is promoted with a chance of at most half of it."""
    harm_alpha: float = 0.05
    boundary: Literal["confseq", "obf"] = "confseq"
    target: float = 3000.0
    """Where the sequence is tightest; with "obf" the committed horizon."""
    least: int = 100
    """Units of the smaller arm below which nothing is promoted."""
    harm_target: float = 200.0
    harm_least: int = 50

    def promotion(self) -> Tuning:
        """Give the sequence that each side of an effect's interval comes from."""
        return Tuning(self.alpha / 2, self.target, self.least)

    def harm(self, metrics: int) -> Tuning:
        """Give the sequence by which one of so many metrics is found to be harmed."""
        return Tuning(self.harm_alpha / metrics, self.harm_target, self.harm_least)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one metric, in its own direction and unit (or share, where relative). None: not known."""

    name: str
    units: float
    effect: float | None
    low: float | None
    high: float | None
    e_better: float
    """Evidence against "not better"; up to 1 it says nothing."""
    p_better: float
    better: bool
    not_inferior: bool
    harmed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, why, and what it rests on, the primary metric first."""

    outcome: Outcome
    because: tuple[str, ...]
    """The metrics that decided, or that keep it open."""
    findings: tuple[Finding, ...]
    information: float
    """Share of the target reached; with "obf" to be kept as this look's, for the next."""


def decide(
    primary: Reading, guardrails: Sequence[Reading] = (), rules: Rules | None = None, looks: Sequence[float] = ()
) -> Verdict:
    """Judge a trial. `looks` are the `information` of all looks before this one; only "obf" asks for them.

    Raises `ValueError` for two metrics of one name, and for sums that are not of the metric's kind.
    """
    rules = rules or Rules()
    names = [reading.metric.name for reading in (primary, *guardrails)]
    if len(set(names)) < len(names):
        raise ValueError(f"a metric stands twice in a trial: {', '.join(names)}")
    harm = rules.harm(len(names))
    seen = _contrast(primary)
    information = min(float(seen.clock) / (rules.target / 2), 1.0)
    main = _finding(primary.metric, seen, rules, harm, [*looks, information] if rules.boundary == "obf" else None)
    others = [_finding(reading.metric, _contrast(reading), rules, harm, None) for reading in guardrails]
    findings = (main, *others)
    claimed = {reading.metric.name for reading in guardrails if reading.metric.margin is not None}
    held_up = tuple(found.name for found in others if not _passed(found, rules, claimed=found.name in claimed))
    harmed = tuple(found.name for found in findings if found.harmed)
    outcome: Outcome
    if harmed:
        outcome, because = "worse", harmed
    elif held_up or not (main.better or main.not_inferior):
        outcome, because = "undecided", held_up or (main.name,)
    else:
        outcome, because = ("better" if main.better else "not_inferior"), (main.name,)
    return Verdict(outcome, because, findings, information)


def _passed(found: Finding, rules: Rules, *, claimed: bool) -> bool:
    """Tell whether a guardrail lets a promotion through: shown to hold, or without a claim at least looked at."""
    return found.not_inferior if claimed else found.effect is not None and found.units >= rules.harm_least


def detectable(
    metric: Metric,
    seen: Sums | Point,
    calls: tuple[float, float, float],
    units: tuple[float, float],
    tuned: Tuning,
    chance: float = 0.8,
) -> float | None:
    """Give the smallest harm that a guardrail finds with this chance, in the metric's unit or as a share of the control's value.

    `seen` is what an arm has shown in `calls[0]` calls; the control will have `calls[1]` calls of `units[0]` units, the treated arm
    `calls[2]` of `units[1]`. The harm is beyond the margin by the boundary and by as many standard errors as the chance takes; where
    harm makes calls vary more (a rate, a relative effect), that is counted in. None where nothing varies or nothing is known, or too
    few units come.
    """
    point = _point(seen, metric.kind)
    before, control, treated = calls
    value = float(point.value)
    if not (math.isfinite(value) and math.isfinite(float(point.variance)) and min(*calls, *units) > 0):
        return None
    a_call = float(point.variance) * before
    clock = units[0] * units[1] / (units[0] + units[1])
    reach = float(boundary(Contrast(0.0, 1.0, clock, min(units)), tuned, "below"))
    more = NormalDist().inv_cdf(chance)
    if not (a_call > 0 and math.isfinite(reach)) or (metric.relative and value == 0):
        return None
    margin = harm = metric.margin or 0.0
    for _ in range(100):
        said, true = _errors_at(metric, value, a_call, (control, treated), harm)
        harm, before_it = margin + reach * said + more * true, harm
        if abs(harm - before_it) <= 1e-6 * harm:
            return harm
    return None  # what is worse varies more, and faster than it stands out


def _errors_at(
    metric: Metric, value: float, a_call: float, calls: tuple[float, float], harm: float
) -> tuple[float, float]:
    """Give the standard error of the arms' difference where the treated arm is worse by so much: as `contrast` has it, and the true one."""
    control, treated = calls
    factor, grown = 1.0, 1.0
    if metric.relative:
        # By the delta method; outcomes that are larger by a factor vary more by its square.
        factor = 1 + harm if metric.better == "lower" else 1 - harm
        grown = factor * factor
    elif metric.kind == "rate" and 0 < value < 1:
        moved = min(max(value + harm if metric.better == "lower" else value - harm, 0.0), 1.0)
        grown = max(moved * (1 - moved) / (value * (1 - value)), 1.0)
    apart = grown / treated + factor * factor / control
    pooled = (control + treated * grown) / (control * treated)
    scale = math.sqrt(a_call) / (abs(value) if metric.relative else 1.0)
    return scale * math.sqrt(max(apart, pooled)), scale * math.sqrt(apart)


def reading_to_json(reading: Reading) -> dict[str, Any]:
    """Give plain data that `reading_from_json` reads back to an equal reading."""
    return asdict(reading)


def reading_from_json(plain: dict[str, Any]) -> Reading:
    """Read `reading_to_json` back. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    metric, seen = Metric(**plain["metric"]), plain["stages"]
    if isinstance(seen, dict):
        return Reading(metric, Paired(Sums(**seen["differences"]), seen["bounded"]))
    return Reading(metric, tuple(Pair(_arm(pair["control"]), _arm(pair["treated"])) for pair in seen))


def _arm(plain: dict[str, Any]) -> Sums | Point:
    return Point(**plain) if "variance" in plain else Sums(**plain)


def _contrast(reading: Reading) -> Contrast:
    """Give the arms' contrast, turned so that up is good."""
    kind, seen = reading.metric.kind, reading.stages
    if isinstance(seen, Paired):
        found = paired(paired_point(seen.differences, bounded=seen.bounded))
    else:
        stages = [Stage(_point(pair.control, kind), _point(pair.treated, kind)) for pair in seen]
        found = contrast(stages, relative=reading.metric.relative)
    if reading.metric.better == "higher":
        return found
    return Contrast(-found.difference, found.variance, found.clock, found.fewest)


def _point(arm: Sums | Point, kind: Kind) -> Point:
    if isinstance(arm, Point):
        return arm
    if kind == "quantile":
        raise ValueError("a quantile comes as a point, made from a histogram")
    if kind != "rate":
        return arm.point()
    if not 0 <= float(arm.total) <= float(arm.weight):
        raise ValueError(f"a rate is of outcomes of 0 or 1, and {arm.total} of {arm.weight} is none")
    return arm.rate_point()


def _finding(metric: Metric, seen: Contrast, rules: Rules, harm: Tuning, looks: Sequence[float] | None) -> Finding:
    """Judge one metric; with `looks`, at the last of them."""
    if looks is None:
        low, high, evidence, p = _anytime(seen, rules.promotion())
    else:
        low, high, evidence, p = _planned(seen, rules, looks)
    allowed = -(metric.margin or 0.0)
    _, worst = _pair(interval(seen, harm, "below"))
    known = math.isfinite(low)
    ends = (low, high) if metric.better == "higher" else (-high, -low)
    effect = float(seen.difference) * (1 if metric.better == "higher" else -1)
    return Finding(
        metric.name,
        float(seen.fewest),
        effect if math.isfinite(effect) else None,
        ends[0] if known else None,
        ends[1] if known else None,
        evidence,
        p,
        better=low > 0,
        not_inferior=metric.margin is not None and low > allowed,
        harmed=worst < allowed,
    )


def _anytime(seen: Contrast, tuned: Tuning) -> tuple[float, float, float, float]:
    sides: tuple[Side, Side] = ("above", "below")
    low, high = _pair(interval(seen, tuned, sides[0]))[0], _pair(interval(seen, tuned, sides[1]))[1]
    log_e = float(log_e_value(seen, tuned, sides[0]))
    return low, high, math.exp(min(log_e, 700.0)), float(p_value(log_e))


def _planned(seen: Contrast, rules: Rules, looks: Sequence[float]) -> tuple[float, float, float, float]:
    """Judge by the boundary of the last look. One that spends no error of its own says nothing."""
    z, now = float(seen.z()), looks[-1]
    counted = spaced(looks[:-1])
    if float(seen.fewest) < rules.least or not math.isfinite(z) or len(spaced([*counted, now])) == len(counted):
        return -math.inf, math.inf, 0.0, 1.0
    counted = (*counted, now)
    reach = boundaries(counted, rules.alpha / 2, 1)[-1] * float(seen.error())
    p = repeated_p_value([-math.inf] * (len(counted) - 1) + [z], counted)
    return float(seen.difference) - reach, float(seen.difference) + reach, calibrated(p), p


def _pair(ends: tuple[Any, Any]) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])
