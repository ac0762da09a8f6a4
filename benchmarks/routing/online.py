"""Learning while serving, where only the chosen model's reward is seen: warm, cold, and when a model degrades.

A run learns from training prompts in random order (in further passes where they run out) and is judged on the test part: the value
of a policy is what it would bring there, by the outcomes of all models and the probabilities it would serve with, exploration
included. Utility is quality - cost / pay; `pay` is what the dial "hold `FLOOR` of the reference's quality" comes to for the offline
policy, calibrated out of fold on the training part; the reference is the best single model by mean quality there. Policies are
refreshed every `REFRESH` outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.intervals import mean, ratio_of_sums
from benchmarks.plots import lines
from benchmarks.report import Figure, Report
from benchmarks.routing.data import Set, Split
from benchmarks.routing.public import listed
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.explore import Exploration, draw, preferred, propensities
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.fit import fit
from meliora.routing.learning.online import Learning, OnlineLearner, Seen
from meliora.routing.learning.prior import begin, blank
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus, fit_trunk, phis, read_all

Array = NDArray[np.float64]

FLOOR = 0.95
STRICT = 0.98
"""Another dial, at which there is less to gain and the best single model is harder to beat; shown beside the first."""
SAMPLE = 300
SETS = ("routerbench", "zeroeval", "mmlupro")
SEEDS = 20
REFRESH = 20
JUDGED = 1000
"""Test prompts on which a policy is judged, drawn anew in each run where there are more."""
CHANGE = 2000
WINDOW = 100
FALL = 0.2
RULE = Exploration(floor=0.0002, cap=0.02)


@dataclass(frozen=True)
class Series:
    """Mean over seeds of a value at each step; beside it the values of policies that do not move."""

    name: str
    steps: list[int]
    values: list[float]
    levels: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """A set as the runs see it: all outcomes known, read once."""

    name: str
    train: Outcomes
    test: Outcomes
    train_corpus: Corpus
    test_corpus: Corpus
    reference: int
    offline: Policy
    """Fitted on the whole training part with all outcomes."""
    pay: float

    @classmethod
    def of(cls, train: Set, test: Set) -> Field:
        """Keep the prompts on which every outcome is known; fix reference and dial on the training part."""
        left, right = whole(train.outcomes), whole(test.outcomes)
        reference = left.best()
        corpus = read_all(left.prompts)
        offline = fit(left, reference=left.models[reference], corpus=corpus)
        pay = Dial(quality_floor=FLOOR).pay(offline.curve)
        return cls(train.name, left, right, corpus, read_all(right.prompts), reference, offline, pay)

    def held_to(self, floor: float) -> Field:
        """Give the same with another dial."""
        return replace(self, pay=Dial(quality_floor=floor).pay(self.offline.curve))


@dataclass(frozen=True)
class Levels:
    """Utility of policies that do not move, on every test prompt [n]."""

    offline: Array
    reference: Array
    single: Array
    """The single model that is best at this dial."""

    @classmethod
    def of(cls, where: Field) -> Levels:
        """Let the offline policy choose, and read off the single models."""
        policy = where.offline
        utility = utilities(where.test, where.pay)
        best = int(utilities(where.train, where.pay).mean(axis=0).argmax())
        chosen = chances(policy, phis(policy.embedding, where.test_corpus), where.pay, Exploration(0.0, 0.0))
        return cls((chosen * utility).sum(axis=1), utility[:, where.reference], utility[:, best])


@dataclass
class Run:
    """One learner in service."""

    where: Field
    start: Policy
    rng: np.random.Generator
    stream: NDArray[np.int64]
    """Training rows that it may see, in any order."""
    learning: Learning

    def __post_init__(self) -> None:
        self.learner = OnlineLearner(self.start, self.learning)
        self.policy = self.learner.policy(0)
        self.phi = phis(self.start.embedding, self.where.train_corpus)
        rows = self.rng.permutation(len(self.where.test))[:JUDGED]
        self.judged = rows
        self.judged_phi = phis(self.start.embedding, self.where.test_corpus.take(rows))
        self.kept: Array = np.ones(len(self.start.models))
        """Share of each model's reward that is left to it."""

    def value(self) -> float:
        """Give the utility that the present policy would bring on the judged prompts."""
        utility = utilities(self.where.test, self.where.pay, self.kept)[self.judged]
        return float((chances(self.policy, self.judged_phi, self.where.pay) * utility).sum(axis=1).mean())

    def served(self) -> Array:
        """Give each model's share of the judged prompts."""
        return chances(self.policy, self.judged_phi, self.where.pay).mean(axis=0)

    def go(self, steps: int, each: Callable[[int], None]) -> None:
        """Serve and learn; `each` is called with the number of outcomes after every refresh."""
        order = np.concatenate([self.rng.permutation(self.stream) for _ in range(1 + steps // len(self.stream))])
        outcomes = self.where.train
        for step, row in enumerate(order[:steps], 1):
            probabilities = chances(self.policy, self.phi[row][None], self.where.pay)[0]
            model = draw(probabilities, self.rng.random())
            fails = self.rng.random() >= self.kept[model]
            self.learner.learn(
                Seen(
                    phi=self.phi[row],
                    model=self.policy.models[model],
                    reward=0.0 if fails else float(outcomes.rewards[row, model]),
                    cost=float(outcomes.costs[row, model]),
                    key=f"key {int(row) % 20}",
                )
            )
            if step % REFRESH == 0:
                self.policy = self.learner.policy(step)
                each(step)


def measure(report: Report, parts: Split, *, quick: bool, folder: Path | None) -> None:
    """Add the figures of every set that has prices, and draw the series into `folder`; `quick` does the warm start of one run."""
    for name in SETS:
        if name not in parts.train or name not in parts.test:
            continue
        where = Field.of(parts.train[name], parts.test[name])
        for suffix, run in {"warm_gain_100": warm_gain, "cold_loss_200": cold_loss, "recovery_steps": recovery}.items():
            if quick and run is not warm_gain:
                report.miss(f"{name}.{suffix}", "takes minutes; run without --quick")
                continue
            figure, series = run(where, 2 if quick else SEEDS)
            report.add(figure)
            if folder is not None:
                draw_series(series, folder, "regret a call" if run is recovery else "gain over the best single model")


def draw_series(series: Series, folder: Path, up: str) -> None:
    """Draw what a series came to over the outcomes."""
    drawn = {"learning": list(zip(map(float, series.steps), series.values, strict=True))}
    ends = (float(series.steps[0]), float(series.steps[-1]))
    drawn |= {level: [(ends[0], value), (ends[1], value)] for level, value in series.levels.items()}
    title = series.name.replace(".", ": ")
    drawing = lines(title, "outcomes", up, drawn, logarithmic=False)
    (folder / f"routing-{series.name}.svg").write_text(drawing, encoding="utf-8")


def warm_gain(where: Field, seeds: int, steps: int = SAMPLE) -> tuple[Figure, Series]:
    """Fit on 300 prompts with all outcomes, go on with partial ones: the share of the offline policy's gain over the reference."""
    starts = [_start(where, seed) for seed in range(seeds)]
    table, gains, singles = _gained(where, starts, steps)
    strict, strict_gains, _ = _gained(where.held_to(STRICT), starts, steps)
    at = np.arange(table.shape[1]) * REFRESH
    within = (at >= 100) & (at <= 300)
    found = ratio_of_sums(table[:, within].mean(axis=1).tolist(), gains.tolist())
    gain = float(gains.mean())
    beside = {
        "offline_gain": gain,
        "at_start": float(table[:, 0].mean()) / gain,
        "best_single_by_utility": float(singles.mean()) / gain,
        "gain_at_98": float(strict[:, within].mean()),
        "offline_gain_at_98": float(strict_gains.mean()),
    }
    note = f"dial {FLOOR:.0%} of the reference, {where.pay:.3g} US$ for quality 1; interval over seeds"
    figure = Figure(f"{where.name}.warm_gain_100", found.value, "share", found.low, found.high, seeds, beside, note)
    still = {"offline policy": gain, "best single model": 0.0}
    return figure, Series(f"{where.name}.warm", at.tolist(), table.mean(axis=0).tolist(), still)


def cold_loss(where: Field, seeds: int, steps: int = CHANGE) -> tuple[Figure, Series]:
    """Know nothing but the price list: the mean loss against the reference over t = 200..2,000, as a share of its utility.

    The trunk is fitted on the training prompts' texts, no outcome seen.
    """
    trunk = fit_trunk(where.train_corpus, 32)
    tokens = np.array([len(prompt) / 4 for prompt in where.train.prompts], np.float32)
    nothing = blank(trunk, phis(trunk, where.train_corpus), tokens)
    start = begin(nothing, listed(where.train), where.train.models[where.reference])
    return begun(where, start, seeds, "cold", steps)


def begun(where: Field, start: Policy, seeds: int, name: str, steps: int = CHANGE) -> tuple[Figure, Series]:
    """Begin with a policy that has seen no outcome: the mean loss over t = 200..2,000, as `SET.NAME_loss_200`."""
    levels = Levels.of(where)
    reference = float(levels.reference.mean())
    gain = float(levels.offline.mean()) - reference
    curves = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 2])
        run = Run(where, start, rng, np.arange(len(where.train)), Learning(pay=where.pay))
        level = float(levels.reference[run.judged].mean())
        curve: list[float] = []
        run.go(steps, lambda _, run=run, curve=curve, level=level: curve.append(run.value() - level))
        curves.append(curve)
    table = np.array(curves)
    at = (1 + np.arange(table.shape[1])) * REFRESH
    losses = -table[:, at >= 200].mean(axis=1) / abs(reference)
    found = mean([float(loss) for loss in losses])
    beside = {"worst_seed": float(losses.max()), "last_gain": float(table[:, -1].mean()), "offline_gain": gain}
    note = "below 0: better than the reference"
    figure = Figure(f"{where.name}.{name}_loss_200", found.value, "share", found.low, found.high, seeds, beside, note)
    still = {"offline policy": gain, "best single model": 0.0}
    return figure, Series(f"{where.name}.{name}", at.tolist(), table.mean(axis=0).tolist(), still)


def recovery(where: Field, seeds: int, before: int = CHANGE, after: int = 600) -> tuple[Figure, Series]:
    """Degrade the most served model by 20 points: steps until the rolling regret is within 10% of what it was.

    Regret is against the best model for each prompt. What the change takes from every policy is not counted: it is measured on an
    offline policy that was told of it.
    """
    curves, unavoidable = [], []
    for seed in range(seeds):
        start, stream = _start(where, seed)
        run = Run(where, start, np.random.default_rng([seed, 3]), stream, Learning(pay=where.pay))
        curve: list[float] = []

        def note(_: int, run: Run = run, curve: list[float] = curve) -> None:
            best = utilities(where.test, where.pay, run.kept)[run.judged].max(axis=1).mean()
            curve.append(float(best) - run.value())

        run.go(before, note)
        whole = np.ones(len(run.kept))
        model = int(run.served().argmax())
        run.kept = whole.copy()
        run.kept[model] = max(0.0, 1 - FALL / float(where.train.rewards[:, model].mean()))
        run.go(after, note)
        unavoidable.append(_informed(where, run.kept, run.judged) - _informed(where, whole, run.judged))
        curves.append(curve)
    table = np.array(curves)
    at = (1 + np.arange(table.shape[1])) * REFRESH
    usual = float(table[:, (at > before - 500) & (at <= before)].mean())
    rolled = _rolling(table.mean(axis=0)[at > before] - float(np.mean(unavoidable)), WINDOW // REFRESH)
    good = np.flatnonzero(rolled <= 1.1 * usual)
    taken = float((good[0] + 1) * REFRESH) if len(good) else float("inf")
    worst = float((table.mean(axis=0)[at > before] - float(np.mean(unavoidable))).max())
    figure = Figure(
        f"{where.name}.recovery_steps",
        taken if np.isfinite(taken) else float(after),
        "steps",
        n=seeds,
        beside={
            "regret_before": usual,
            "worst_after": worst,
            "last": float(rolled[-1]),
            "unavoidable": float(np.mean(unavoidable)),
        },
        note=f"rolling over {WINDOW} steps" if np.isfinite(taken) else f"not recovered within {after} steps",
    )
    return figure, Series(f"{where.name}.recovery", at.tolist(), table.mean(axis=0).tolist(), {"before": usual})


def chances(policy: Policy, phi: NDArray[np.float32], pay: float, rule: Exploration = RULE) -> Array:
    """Give the probability of each model, [n, M], as the request path serves."""
    quality = np.clip(phi @ policy.quality.mean.T, 0, 1).astype(np.float64)
    utility = quality - np.exp(np.clip(phi @ policy.costs.mean.T, -25, 10)) * policy.costs.ratio / pay
    reference = policy.models.index(policy.reference)
    if rule.cap == 0:
        held = utility - policy.handicap
        held[:, reference] += policy.handicap
        return np.eye(len(policy.models))[held.argmax(axis=1)]
    found = np.zeros_like(quality)
    for row, one in enumerate(phi):
        spread = policy.quality.at(one)[1].tolist()
        values = utility[row].tolist()
        best = preferred(values, spread, reference, rule.caution, policy.handicap)
        found[row] = propensities(values, spread, best, rule)
    return found


def utilities(outcomes: Outcomes, pay: float, kept: Array | None = None) -> Array:
    """Give the utility of each model on each prompt, where only the share `kept` of its reward is left to each."""
    return outcomes.rewards * (1.0 if kept is None else kept) - outcomes.costs / pay


def whole(outcomes: Outcomes) -> Outcomes:
    """Give the prompts on which every reward and every cost is known."""
    known = ~(np.isnan(outcomes.rewards) | np.isnan(outcomes.costs)).any(axis=1)
    return outcomes.take(np.flatnonzero(known))


def _gained(where: Field, starts: list[tuple[Policy, NDArray[np.int64]]], steps: int) -> tuple[Array, Array, Array]:
    """Give each run's gain over the reference at every refresh [seeds, t], the offline policy's, and the best single model's."""
    levels = Levels.of(where)
    curves, gains, singles = [], [], []
    for seed, (start, stream) in enumerate(starts):
        run = Run(where, start, np.random.default_rng([seed, 1]), stream, Learning(pay=where.pay))
        reference = float(levels.reference[run.judged].mean())
        curve = [run.value() - reference]
        run.go(steps, lambda _, run=run, curve=curve, held=reference: curve.append(run.value() - held))
        curves.append(curve)
        gains.append(float(levels.offline[run.judged].mean()) - reference)
        singles.append(float(levels.single[run.judged].mean()) - reference)
    return np.array(curves), np.array(gains), np.array(singles)


def _start(where: Field, seed: int) -> tuple[Policy, NDArray[np.int64]]:
    """Give a policy fitted on 300 prompts with all outcomes, and the training rows that it may see afterwards."""
    order = np.random.default_rng([seed, 0]).permutation(len(where.train))
    few = order[:SAMPLE]
    policy = fit(
        where.train.take(few), reference=where.train.models[where.reference], corpus=where.train_corpus.take(few)
    )
    return policy, order[SAMPLE:] if len(order) > 2 * SAMPLE else order


def _informed(where: Field, kept: Array, rows: NDArray[np.int64]) -> float:
    """Regret of an offline policy that was told what is left of each model's reward."""
    told = Outcomes(where.train.prompts, where.train.models, where.train.rewards * kept, where.train.costs)
    policy = fit(told, reference=where.train.models[where.reference], corpus=where.train_corpus)
    utility = utilities(where.test, where.pay, kept)[rows]
    chosen = chances(policy, phis(policy.embedding, where.test_corpus.take(rows)), where.pay, Exploration(0.0, 0.0))
    return float((utility.max(axis=1) - (chosen * utility).sum(axis=1)).mean())


def _rolling(values: Array, width: int) -> Array:
    """Mean of the last `width` values at each place; at the first places of as many as there are."""
    sums = np.cumsum(np.concatenate((np.zeros(1), values)))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    return (sums[last] - sums[first]) / (last - first)
