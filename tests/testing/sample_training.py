"""A kind that trains for hours: it trains a little, keeps a checkpoint, asks for later, and goes on from there in whatever process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meliora.loop.change import Change
from meliora.loop.kind import Guardrail, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Fence, Work
from meliora.testing.contract import Faults, Fences, KindBench, change_of

EPOCHS = 12


class Models:
    """Trained models by name, and which one serves."""

    def __init__(self) -> None:
        self.weights: dict[str, float] = {"m1": 0.5}
        self.serves = "m1"
        self.held_out = [0.1, 0.2, 0.3]
        self.trained = 0

    def epoch(self, weight: float) -> float:
        self.trained += 1
        return weight + 0.01

    def keep(self, name: str, weight: float) -> None:
        self.weights[name] = weight

    def weight(self, name: str | None) -> float | None:
        return self.weights.get(name or "")

    def serving(self) -> str:
        return self.serves

    def serve(self, name: str, fenced: Callable[[Any], None]) -> None:
        fenced(None)
        self.serves = name


class TrainingKind:
    """Proposes a model that is yet to be trained; proving it trains it first."""

    name = "training"
    surface = "training"

    def __init__(self, models: Models, check: Callable[[Fence], Callable[[Any], None]]) -> None:
        self._models, self._check = models, check

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        done = int(work.checkpoint.get("epoch", 0))
        weight = float(work.checkpoint.get("weight", 0.5))
        if done < EPOCHS:
            work.progress(done / EPOCHS, f"epoch {done} of {EPOCHS}", dict(work.checkpoint))
            return Later(60.0, "it trains", {"epoch": done + 1, "weight": self._models.epoch(weight)})
        name = f"m-{change.id}"
        self._models.keep(name, weight)
        return Proposal(
            target="model",
            summary="trained anew",
            payload={"model": name},
            candidate=name,
            baseline=self._models.serving(),
        )

    def prove(self, change: Change, work: Work) -> Proof | Later:
        scored = list(work.checkpoint.get("scored", []))
        rows = self._models.held_out
        if len(scored) < len(rows):
            new, old = self._models.weight(change.candidate), self._models.weight(change.baseline)
            gain = None if new is None or old is None else new - old
            return Later(1.0, f"{len(scored)} of {len(rows)} rows are scored", {"scored": [*scored, gain]})
        known = [one for one in scored if one is not None]
        verdict = "inconclusive" if not known else "passed" if min(known) > 0 else "failed"
        return Proof(
            verdict=verdict,
            method="held-out rows",
            rule="every row is better",
            sentence=f"{len(known)} rows",
            baseline=change.baseline,
            seed=work.seed,
        )

    def trial(self, change: Change) -> TrialPlan | None:
        guardrails = (Guardrail(metric="latency_p95", margin=0.2),)
        return TrialPlan(overlay={"model": change.candidate}, primary="reward", guardrails=guardrails)

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        if self._models.weight(change.baseline) is None:
            raise LookupError(f"{change.baseline} is gone")
        return {"model": change.baseline}

    def deliver(self, change: Change, work: Work) -> str | Later:
        assert change.candidate is not None
        return self._to(change.candidate, work)

    def undo(self, change: Change, work: Work) -> str | Later | None:
        assert change.baseline is not None
        return self._to(change.baseline, work)

    def serving(self, change: Change) -> str | None:
        return self._models.serving()

    def watch(self, change: Change) -> WatchPlan | None:
        guardrails = (Guardrail(metric="error_rate", margin=0.01),)
        return WatchPlan(overlay={"model": change.baseline}, guardrails=guardrails)

    def _to(self, name: str, work: Work) -> str | Later:
        if self._models.serving() != name:
            self._models.serve(name, self._check(work.fence))
            return Later(5.0, "it is loaded", {"since": work.now_us()})
        return self._models.serving()


def training_bench() -> KindBench:
    """Give a bench over models that were never trained but one."""
    models, faults, fences = Models(), Faults(), Fences()
    return KindBench(
        build=lambda: TrainingKind(faults.around(models), fences.check),
        change=change_of("training", "model", "training"),
        state=lambda: models.serves,
        decode=lambda overlay: overlay["model"],
        lose_data=models.held_out.clear,
        lose_baseline=lambda change: models.weights.pop(change.baseline or "", None),
        replace=lambda: setattr(models, "serves", "m9"),
        faults=faults,
        fences=fences,
    )
