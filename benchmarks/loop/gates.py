"""False alarms of gates on healthy traffic, and how soon a doubling of errors is found, by the product's own evaluation.

The product judges wherever a gate's value is beyond its bound; elsewhere it is within it, and no gate can fail. Beside it: the bare
threshold on the last fifteen minutes, and the soonest that any rule could be, told both rates beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop.healthy import (
    BASELINE,
    CELL_US,
    COST,
    DAY,
    HEALTHY_ERRORS,
    LATENCY,
    LEVELS,
    STARS,
    START_US,
    Days,
    gates,
    reading_of,
)
from benchmarks.report import ControlFailed, Figure, Report
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.judge import Opinion, look, settle
from meliora.loop.gates.reading import Cell, Reading, Span, sampled
from meliora.loop.gates.standing import Standing, advance, due
from meliora.stats.proportion import wilson

FAMILY = 8
"""Sampled gates of the shipped ones: what evidence is held to."""
ALLOWED = 0.02
"""False alarms a day, over all gates."""
HOUR = 12
DOUBLED = 0.02
"""True rate of errors, twice the bound."""
_WITHIN = Opinion("pass", within=True)


@dataclass
class Played:
    """Gates that are played through time, as the board does it."""

    gates: dict[str, Gate]
    standings: dict[str, Standing] = field(default_factory=dict)

    def tick(self, now_us: int, readings: dict[str, Reading]) -> list[str]:
        """Judge what is due; give the gates that newly failed. A gate without a reading is within its bound."""
        held = {name: self.standings.get(name, Standing()) for name in self.gates}
        waiting = [gate for name, gate in self.gates.items() if due(held[name], gate, now_us)]
        opinions = [
            look(gate, readings[gate.name], BASELINE, held[gate.name].since_us) if gate.name in readings else _WITHIN
            for gate in waiting
        ]
        failed = []
        for gate, opinion in zip(waiting, settle(opinions, FAMILY), strict=True):
            after = advance(held[gate.name], gate, opinion, now_us)
            if after.failing and not held[gate.name].failing:
                failed.append(gate.name)
            self.standings[gate.name] = after
        return failed


def measure(report: Report, *, quick: bool, seed: int) -> None:
    """Measure both figures. Raises `ControlFailed` where the bare threshold raises no false alarm, so that nothing was tested."""
    rng = np.random.default_rng(seed)
    days = 40 if quick else 1000
    alarms: dict[str, float] = {}
    naive: dict[str, float] = {}
    by_gate: dict[str, int] = {}
    for level in LEVELS:
        found, bare = _healthy(rng, level, days, by_gate)
        alarms[f"{level}/15min"], naive[f"{level}/15min"] = found / days, bare / days
    if sum(naive.values()) < 1:
        raise ControlFailed(
            f"the bare threshold raises {sum(naive.values()):.2f} alarms a day: the traffic is too quiet"
        )
    worst = max(alarms.values())
    low, high = wilson(min(days, round(worst * days)), days)
    beside = {f"at {name}": value for name, value in alarms.items()}
    beside |= {f"naive at {name}": value for name, value in naive.items()}
    note = "worst of four levels of traffic; by gate " + (
        ", ".join(f"{name} {count}" for name, count in sorted(by_gate.items())) or "none"
    )
    report.add(Figure("gate_false_alarms_per_day", worst, "a day", low, high, days, beside, note))
    _detection(report, rng, 150 if quick else 2000)


def _healthy(rng: np.random.Generator, level: int, days: int, by_gate: dict[str, int]) -> tuple[int, int]:
    """Play healthy days, fifty at a time; give the alarms of the product and of the bare threshold."""
    found = bare = done = 0
    while done < days:
        some = min(50, days - done)
        drawn = Days.draw(rng, level, some + 7)  # a week's start is enough for the longest look back
        bare += _naive(drawn, 7 * DAY)
        for name in _alarms(drawn, 7 * DAY):
            by_gate[name] = by_gate.get(name, 0) + 1
            found += 1
        done += some
    return found, bare


def _alarms(drawn: Days, first: int) -> list[str]:
    """Play the product from part `first` on; give the gates that failed, once for each time."""
    held = gates()
    slow = Played({name: gate for name, gate in held.items() if gate.name != "ingest"})
    lag = Played({"ingest": held["ingest"]})
    found: list[str] = []
    beyond = _beyond(slow.gates, drawn)
    gauges = {"gpu": drawn.gpu}
    for until in range(first, len(drawn.n)):
        now = START_US + until * CELL_US
        readings = {
            name: reading_of(gate, drawn, until)
            for name, gate in slow.gates.items()
            if name not in gauges and beyond[name][until]
        }
        if drawn.gpu[until] > 0.85:
            readings["gpu"] = Reading("gauge", float(drawn.gpu[until]), 1, now)
        if readings or any(one.fails or one.failing for one in slow.standings.values()):
            found += slow.tick(now, readings)
        for minute in range(until * 5, until * 5 + 5):
            value = float(drawn.lag[minute])
            if value > 60 or any(one.fails or one.failing for one in lag.standings.values()):
                at = START_US + minute * 60_000_000
                found += lag.tick(at, {"ingest": Reading("gauge", value, 1, at)})
    return found


def _beyond(held: dict[str, Gate], drawn: Days) -> dict[str, NDArray[np.bool_]]:
    """Tell for each part at whose end it is looked whether the window's value is beyond the bound."""
    found: dict[str, NDArray[np.bool_]] = {"gpu": drawn.gpu > 0.85}
    n = _window(drawn.n, HOUR)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["errors"] = _window(drawn.errors, HOUR) / n > (held["errors"].threshold or 0)
        found["latency"] = _window(drawn.latency @ LATENCY.values, HOUR) / n > (held["latency"].threshold or 0)
        share = _window(drawn.latency[:, LATENCY.values > 800].sum(axis=1), HOUR) / n
        # The quantile itself lies between two values near the bound: it is looked at closer than need be.
        found["latency_p95"] = share > 0.045
        found["cost"] = _window(drawn.cost @ COST.values, HOUR) / n > (held["cost"].threshold or 0)
        thumbs = drawn.thumbs
        stars = _window(thumbs @ STARS, DAY + 24) / _window(thumbs.sum(axis=1), DAY + 24)
        day = _window(thumbs @ STARS, DAY) / _window(thumbs.sum(axis=1), DAY)
        found["satisfaction"] = np.minimum(stars, day) < 4.1  # the window ends up to two hours ago
    daily = drawn.quality.mean(axis=1) < 0.8 * -0.03
    found["ndcg_drop"] = np.concatenate([np.zeros(DAY, dtype=bool), np.repeat(daily, DAY)])[: len(drawn.n)]
    return found


def _window(values: NDArray[np.generic], parts: int) -> NDArray[np.float64]:
    """Give the sum of the `parts` values before each one."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    ends = np.arange(len(values))
    return total[ends] - total[np.maximum(0, ends - parts)]


def _naive(drawn: Days, first: int) -> int:
    """Count how often a bare threshold on the last fifteen minutes breaks, looked at every fifteen."""
    n = _window(drawn.n, 3)
    thumbs = drawn.thumbs
    with np.errstate(divide="ignore", invalid="ignore"):
        broken = [
            _window(drawn.errors, 3) / n > 0.01,
            _window(drawn.latency @ LATENCY.values, 3) / n > 500,
            _window(drawn.latency[:, LATENCY.values > 800].sum(axis=1), 3) / n > 0.05,
            _window(drawn.cost @ COST.values, 3) / n > 0.5,
            _window(thumbs @ STARS, 3) / _window(thumbs.sum(axis=1), 3) < 4,
            np.repeat(drawn.quality.mean(axis=1) < 0.8 * -0.03, DAY),
            drawn.gpu > 0.85,
            drawn.lag.reshape(-1, 5)[:, 0] > 60,
        ]
    seen = [series[first::3] for series in broken]
    return int(sum((one[1:] & ~one[:-1]).sum() for one in seen))


def _detection(report: Report, rng: np.random.Generator, runs: int) -> None:
    at_100 = _delays(rng, 100, DOUBLED, runs)
    value = float(np.quantile(at_100, 0.95))
    ordered = np.sort(at_100)
    reach = 1.96 * np.sqrt(0.95 * 0.05 / runs)
    low, high = (float(ordered[min(runs - 1, int(share * runs))]) for share in (0.95 - reach, min(1.0, 0.95 + reach)))
    best_mean, best, its_alarms = _best_possible(rng, 100, max(runs, 500))
    beside = {"mean": float(at_100.mean()), "best possible": best, "best possible, mean": best_mean}
    for level, rate in ((400, DOUBLED), (1600, DOUBLED), (100, 0.1), (100, 0.5)):
        delays = _delays(rng, level, rate, max(50, runs // 4))
        beside[f"{rate:.0%} at {level}/15min"] = float(np.quantile(delays, 0.95))
    note = (
        f"95th percentile of the time to find errors of 2% (from 0.5%) at 100 requests in 15 minutes; best possible: told both "
        f"rates, {its_alarms:.3f} false alarms a day of this gate alone"
    )
    report.add(Figure("gate_detect_hours", value, "h", low, high, runs, beside, note))


def _delays(rng: np.random.Generator, level: int, rate: float, runs: int) -> NDArray[np.float64]:
    """Give the hours from the change to the failure of the gate, looked at every five minutes; those never found after 24."""
    gate = gates()["errors"]
    before, after = 6 * HOUR, 24 * HOUR
    found = np.full(runs, 24.0)
    for run in range(runs):
        n = rng.poisson(level / 3, before + after)
        hits = rng.binomial(n, np.repeat([HEALTHY_ERRORS, rate], [before, after]))
        cells = [
            Cell(START_US + at * CELL_US, int(count), int(hit))
            for at, (count, hit) in enumerate(zip(n, hits, strict=True))
        ]
        played = Played({"errors": gate})
        for until in range(before - HOUR, before + after + 1):
            now = START_US + until * CELL_US
            reading = sampled("rate", cells[max(0, until - 6 * HOUR) : until], Span.of(gate, now))
            assert isinstance(reading, Reading)
            if played.tick(now, {"errors": reading}) and until > before:
                found[run] = (until - before) / HOUR
                break
    return found


def _best_possible(rng: np.random.Generator, level: int, runs: int) -> tuple[float, float, float]:
    """Give mean and 95th percentile of the delay of a CUSUM that is told both rates, and its false alarms a day.

    No rule with as few false alarms is sooner in the worst case (Moustakides, Annals of Statistics 14(4), 1986). It may raise as
    many as all gates together are allowed.
    """
    parts = 60 * DAY
    n = rng.poisson(level / 3, (100, parts))
    gain, loss = np.log(DOUBLED / HEALTHY_ERRORS), np.log((1 - DOUBLED) / (1 - HEALTHY_ERRORS))
    hits = rng.binomial(n, HEALTHY_ERRORS)
    healthy = hits * gain + (n - hits) * loss
    later = rng.poisson(level / 3, (runs, 24 * HOUR))
    bad = rng.binomial(later, DOUBLED)
    broken = bad * gain + (later - bad) * loss
    bar, alarms = 3.0, np.inf
    while alarms > ALLOWED:
        bar += 0.25
        alarms = _cusum_alarms(healthy, bar) / (100 * 60)
    wealth = np.zeros(runs)
    delay = np.full(runs, 24.0)
    for part in range(24 * HOUR):
        wealth = np.maximum(wealth, 0) + broken[:, part]
        delay = np.where((wealth >= bar) & (delay == 24.0), (part + 1) / HOUR, delay)
    return float(delay.mean()), float(np.quantile(delay, 0.95)), float(alarms)


def _cusum_alarms(steps: NDArray[np.float64], bar: float) -> int:
    wealth = np.zeros(len(steps))
    count = 0
    for part in range(steps.shape[1]):
        wealth = np.maximum(wealth, 0) + steps[:, part]
        over = wealth >= bar
        count += int(over.sum())
        wealth[over] = 0
    return count
