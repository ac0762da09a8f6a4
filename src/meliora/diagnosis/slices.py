"""Which calls explain a change: a scan over descriptions of at most three attributes, that claims nothing in a quiet period.

Hits of a slice now are held against its hits before by the likelihood ratio of two Poisson rates, whose exponential bounds the
chance of such a split (Przyborowski & Wilenski, Biometrika 31, 1940; Chernoff, Annals of Mathematical Statistics 23, 1952), as subset
scans do (Kulldorff, Communications in Statistics 26, 1997; Neill, JRSS B 74, 2012). A description pays the logarithm of the number
of those as long as it, so the smallest that does is preferred.
"""

from __future__ import annotations

from meliora.diagnosis.cube import NOW, Problem
from meliora.diagnosis.mixture import Shift, moved
from meliora.diagnosis.records import Effect, Explained, FoundSlice
from meliora.diagnosis.table import Found, Table


def scan(problem: Problem, *, most: int = 3, level: float = 0.01, least_share: float = 0.1) -> Explained:
    """Find up to `most` slices that together explain the change, the largest first.

    A slice is named where its bound is at most `level` and it explains `least_share` of the excess. What one explains is taken away
    before the next is sought, so the same calls are not named twice. Where there is more evidence for a rise of all calls together,
    and those that no slice has rose too, they are named alone.
    """
    table = Table(problem)
    whole = table.observed - table.unchanged
    every = table.found(())
    found: list[FoundSlice] = []
    evidence = 0.0
    while len(found) < most and (best := table.best(level)) is not None:
        p_value = table.chance(best.score, best.conditions)
        share = _share(best.excess, whole)
        if share is not None and share < least_share:
            break
        found.append(_worse(table, best, share, p_value))
        evidence += table.evidence(best)
        table.take_away(best)
    if (p_value := table.chance(every.score, ())) <= level and table.evidence(every) > evidence and _even(table, every):
        table.put_back()
        found = [_worse(table, every, _share(every.excess, whole), p_value)]
    if (shift := moved(problem, table.unchanged, table.expected)) is not None:
        p_value, share = table.chance(shift.score, ()), _share(shift.excess, whole)
        if p_value <= level and share is not None and share >= least_share:
            found.append(_more(table, shift, share, p_value))
    found.sort(key=lambda one: -one.excess)
    unit = table.unit(0.0, 0.0)
    amounts = problem.hits if problem.amounts is None else problem.amounts
    return Explained(
        slices=tuple(found[:most]),
        observed=float(amounts[NOW].sum()),
        expected=table.expected * unit,
        expected_unchanged=table.unchanged * unit,
        descriptions=int(sum(table.tries) * (1 + table.mark_tries)),
    )


def _even(table: Table, every: Found) -> bool:
    """Tell whether what is left, after slices were taken away, rose nearer to all calls' rise than to none; or hardly any is left."""
    rest = table.found(())
    if rest.expected < 0.1 * every.expected:
        return True
    return rest.now**2 * every.expected > rest.expected**2 * every.now


def _share(excess: float, whole: float) -> float | None:
    return min(1.0, excess / whole) if whole > 0 else None


def _worse(table: Table, found: Found, share: float | None, p_value: float) -> FoundSlice:
    observed, _, _ = told = table.told(found)
    return _slice(table, found, "worse", told, observed - told[1], share, p_value, table.classes(found))


def _more(table: Table, shift: Shift, share: float, p_value: float) -> FoundSlice:
    found = table.found(((shift.at, shift.value),))
    told = table.told(found)
    return _slice(
        table, found, "more", told, shift.excess * table.unit(told[2], found.before), share, p_value, {}, shift.score
    )


def _slice(
    table: Table,
    found: Found,
    effect: Effect,
    told: tuple[float, float, float],
    excess: float,
    share: float | None,
    p_value: float,
    classes: dict[str, tuple[float, float]],
    score: float | None = None,
) -> FoundSlice:
    calls_before, calls_now = table.calls(found.conditions)
    return FoundSlice(
        attributes=table.named(found.conditions),
        effect=effect,
        calls_now=calls_now,
        calls_before=calls_before,
        observed=told[0],
        expected=told[1],
        before=told[2],
        excess=excess,
        share=share,
        score=found.score if score is None else score,
        p_value=p_value,
        same_calls_as=table.same_calls(found.conditions),
        classes=classes,
    )
