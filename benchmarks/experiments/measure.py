"""The figures: each scenario's looks are judged by the library's own sequences, and what crossed when is counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.streams import Array, Draw, Look, clustered, clustered_ramp, ramp, single
from benchmarks.report import ControlFailed, Figure, Report
from meliora.stats import srm
from meliora.stats.confseq import interval
from meliora.stats.contrast import Contrast, contrast
from meliora.stats.group_sequential import boundaries
from meliora.stats.proportion import wilson
from meliora.stats.special import normal_quantile
from meliora.stats.trial import Rules

RULES = Rules()
HORIZON = 6000
"""Units of both arms together: 3,000 an arm."""
SHARES = (0.05, 0.2, 0.5)
USERS = 1000
"""Users of a trial in which they come back."""
NAIVE_Z = 1.959964


@dataclass(frozen=True)
class Size:
    """How much is simulated."""

    trials: int
    every: int
    """Units between two looks."""
    returning: int
    """Trials where users come back."""
    chunk: int
    """Of those, at once."""


FULL, QUICK = Size(10_000, 2, 10_000, 2000), Size(2000, 10, 1000, 500)


@dataclass(frozen=True)
class Crossed:
    """At how many units each trial crossed first, by rule; infinite where it never did."""

    at: dict[str, Array]

    def share(self, rule: str) -> float:
        """Give the share of trials that crossed."""
        return float(np.isfinite(self.at[rule]).mean())

    def bounded(self, rule: str) -> tuple[float, float, float, int]:
        """Give that share with its 95% interval, and the trials."""
        hits, n = int(np.isfinite(self.at[rule]).sum()), len(self.at[rule])
        low, high = wilson(hits, n)
        return hits / n, low, high, n


def crossed(looks: Iterable[Look], *, relative: bool = False) -> Crossed:
    """Look at all trials each time, by each rule: promoted, stopped for harm, a naive z, and the same on sums made naively."""
    found: dict[str, Array] = {}
    for look in looks:
        seen = contrast(look.stages, relative=relative)
        rules = _rules(seen)
        if look.naive is not None:
            rules["naive_sums"] = interval(contrast(look.naive), RULES.promotion(), "above")[0] > 0
        for rule, hit in rules.items():
            first = found.setdefault(rule, np.full(np.shape(hit), np.inf))
            first[hit & np.isinf(first)] = look.units
    return Crossed(found)


def _rules(seen: Contrast) -> dict[str, Any]:
    with np.errstate(invalid="ignore"):
        naive = (np.asarray(seen.z()) > NAIVE_Z) & (np.asarray(seen.fewest) >= RULES.least)
    return {
        "promoted": np.asarray(interval(seen, RULES.promotion(), "above")[0]) > 0,
        "promoted_down": np.asarray(interval(seen, RULES.promotion(), "below")[1]) < 0,
        "harmed": np.asarray(interval(seen, RULES.harm(1), "below")[1]) < 0,
        "harmed_of_4": np.asarray(interval(seen, RULES.harm(4), "below")[1]) < 0,
        "naive_z": naive,
    }


def rates(before: float, after: float) -> Draw:
    """Draw successes at these rates, without and with the treatment."""
    return lambda rng, treated, _: (rng.random(treated.shape) < np.where(treated, after, before)).astype(float)


def lognormal(sigma: float) -> Draw:
    """Draw costs whose log is normal."""
    return lambda rng, treated, _: np.exp(rng.normal(0.0, sigma, treated.shape))


def pareto(rng: np.random.Generator, treated: NDArray[np.bool_], _: float) -> Array:
    """Draw latencies whose third moment does not exist."""
    return rng.pareto(2.5, treated.shape) + 1.0


class Experiments:
    """Measures every figure into a report, and remembers which control failed."""

    def __init__(self, report: Report, size: Size) -> None:
        self.report, self.size = report, size
        self.failures: list[str] = []

    def run(self) -> None:
        """Measure all. Raises `ControlFailed` at the end, with all that failed."""
        self.plain()
        self.heavy()
        self.clustered()
        self.ramp()
        self.power()
        self.canary()
        self.split()
        if self.failures:
            raise ControlFailed("; ".join(self.failures))

    def plain(self) -> None:
        """Success or not, .70 in both arms, one outcome a user; and .01, where few events carry all."""
        found = crossed(self._single(rates(0.7, 0.7), rate=True))
        rare = crossed(self._single(rates(0.01, 0.01), rate=True))
        beside = self._beside(found) | {
            "obf_10_looks": self._obf(rates(0.7, 0.7))[0],
            "rate_of_1%": rare.share("promoted"),
        }
        self._level("aa_false_promotions", found, beside, "naive_z")

    def heavy(self) -> None:
        """Means of cost or latency with heavy tails, not capped, half and a tenth of the traffic treated; the worst counts.

        A candidate is promoted for a higher or for a lower mean, as the metric has it: both are counted, each by itself.
        """
        draws = {"lognormal_1.5": lognormal(1.5), "lognormal_2": lognormal(2.0), "pareto_2.5": pareto}
        variants = {
            f"{name}_{share}": crossed(self._single(draw, share=share, rate=False))
            for name, draw in draws.items()
            for share in (0.5, 0.1)
        }
        variants["relative"] = crossed(self._single(lognormal(2.0), rate=False), relative=True)
        shares = {
            f"{name}_{way}": found.share(rule)
            for name, found in variants.items()
            for way, rule in (("up", "promoted"), ("down", "promoted_down"))
        }
        name, _, way = max(shares, key=lambda name: shares[name]).rpartition("_")
        worst = variants[name]
        if way == "down":
            worst = Crossed(worst.at | {"promoted": worst.at["promoted_down"]})
        beside = self._beside(worst) | shares
        self._level("aa_false_promotions_heavy", worst, beside, "naive_z", f"the worst of all: {name}, {way}")

    def clustered(self) -> None:
        """Users of 1 to 40 calls, ICC .2, peeked at call by call; analysed by user, and by call as the control."""
        found = self._chunks(lambda rng, trials: clustered(rng, trials, USERS, self.size.every))
        beside = self._beside(found) | {"by_call": found.share("naive_sums")}
        self._level("aa_false_promotions_clustered", found, beside, "naive_sums")

    def ramp(self) -> None:
        """5, 20 and 50% while the base rate rises by 15 points; by stage, and thrown together as the control."""
        looks = ramp(self._rng(), self.size.trials, HORIZON, SHARES, lambda at: 0.6 + 0.15 * at, self.size.every)
        found = crossed(looks)
        anew, sticky = (
            self._chunks(lambda rng, trials, s=s: clustered_ramp(rng, trials, USERS, SHARES, 10, sticky=s), part=5)
            for s in (False, True)
        )
        beside = self._beside(found) | {
            "pooled": found.share("naive_sums"),
            "users_assigned_anew": anew.share("promoted"),
            "users_assigned_anew_harm": anew.share("harmed"),
            "users_sticky": sticky.share("promoted"),
            "users_sticky_harm": sticky.share("harmed"),
        }
        self._level("aa_false_promotions_ramp", found, beside, "naive_sums")

    def power(self) -> None:
        """Five points over .70, up to 3,000 an arm."""
        found = crossed(self._single(rates(0.7, 0.75), rate=True))
        value, low, high, n = found.bounded("promoted")
        needed = (NAIVE_Z + normal_quantile(min(value, 0.9999))) ** 2 * (0.7 * 0.3 + 0.75 * 0.25) / 0.05**2
        obf_power, obf_mean = self._obf(rates(0.7, 0.75))
        beside = {
            "mean_n_arm": float(np.minimum(found.at["promoted"], HORIZON).mean()) / 2,
            "fixed_n_arm": math.ceil(needed),
            "obf_power": obf_power,
            "obf_mean_n_arm": obf_mean / 2,
            "stopped_for_harm": found.share("harmed"),
        }
        note = "fixed_n_arm is what a test at one look needs for the same power"
        self.report.add(Figure("power_5pt", value, "share", low, high, n, beside, note))

    def canary(self) -> None:
        """Fifteen points worse than .70: units an arm until it is stopped."""
        found = crossed(
            single(self._rng(), self.size.trials, 2000, rates(0.7, 0.55), every=min(self.size.every, 4), rate=True)
        )
        stops = np.sort(found.at["harmed"]) / 2
        n = len(stops)
        reach = NAIVE_Z * math.sqrt(n) / 2
        low, high = stops[int(n / 2 - reach)], stops[int(n / 2 + reach)]
        of_four = float(np.median(found.at["harmed_of_4"])) / 2
        beside = {"p90": float(stops[int(0.9 * n)]), "of_4_metrics": of_four, "stopped_share": found.share("harmed")}
        self.report.add(Figure("canary_median_n", float(np.median(stops)), "units", float(low), float(high), n, beside))

    def split(self) -> None:
        """Units that were assigned as declared, over a ramp, each looked at: how often they are called wrongly split."""
        trials, every = 4 * self.size.trials, self.size.every
        at, naive = self._split(trials, every, SHARES)
        off, _ = self._split(self.size.trials // 10, every, tuple(share * 1.1 for share in SHARES))
        hits = int(np.isfinite(at).sum())
        low, high = wilson(hits, trials)
        beside = {"chi_square": float(naive.mean()), "arm_10%_larger_found": float(np.isfinite(off).mean())}
        self.report.add(Figure("srm_false_alarm", hits / trials, "share", low, high, trials, beside))
        if hits / trials > srm.ALPHA:
            self.failures.append(f"a right split is called wrong in {hits} of {trials} trials")
        if wilson(int(naive.sum()), trials)[0] <= srm.ALPHA:
            self.failures.append("a chi-square that is peeked at kept its level, so the peeking is not hard enough")

    def _split(self, trials: int, every: int, truth: Sequence[float]) -> tuple[Array, NDArray[np.bool_]]:
        rng = self._rng()
        counts = np.zeros((len(SHARES), 2, trials))
        at, naive = np.full(trials, np.inf), np.zeros(trials, dtype=bool)
        step = max(every, 5)
        edge = -normal_quantile(srm.ALPHA / 2)
        for seen in range(step, HORIZON + 1, step):
            stage = (seen - 1) * len(SHARES) // HORIZON
            treated = rng.binomial(step, truth[stage], trials)
            counts[stage] += (step - treated, treated)
            splits = [srm.Split((*arms,), (1 - share, share)) for arms, share in zip(counts, SHARES, strict=True)]
            hit = np.asarray(srm.log_e_value(splits[: stage + 1])) >= -math.log(srm.ALPHA)
            at[hit & np.isinf(at)] = seen
            units, share = counts[stage].sum(axis=0), SHARES[stage]
            naive |= np.abs(counts[stage][1] - units * share) > edge * np.sqrt(units * share * (1 - share))
        return at, naive

    def _obf(self, draw: Draw) -> tuple[float, float]:
        """Give the share promoted at ten planned looks, and the mean units until then."""
        edges = boundaries([look / 10 for look in range(1, 11)], RULES.alpha / 2, 1)
        at = np.full(self.size.trials, np.inf)
        looks = single(self._rng(), self.size.trials, HORIZON, draw, every=HORIZON // 10, rate=True)
        for edge, look in zip(edges, looks, strict=True):
            at[(np.asarray(contrast(look.stages).z()) >= edge) & np.isinf(at)] = look.units
        return float(np.isfinite(at).mean()), float(np.minimum(at, HORIZON).mean())

    def _single(self, draw: Draw, *, share: float = 0.5, rate: bool) -> Iterator[Look]:
        return single(self._rng(), self.size.trials, HORIZON, draw, share=share, every=self.size.every, rate=rate)

    def _chunks(self, looks: Callable[[np.random.Generator, int], Iterator[Look]], part: int = 1) -> Crossed:
        """Simulate one in `part` of the trials in which users come back, some at once."""
        rng = self._rng()
        parts = [
            crossed(looks(rng, self.size.chunk)) for _ in range(max(self.size.returning // part // self.size.chunk, 1))
        ]
        return Crossed({rule: np.concatenate([part.at[rule] for part in parts]) for rule in parts[0].at})

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.report.seed, len(self.report.figures)])

    def _beside(self, found: Crossed) -> dict[str, float]:
        return {"harm_stops": found.share("harmed"), "naive_z": found.share("naive_z")}

    def _level(self, name: str, found: Crossed, beside: dict[str, float], control: str, note: str = "") -> None:
        """Report false promotions; fails where they are off their level, or the control is not."""
        value, low, high, n = found.bounded("promoted")
        self.report.add(Figure(name, value, "share", low, high, n, beside, note))
        harm = found.bounded("harmed")[2]
        if high > RULES.alpha or harm > RULES.harm_alpha:
            self.failures.append(f"{name} is {value:.4f} (up to {high:.4f}), harm {found.share('harmed'):.4f}")
        if found.bounded(control)[1] <= RULES.alpha:
            self.failures.append(f"{name}: the control {control} kept its level ({found.share(control):.4f})")
