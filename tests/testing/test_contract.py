"""The contract suite: kinds that keep the contract pass, and each one broken on purpose is rejected by the check of that promise."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work
from meliora.testing.contract import ContractBroken, KindBench, check_kind
from meliora.testing.contract_checks import CHECKS
from tests.testing.sample_git import git_bench
from tests.testing.sample_shelf import PROMPT, ShelfKind, bench_of
from tests.testing.sample_training import training_bench


def test_a_kind_over_a_shelf_in_memory_keeps_the_contract() -> None:
    check_kind(lambda: bench_of(ShelfKind))


def test_a_kind_that_delivers_files_to_a_git_repository_keeps_the_contract(tmp_path: Path) -> None:
    numbers = itertools.count()
    check_kind(lambda: git_bench(tmp_path / str(next(numbers))))


def test_a_kind_that_trains_for_hours_keeps_the_contract() -> None:
    check_kind(training_bench)


class ReadsItsBaselineAnew(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        proof = super().prove(change, work)
        assert isinstance(proof, Proof)
        return msgspec.structs.replace(proof, baseline=self.shelf.now())


class ProposesSomethingElseEachTime(ShelfKind):
    numbers = itertools.count()

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        made = super().propose(change, work)
        assert isinstance(made, Proposal)
        return msgspec.structs.replace(made, candidate=f"v{next(self.numbers)}")


class ServesWhatItProposes(ShelfKind):
    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        made = super().propose(change, work)
        self.shelf.switch("v2", self.check(work.fence))
        return made


class DrawsWithoutTheSeed(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        proof = super().prove(change, work)
        assert isinstance(proof, Proof)
        return msgspec.structs.replace(proof, data={"sample": random.SystemRandom().random()})


class TakesSilenceForSuccess(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        proof = super().prove(change, work)
        assert isinstance(proof, Proof)
        return msgspec.structs.replace(proof, verdict="passed")


class RehearsesForReal(ShelfKind):
    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        self.shelf.note("rehearsed")
        return super().rehearse(change, work)


class RehearsesBlindly(ShelfKind):
    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        return {"kept": change.baseline}


class DeliversTwice(ShelfKind):
    def deliver(self, change: Change, work: Work) -> str | Later:
        self.shelf.note("delivered")
        return super().deliver(change, work)


class LosesItsPlaceWhenKilled(ShelfKind):
    def deliver(self, change: Change, work: Work) -> str | Later:
        if self.shelf.now() == change.baseline:
            self.shelf.switch(None, self.check(work.fence))
            self.shelf.switch(change.candidate, self.check(work.fence))
        return self.shelf.now() or ""


class RestoresTheFirstVersionThereWas(ShelfKind):
    def undo(self, change: Change, work: Work) -> str | Later | None:
        self.shelf.switch("v0", self.check(work.fence))
        return self.shelf.now()


class ClaimsToHaveRestored(ShelfKind):
    def undo(self, change: Change, work: Work) -> str | Later | None:
        return change.baseline


class UndoesWhatWasUndone(ShelfKind):
    def undo(self, change: Change, work: Work) -> str | Later | None:
        swapped = change.baseline if self.shelf.now() == change.candidate else change.candidate
        self.shelf.switch(swapped, self.check(work.fence))
        return swapped


class CannotUndoAHalf(ShelfKind):
    def deliver(self, change: Change, work: Work) -> str | Later:
        if self.shelf.now() != change.candidate:
            self.shelf.switch("half", self.check(work.fence))
            self.shelf.switch(change.candidate, self.check(work.fence))
        return self.shelf.now() or ""


class UndoesInTwoStepsThatMustNotPart(ShelfKind):
    def undo(self, change: Change, work: Work) -> str | Later | None:
        if self.shelf.now() == change.candidate:
            self.shelf.switch("half", self.check(work.fence))
            self.shelf.switch(change.baseline, self.check(work.fence))
        return self.shelf.now()


class DeliversThoughSuperseded(ShelfKind):
    def deliver(self, change: Change, work: Work) -> str | Later:
        self.shelf.switch(change.candidate, lambda _: None)
        return self.shelf.now() or ""


class UndoesThoughSuperseded(ShelfKind):
    def undo(self, change: Change, work: Work) -> str | Later | None:
        self.shelf.switch(change.baseline, lambda _: None)
        return self.shelf.now()


class SaysWhatItWishes(ShelfKind):
    def serving(self, change: Change) -> str | None:
        now = self.shelf.now()
        return now if now == change.candidate else "v1"


class RemembersInMemory(ShelfKind):
    def deliver(self, change: Change, work: Work) -> str | Later:
        self.delivered = change.candidate
        return super().deliver(change, work)

    def serving(self, change: Change) -> str | None:
        return getattr(self, "delivered", change.baseline)


class QuotesPeople(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        proof = super().prove(change, work)
        assert isinstance(proof, Proof)
        return msgspec.structs.replace(proof, sentence=f"of {PROMPT!r} it is better")


class WritesAnOverlayNobodyReads(ShelfKind):
    def trial(self, change: Change) -> TrialPlan | None:
        plan = super().trial(change)
        assert plan is not None
        return msgspec.structs.replace(plan, overlay={"verison": change.candidate})


class PlansAnotherTrialEachTime(ShelfKind):
    def trial(self, change: Change) -> TrialPlan | None:
        plan = super().trial(change)
        assert plan is not None
        return msgspec.structs.replace(plan, stage_seconds=random.SystemRandom().uniform(60, 600))


class WatchesNothing(ShelfKind):
    def watch(self, change: Change) -> WatchPlan | None:
        plan = super().watch(change)
        assert plan is not None
        return msgspec.structs.replace(plan, guardrails=())


class HoldsBackTheCandidate(ShelfKind):
    def watch(self, change: Change) -> WatchPlan | None:
        plan = super().watch(change)
        assert plan is not None
        return msgspec.structs.replace(plan, overlay={"version": change.candidate})


class ForgetsItsCheckpoint(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        done = getattr(self, "done", 0) + 1
        return super().prove(change, work) if done > 2 else Later(5.0, "it goes on", {})


class WaitsForNothing(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        return super().prove(change, work) if work.checkpoint else Later(0.0, "", {"asked": True})


class KeepsWhatCannotBeStored(ShelfKind):
    def prove(self, change: Change, work: Work) -> Proof | Later:
        return super().prove(change, work) if work.checkpoint else Later(5.0, "it goes on", {"kept": object()})


BROKEN: dict[type[ShelfKind], str] = {
    ReadsItsBaselineAnew: "proof_against_the_frozen_baseline",
    ProposesSomethingElseEachTime: "frozen_baseline",
    ServesWhatItProposes: "frozen_baseline",
    DrawsWithoutTheSeed: "proof_that_can_be_taken_again",
    TakesSilenceForSuccess: "missing_data_is_inconclusive",
    RehearsesForReal: "rehearsal_has_no_effect",
    RehearsesBlindly: "rehearsal_sees_a_lost_baseline",
    DeliversTwice: "delivery_once",
    LosesItsPlaceWhenKilled: "delivery_after_a_kill",
    RestoresTheFirstVersionThereWas: "undo_restores_exactly",
    ClaimsToHaveRestored: "undo_restores_exactly",
    UndoesWhatWasUndone: "undo_restores_exactly",
    CannotUndoAHalf: "undo_after_half_a_delivery",
    UndoesInTwoStepsThatMustNotPart: "undo_after_a_kill",
    DeliversThoughSuperseded: "old_attempt_does_not_deliver",
    UndoesThoughSuperseded: "old_attempt_does_not_undo",
    SaysWhatItWishes: "serving_reads_the_truth",
    RemembersInMemory: "delivery_once",
    QuotesPeople: "no_content_in_evidence",
    WritesAnOverlayNobodyReads: "trial_that_the_plane_can_read",
    PlansAnotherTrialEachTime: "asked_twice_says_the_same",
    WatchesNothing: "watch_that_would_see_harm",
    HoldsBackTheCandidate: "watch_that_would_see_harm",
    ForgetsItsCheckpoint: "later_goes_on_from_its_checkpoint",
    WaitsForNothing: "later_goes_on_from_its_checkpoint",
    KeepsWhatCannotBeStored: "later_goes_on_from_its_checkpoint",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_kind_that_breaks_a_promise_is_rejected_by_the_check_of_that_promise(kind: type[ShelfKind]) -> None:
    with pytest.raises(ContractBroken) as broken:
        check_kind(lambda: bench_of(kind))
    assert BROKEN[kind] in broken.value.failures, broken.value


def test_every_check_rejects_some_kind() -> None:
    assert set(BROKEN.values()) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_check_can_be_run_alone(check: Callable[[Callable[[], KindBench]], None]) -> None:
    check(lambda: bench_of(ShelfKind))


def test_a_bench_that_counts_nothing_is_told_so() -> None:
    def make() -> KindBench:
        bench = bench_of(ShelfKind)
        bench.faults.around = lambda thing: thing  # type: ignore[method-assign]
        return bench

    with pytest.raises(ContractBroken, match=r"faults\.around"):
        check_kind(make, ["delivery_after_a_kill"])
