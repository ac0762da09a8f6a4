"""The offline figures: policies that saw the outcome of every model on the training part, judged on the test part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import plots
from benchmarks.report import ControlFailed, Figure, Report
from benchmarks.routing import cascade
from benchmarks.routing.data import Set, Split, digest
from benchmarks.routing.measure import Judged, apgr, by_calls, judged, loss_left_out, oracle_sweep, saving, swept
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.embedding import WordVectors
from meliora.routing.learning.fit import Fitting, fit
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus, Embedding, read_all
from meliora.stats.hull import hull

FLOORS = {"mmlupro": 1.0}
"""The share of the best model's quality at which a set's saving is told; 0.98 where none is named."""

_QUICK_TRAIN, _QUICK_TEST = 1500, 800
"""Rows of a set that `quick` looks at: the first by the hash of the prompt."""

_SMALLEST = 100
"""Rows below which a source is not left out alone: its interval would say nothing."""


@dataclass
class Offline:
    """Measures one set after the other; policies and read prompts are kept for the parts that follow."""

    split: Split
    report: Report
    quick: bool = False
    folder: Path | None = None
    """Where plots go."""
    vectors: WordVectors | None = None
    """Folded into every policy."""
    _corpora: dict[tuple[str, bool], Corpus] = field(default_factory=dict)

    def run(self, figures: bool = True, leave_out: bool = True) -> None:
        """Measure every set that is in both parts."""
        for name in sorted(set(self.split.train) | set(self.split.test)):
            if name not in self.split.train or name not in self.split.test:
                self.report.miss(name, "it is in one of the two parts only")
                continue
            train, test = self.split.train[name], self.split.test[name]
            if self.quick:
                train, test = _some(train, _QUICK_TRAIN), _some(test, _QUICK_TEST)
            priced = train.priced
            if not priced:
                train, test = by_calls(train), by_calls(test)
            if figures:
                self._set(name, train, test, priced)
            if leave_out:
                self._left_out(name, train, test)

    def _set(self, name: str, train: Set, test: Set, priced: bool) -> None:
        here, rows = judged(train.outcomes, test.outcomes)
        policy = fit(train.outcomes, corpus=self._corpus(train, True), fitting=self._fitting())
        corpus = self._corpus(test, False).take(rows)
        if not priced:
            self.report.add(apgr(f"{name}.apgr", policy, corpus, here))
            return
        floor = FLOORS.get(name, 0.98)
        label = f"{100 * floor:.0f}"
        found = saving(f"{name}.save{label}", policy, corpus, here, floor)
        self.report.add(found)
        self.report.add(
            Figure(
                f"{name}.zero{label}",
                found.beside["zero"],
                "share",
                n=found.n,
                beside={"quality": found.beside["zero_quality"]},
                note="mix of single models that holds the quality on the training part",
            )
        )
        if self.folder is not None:
            self._plot(name, policy, corpus, here)
        if train.answers:
            outcomes = cascade.answered(train)
            wide = fit(outcomes, corpus=self._corpus(train, True), fitting=self._fitting())
            alone = saving(name, policy, corpus, here, 1.0).value
            self.report.add(
                cascade.saving(f"{name}.cascade_save100", wide, outcomes, test.take(rows), corpus, here, 1.0, alone)
            )

    def _left_out(self, name: str, train: Set, test: Set) -> None:
        families = [source.split("/")[0] for source in train.sources]
        most = 1 if self.quick else 6
        large = [family for family, count in Counter(families).most_common(most) if count >= _SMALLEST]
        if len(set(families)) < 2 or not large:
            self.report.miss(f"{name}.leave_out_worst", "it has one source only, or only small ones")
            return
        losses = {}
        corpora = self._corpus(train, True), self._corpus(test, False)
        marks = np.array(families)
        others = np.array([source.split("/")[0] for source in test.sources])
        for family in large:
            kept, out = np.flatnonzero(marks != family), np.flatnonzero(marks == family)
            also = np.flatnonzero(others == family)
            inside = train.outcomes.take(kept)
            policy = fit(inside, corpus=corpora[0].take(kept), fitting=replace(self._fitting(), folds=3))
            part, rest = train.outcomes.take(out), test.outcomes.take(also)
            both = Outcomes(
                part.prompts + rest.prompts,
                part.models,
                np.concatenate((part.rewards, rest.rewards)),
                np.concatenate((part.costs, rest.costs)),
            )
            here, rows = judged(inside, both)
            corpus = _together(corpora[0].take(out), corpora[1].take(also)).take(rows)
            losses[family] = loss_left_out(policy, corpus, here, FLOORS.get(name, 0.98))
        worst = max(losses, key=lambda family: losses[family][0])
        self.report.add(
            Figure(
                f"{name}.leave_out_worst",
                losses[worst][0],
                "points",
                losses[worst][1],
                losses[worst][2],
                beside={family: loss[0] for family, loss in losses.items()},
                note=f"worst: {worst}; below zero is better than the mix",
            )
        )

    def _fitting(self) -> Fitting:
        return Fitting(embedding=Embedding(vectors=self.vectors))

    def _corpus(self, part: Set, train: bool) -> Corpus:
        key = (part.name, train)
        if key not in self._corpora:
            self._corpora[key] = read_all(part.outcomes.prompts)
        return self._corpora[key]

    def _plot(self, name: str, policy: Policy, corpus: Corpus, here: Judged) -> None:
        prices, means = here.costs.mean(axis=0), here.rewards.mean(axis=0)
        chain = hull(prices.tolist(), means.tolist())
        drawn = plots.lines(
            f"{name}: cost against quality",
            "US$ a call",
            "quality",
            {
                "mix of single models": _mixes([(float(prices[point]), float(means[point])) for point in chain]),
                "policy": _ordered(swept(policy, corpus, here)),
                "oracle": _ordered(oracle_sweep(here)),
            },
            {model: (float(prices[index]), float(means[index])) for index, model in enumerate(policy.models)},
        )
        assert self.folder is not None
        (self.folder / f"routing-{name}.svg").write_text(drawn, encoding="utf-8")


def _some(part: Set, most: int) -> Set:
    order = sorted(range(len(part)), key=lambda row: digest(part.outcomes.prompts[row]))
    return part.take(np.sort(np.array(order[:most])))


def _ordered(points: np.ndarray) -> list[tuple[float, float]]:
    ordered = points[np.argsort(points[:, 0], kind="stable")]
    return [(float(cost), float(quality)) for cost, quality in ordered]


def _together(one: Corpus, other: Corpus) -> Corpus:
    return Corpus(
        np.concatenate((one.hand, other.hand)),
        np.concatenate((one.starts, other.starts[1:] + one.starts[-1])),
        np.concatenate((one.ids, other.ids)),
        np.concatenate((one.weights, other.weights)),
    )


def check_parts(split: Split) -> None:
    """Raise `ControlFailed` where a prompt is in both parts."""
    train = {digest(prompt) for part in split.train.values() for prompt in part.outcomes.prompts}
    test = {digest(prompt) for part in split.test.values() for prompt in part.outcomes.prompts}
    if both := len(train & test):
        raise ControlFailed(f"{both} prompts are in training and in test")


def _mixes(chain: list[tuple[float, float]], steps: int = 24) -> list[tuple[float, float]]:
    """Give the mixes between neighbours of a hull, which are no straight line where the axis of cost is logarithmic."""
    found = chain[:1]
    for (cost, quality), (dearer, better) in pairwise(chain):
        shares = [step / steps for step in range(1, steps + 1)]
        found += [(cost + share * (dearer - cost), quality + share * (better - quality)) for share in shares]
    return found
