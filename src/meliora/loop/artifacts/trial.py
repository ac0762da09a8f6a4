"""The arms of a trial and the checks of a watch as `ab_test_results.json` tells them: units, figures, rules, verdicts. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meliora.loop.artifacts.facts import Passed
from meliora.loop.change import Edge
from meliora.loop.states import State


def tried(passed: Passed) -> dict[str, Any] | None:
    """Give what a change's trial and watch showed; None where it was never tried or watched on traffic."""
    looks = [_look(edge) for edge in passed.edges if isinstance(edge.evidence.get("trial"), dict)]
    checks = [_check(edge) for edge in passed.edges if isinstance(edge.evidence.get("check"), dict)]
    stages = list(_stages(passed.edges))
    if not looks and not checks and not stages:
        return None
    return {
        "change": passed.change.id,
        "kind": passed.change.kind,
        "target": passed.change.target,
        "baseline": passed.change.baseline,
        "candidate": passed.change.candidate,
        "stages": stages,
        "verdict": None if not looks else {name: looks[-1][name] for name in ("outcome", "sentence")},
        "looks": looks,
        "watch": checks,
        "state": str(passed.state),
    }


def _stages(edges: tuple[Edge, ...]) -> Iterator[dict[str, Any]]:
    for edge in edges:
        if edge.target is State.TRYING and "share" in edge.evidence:
            yield {
                "stage": edge.evidence.get("stage"),
                "candidate_share": edge.evidence["share"],
                "began_us": edge.at_us,
            }


def _look(edge: Edge) -> dict[str, Any]:
    trial = edge.evidence["trial"]
    arms = [
        {"candidate_units": candidate, "baseline_units": baseline, "candidate_share": share}
        for candidate, baseline, share in trial.get("split", [])
    ]
    return {
        "at_us": edge.at_us,
        "outcome": trial.get("outcome"),
        "sentence": trial.get("sentence"),
        "arms": arms or None,
        "figures": trial.get("figures"),
        "statistics": trial.get("verdict"),
    }


def _check(edge: Edge) -> dict[str, Any]:
    check = edge.evidence["check"]
    return {
        "at_us": edge.at_us,
        "outcome": check.get("outcome"),
        "sentence": check.get("sentence"),
        "calls": check.get("calls"),
        "figures": check.get("figures"),
        "counts": edge.evidence.get("counts"),
    }
