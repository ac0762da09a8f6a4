"""What a gate remembers between two evaluations: so many in a row to fail, so many within bounds to pass again. Pure."""

from __future__ import annotations

import msgspec

from meliora.loop.gates.gate import Gate
from meliora.loop.gates.judge import Opinion, Verdict


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a gate stands. `failing` outlasts missing data: a gate that failed does not pass because nothing is measured any more."""

    state: Verdict = "no_data"
    """What is shown."""
    failing: bool = False
    fails: int = 0
    """Evaluations in a row that found it broken."""
    passes: int = 0
    """Evaluations in a row that found it within bounds, while it fails."""
    since_us: int = 0
    """When it began to fail, or to pass again. Evidence from before says nothing about now."""
    changed_us: int = 0
    """When `state` became what it is."""
    evaluated_us: int | None = None


def advance(before: Standing, gate: Gate, opinion: Opinion, now_us: int) -> Standing:
    """Give the standing after an opinion. Missing data neither adds to a streak of failures nor ends it, and ends one of passes."""
    failing, fails, passes, since = before.failing, before.fails, before.passes, before.since_us
    if opinion.verdict == "no_data":
        state, passes = "no_data", 0
    elif failing:
        passes = passes + 1 if opinion.within else 0
        failing = passes < gate.pass_after
        if not failing:
            fails = passes = 0
            since = now_us
        state = "fail" if failing else opinion.verdict
    else:
        fails = fails + 1 if opinion.verdict == "fail" else 0
        failing = fails >= gate.fail_after
        if failing:
            passes, since = 0, now_us
        state = "fail" if failing else "near" if opinion.verdict == "fail" else opinion.verdict
    return Standing(
        state=state,
        failing=failing,
        fails=fails,
        passes=passes,
        since_us=since,
        changed_us=before.changed_us if state == before.state and before.evaluated_us is not None else now_us,
        evaluated_us=now_us,
    )


def due(standing: Standing, gate: Gate, now_us: int) -> bool:
    """Tell whether it is time to look again. A clock that was put back makes it time."""
    if standing.evaluated_us is None:
        return True
    return not 0 <= now_us - standing.evaluated_us < gate.every_seconds * 1e6
