"""A kind that keeps its contract over a shelf in memory, to be broken on purpose: each subclass in `test_contract` breaks one promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from meliora.loop.change import Change
from meliora.loop.kind import Figure, Guardrail, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Fence, Work
from meliora.testing.contract import Fences, KindBench, change_of

PROMPT = "Please tell Ann Example that her parcel is late"


@dataclass
class Shelf:
    """A plane: versions that are kept, the one that serves, and what was measured of each."""

    serves: str | None = "v1"
    kept: set[str] = field(default_factory=lambda: {"v1", "v2"})
    measured: dict[str, list[float]] = field(default_factory=lambda: {"v1": [0.5] * 40, "v2": [0.7] * 40})
    prompts: tuple[str, ...] = (PROMPT,)
    log: list[str] = field(default_factory=list)

    def now(self) -> str | None:
        return self.serves

    def has(self, version: str) -> bool:
        return version in self.kept

    def switch(self, version: str | None, fenced: Callable[[Any], None]) -> None:
        fenced(None)
        self.serves = version

    def note(self, line: str) -> None:
        self.log.append(line)

    def scores(self, version: str | None) -> list[float]:
        return self.measured.get(version or "", [])


class ShelfKind:
    """Switches the shelf from one version to the next."""

    name = "shelf"
    surface = "shelf"

    def __init__(self, shelf: Shelf, check: Callable[[Fence], Callable[[Any], None]]) -> None:
        self.shelf, self.check = shelf, check

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        return Proposal(
            target="shelf",
            summary="the next version",
            payload={"version": "v2"},
            candidate="v2",
            baseline=self.shelf.now(),
        )

    def prove(self, change: Change, work: Work) -> Proof | Later:
        now, then = self.shelf.scores(change.candidate), self.shelf.scores(change.baseline)
        value = None if not now or not then else sum(now) / len(now) - sum(then) / len(then)
        verdict = "inconclusive" if value is None else "passed" if value > 0 else "failed"
        return Proof(
            verdict=verdict,
            method="means",
            rule="difference > 0",
            sentence=f"the difference is {value}",
            figures=(Figure(name="reward", value=value, n=len(now)),),
            baseline=change.baseline,
            seed=work.seed,
        )

    def trial(self, change: Change) -> TrialPlan | None:
        return TrialPlan(
            overlay={"version": change.candidate},
            primary="reward",
            guardrails=(Guardrail(metric="error_rate", margin=0.01),),
        )

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        if not self.shelf.has(change.baseline or ""):
            raise LookupError(f"{change.baseline} is gone")
        return {"kept": change.baseline}

    def deliver(self, change: Change, work: Work) -> str | Later:
        if self.shelf.now() != change.candidate:
            self.shelf.switch(change.candidate, self.check(work.fence))
        return self.shelf.now() or ""

    def undo(self, change: Change, work: Work) -> str | Later | None:
        if self.shelf.now() == change.candidate:
            self.shelf.switch(change.baseline, self.check(work.fence))
        return self.shelf.now()

    def serving(self, change: Change) -> str | None:
        return self.shelf.now()

    def watch(self, change: Change) -> WatchPlan | None:
        return WatchPlan(
            overlay={"version": change.baseline}, guardrails=(Guardrail(metric="error_rate", margin=0.01),)
        )


def bench_of(kind: type[ShelfKind]) -> KindBench:
    """Give a bench over a new shelf."""
    shelf = Shelf()
    fences = Fences()
    bench = KindBench(
        build=lambda: kind(bench.faults.around(shelf), fences.check),
        change=change_of("shelf", "shelf", "shelf"),
        state=lambda: (shelf.serves, tuple(shelf.log)),
        decode=_decode,
        lose_data=shelf.measured.clear,
        lose_baseline=lambda change: shelf.kept.discard(change.baseline or ""),
        replace=lambda: setattr(shelf, "serves", "v9"),
        fences=fences,
        contents=shelf.prompts,
    )
    return bench


def _decode(overlay: dict[str, Any]) -> str:
    version = overlay["version"]
    assert isinstance(version, str)
    return version
