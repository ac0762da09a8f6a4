"""A problem with its expectations, searched for the description that stands out most; explained calls are taken away from it.

Looks at every single value, then only further into the best: a slice of three attributes shows, thinner, in each of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from meliora.diagnosis.cube import BEFORE, NOW, UNKNOWN, Array, Problem, sums
from meliora.diagnosis.rates import PRIOR, expected, fit, fitted, rise

SAME = 0.95
"""Part of the calls in common from which two descriptions are of the same calls."""
_LONGEST = 3
_DEEPEN = (24, 16, 8)
"""Descriptions of one, two and three conditions that are looked into further; a mark comes on top of the three."""
_CLASSES = 3

Rows = NDArray[np.intp]
Conditions = tuple[tuple[int, int], ...]
"""Numbers of attribute and value."""


@dataclass(frozen=True)
class Found:
    """A description and its sums. Exposed are the hits that its attributes alone would lead to."""

    conditions: Conditions
    now: float
    before: float
    exposed_now: float
    exposed_before: float
    score: float
    """Log likelihood ratio against no rise, with the past as uncertain as it is: what chance is told by."""
    fit: float
    """The same with the past taken as it is: what of two descriptions explains more."""

    @property
    def expected(self) -> float:
        return self.exposed_now * (self.before + PRIOR) / (self.exposed_before + PRIOR)

    @property
    def excess(self) -> float:
        return self.now - self.expected


class Table:
    """What is left to explain."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._start = np.cumsum([0, *map(len, problem.values)])
        self._alone = self._start[:-1][np.diff(self._start) == 1]
        """Values that all calls have."""
        self._places = problem.codes + self._start[:-1, None]
        self._marked = [self._marks(at) for at in range(len(problem.attributes))]
        past = problem.hits[BEFORE]
        calls = problem.exposure.sum(axis=1)
        if problem.per_time:
            self._exposed = np.stack([past, past * problem.lasting])
            self.unchanged = float(past.sum()) * problem.lasting
        else:
            self._exposed = problem.exposure * fitted(problem, self._marked)
            self.unchanged = float(past.sum() * calls[NOW] / calls[BEFORE]) if calls[BEFORE] else 0.0
        self.observed = float(problem.hits[NOW].sum())
        self.expected = float(self._exposed[NOW].sum())
        self._parts = [self._mark_parts(at) for at in range(len(problem.attributes))]
        self._mark, self._part = np.concatenate(self._marked), np.concatenate(self._parts)
        self.tries, self.mark_tries = self._count_tries()
        self._left: Rows = np.arange(problem.codes.shape[1])

    def best(self, level: float) -> Found | None:
        """Give the description of at least one attribute that explains most for its length, None where all are within chance."""
        found = pool = self._extend(self.found(()))
        for most in _DEEPEN:
            deeper: dict[Conditions, Found] = {}
            for one in sorted(found, key=lambda each: -each.fit)[:most]:
                deeper.update((each.conditions, each) for each in self._extend(one))
            found = list(deeper.values())
            pool = pool + found
        pool = [one for one in pool if self.chance(one.score, one.conditions) <= level]
        return max(pool, key=self._preference, default=None)

    def chance(self, score: float, conditions: Conditions) -> float:
        """Bound the chance of a score among the descriptions of all lengths, where nothing changed."""
        lengths = sum(tries > 0 for tries in self.tries) * (2 if self.problem.marks else 1)
        return min(1.0, lengths * math.exp(self._cost(conditions) - score / self.problem.dispersion))

    def found(self, conditions: Conditions) -> Found:
        """Sum up a description over what is left."""
        rows, exposed = self._rows(conditions)
        before, now = (float(self.problem.hits[when, rows].sum()) for when in (BEFORE, NOW))
        scale = self._scale(conditions)
        e_before, e_now = (float(self._exposed[when, exposed].sum()) * scale for when in (BEFORE, NOW))
        each = [np.array([number]) for number in (now, before, e_now, e_before)]
        meant = expected(*each[1:])
        return Found(conditions, now, before, e_now, e_before, float(rise(*each)[0]), float(fit(each[0], meant)[0]))

    def take_away(self, found: Found) -> None:
        """Leave out the calls of a description from here on."""
        rows, _ = self._rows(found.conditions)
        keep = np.ones(self.problem.codes.shape[1], dtype=bool)
        keep[rows] = False
        self._left = self._left[keep[self._left]]

    def put_back(self) -> None:
        """Take all calls for unexplained again."""
        self._left = np.arange(self.problem.codes.shape[1])

    def named(self, conditions: Conditions) -> dict[str, str]:
        """Give a description in words."""
        return {self.problem.attributes[at]: self.problem.values[at][value] for at, value in conditions}

    def calls(self, conditions: Conditions) -> tuple[int, int]:
        """Count the calls of a description that are left, before and now."""
        _, exposed = self._rows(conditions)
        return int(self.problem.calls[BEFORE, exposed].sum()), int(self.problem.calls[NOW, exposed].sum())

    def same_calls(self, conditions: Conditions) -> tuple[dict[str, str], ...]:
        """Name other descriptions of these calls: one attribute for all of them, or another one for one of them."""
        if not conditions:
            return ()
        others = [((at, value),) for at, value in self._alike(conditions)]
        if len(conditions) > 1:
            for place, each in enumerate(conditions):
                rest = (*conditions[:place], *conditions[place + 1 :])
                taken = {at for at, _ in rest}
                others += [tuple(sorted((*rest, one))) for one in self._alike((each,)) if one[0] not in taken]
        return tuple(self.named(other) for other in dict.fromkeys(others))

    def told(self, found: Found) -> tuple[float, float, float]:
        """Give what was observed, expected and there before, in the unit that is told: money where the problem has amounts."""
        amounts = self.problem.amounts
        if amounts is None:
            return found.now, found.expected, found.before
        rows, _ = self._rows(found.conditions)
        before, now = (float(amounts[when, rows].sum()) for when in (BEFORE, NOW))
        return now, found.expected * self.unit(before, found.before), before

    def unit(self, amount: float, hits: float) -> float:
        """Give what a hit stands for: by these sums, or by those of all calls where there is nothing in them."""
        amounts = self.problem.amounts
        if amounts is None:
            return 1.0
        for when in (BEFORE, NOW):
            if hits > 0:
                break
            amount, hits = float(amounts[when].sum()), float(self.problem.hits[when].sum())
        return amount / hits if hits > 0 else 1.0

    def classes(self, found: Found) -> dict[str, tuple[float, float]]:
        """Give the marks of a slice's hits with the largest excess: how many there are, and how many are expected."""
        rows, _ = self._rows(found.conditions)
        grown = found.expected / found.before if found.before > 0 else 0.0
        told: list[tuple[float, str, float, float]] = []
        for at, name in enumerate(self.problem.attributes):
            if name not in self.problem.marks:
                continue
            values = self.problem.values[at]
            codes = self.problem.codes[at, rows]
            before, now = (sums(codes, self.problem.hits[when, rows], len(values)) for when in (BEFORE, NOW))
            told += [
                (float(n - b * grown), value, float(n), float(b * grown))
                for value, n, b in zip(values, now, before, strict=True)
                if n > b * grown
            ]
        told.sort(key=lambda each: (-each[0], each[1]))
        return {value: (now, meant) for _, value, now, meant in told[:_CLASSES]}

    def evidence(self, found: Found) -> float:
        """Give the score of a description less what its length costs."""
        return found.score / self.problem.dispersion - self._cost(found.conditions)

    def _worth(self, found: Found) -> float:
        """Give how well a description explains, less what its length costs."""
        return found.fit / self.problem.dispersion - self._cost(found.conditions)

    def _cost(self, conditions: Conditions) -> float:
        """Give the logarithm of how many descriptions there are that are as long."""
        marks = sum(bool(self._marked[at][value]) for at, value in conditions)
        return math.log(max(1.0, self.tries[len(conditions) - marks])) + marks * math.log(max(1.0, self.mark_tries))

    def _preference(self, found: Found) -> tuple[float, int, int]:
        return round(self._worth(found), 6), -len(found.conditions), -sum(at for at, _ in found.conditions)

    def _extend(self, found: Found) -> list[Found]:
        """Give the descriptions with one attribute more whose rate rose most, all attributes in one pass."""
        rows, exposed = self._rows(found.conditions)
        scale = self._scale(found.conditions)
        hits = self.problem.hits
        before_of_all = hits[BEFORE, rows]
        rows = rows[(hits[BEFORE, rows] + hits[NOW, rows]) > 0]
        before, now = (self._by_value(rows, hits[when, rows]) for when in (BEFORE, NOW))
        meant = [self._exposed[when, exposed] * scale for when in (BEFORE, NOW)]
        e_before, e_now = (
            np.where(self._mark, each.sum() * self._part, self._by_value(exposed, each)) for each in meant
        )
        fits = fit(now, expected(before, e_now, e_before))
        for at, _ in found.conditions:
            fits[self._start[at] : self._start[at + 1]] = 0.0
        fits[self._alone] = 0.0
        marks = sum(bool(self._marked[at][value]) for at, value in found.conditions)
        if marks:
            fits[self._mark] = 0.0
        if len(found.conditions) - marks == _LONGEST:
            fits[~self._mark] = 0.0
        best = np.argsort(-fits, kind="stable")[: _DEEPEN[0]]
        scores = rise(now, before, e_now, e_before)
        if not found.conditions:
            # A value that was not there before has no past to be uncertain by: it is held against that of all.
            new = ~self._mark & (self._by_value(exposed, self.problem.calls[BEFORE, exposed]) == 0)
            all_before = [np.full(int(new.sum()), float(part.sum())) for part in (before_of_all, meant[BEFORE])]
            scores[new] = rise(now[new], all_before[0], e_now[new], all_before[1])
        more: list[Found] = []
        for place in best[fits[best] > 0].tolist():
            at = int(self._start.searchsorted(place, "right")) - 1
            numbers = (now[place], before[place], e_now[place], e_before[place], scores[place], fits[place])
            added = (at, place - int(self._start[at]))
            more.append(Found(tuple(sorted((*found.conditions, added))), *map(float, numbers)))
        return more

    def _by_value(self, rows: Rows, weights: Array) -> Array:
        """Add up weights of rows for each value of each attribute, one attribute's values after the other's."""
        places = self._places[:, rows]
        return sums(places.ravel(), np.tile(weights, len(places)), int(self._start[-1]))

    def _rows(self, conditions: Conditions) -> tuple[Rows, Rows]:
        """Give the rows that hold a slice's hits, and those that they are expected from: a mark parts only the hits."""
        codes = self.problem.codes
        exposed = self._left
        for at, value in conditions:
            if not self._marked[at][value]:
                exposed = exposed[codes[at, exposed] == value]
        rows = exposed
        for at, value in conditions:
            if self._marked[at][value]:
                rows = rows[codes[at, rows] == value]
        return rows, exposed

    def _scale(self, conditions: Iterable[tuple[int, int]]) -> float:
        return math.prod(float(self._parts[at][value]) for at, value in conditions if self._marked[at][value])

    def _alike(self, conditions: Conditions) -> list[tuple[int, int]]:
        """Give the values of other attributes that stand for the same calls."""
        rows, _ = self._rows(conditions)
        calls = self.problem.calls[:, self._left].sum(axis=0)
        every = np.zeros(self.problem.codes.shape[1])
        every[self._left] = calls
        mine = float(every[rows].sum())
        own = {at for at, _ in conditions}
        found: list[tuple[int, int]] = []
        for at, codes in enumerate(self.problem.codes):
            if at in own or mine <= 0:
                continue
            size = len(self.problem.values[at])
            both, all_of = sums(codes[rows], every[rows], size), sums(codes[self._left], calls, size)
            value = int(both.argmax())
            if both[value] >= SAME * (mine + all_of[value] - both[value]):
                found.append((at, value))
        return found

    def _marks(self, at: int) -> NDArray[np.bool_]:
        """Tell which values only hits have. Where a call failed before anything was chosen, that is `unknown`."""
        problem = self.problem
        values, codes = problem.values[at], problem.codes[at]
        if problem.attributes[at] in problem.marks:
            return np.ones(len(values), dtype=bool)
        marks = np.zeros(len(values), dtype=bool)
        if UNKNOWN in values and problem.marks:
            place = values.index(UNKNOWN)
            here = codes == place
            hits, calls = problem.hits[:, here].sum(), problem.exposure[:, here].sum()
            marks[place] = calls > 0 and hits >= 0.9 * calls and problem.hits.sum() < 0.5 * problem.exposure.sum()
        return marks

    def _mark_parts(self, at: int) -> Array:
        """Give the part of the hits before that had each value; half a hit for one never seen."""
        before = sums(self.problem.codes[at], self.problem.hits[BEFORE], len(self.problem.values[at]))
        return np.maximum(before, 0.5) / max(float(before.sum()), 1.0)

    def _count_tries(self) -> tuple[tuple[float, ...], float]:
        """Count the descriptions of none to three attributes, and the marks; what hardly any hit has is no candidate."""
        many, marks = [1.0, *[0.0] * _LONGEST], 0.0
        for codes, marked in zip(self.problem.codes, self._marked, strict=True):
            if len(marked) < 2:
                continue
            often = sums(codes, self.problem.hits.sum(axis=0), len(marked)) >= 2
            marks += float((often & marked).sum())
            for length in range(_LONGEST, 0, -1):
                many[length] += many[length - 1] * float((often & ~marked).sum())
        return tuple(accumulate(many, max)), marks
