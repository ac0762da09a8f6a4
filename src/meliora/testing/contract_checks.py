"""The checks of `contract`, each a promise of `loop.kind.ChangeKind` put to the test. The name is what is reported as broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec

from meliora.loop.kind import Guardrail, Proof, TrialPlan, WatchPlan
from meliora.loop.metrics import METRICS
from meliora.loop.work import Superseded
from meliora.testing.contract import Broken, KindBench, Run, expect, reasonable

Make = Callable[[], KindBench]


def frozen_baseline(make: Make) -> None:
    """The proposal names what serves now as its baseline, serves nothing yet, and is the same when it is made again."""
    run = Run(make)
    before = run.bench.state()
    made = run.propose()
    expect(run.bench.state() == before, "proposing changed what serves")
    serving = run.plan("serving")
    expect(made.baseline == serving, f"the baseline is {made.baseline!r}, and {serving!r} serves")
    expect(made.candidate != made.baseline, "the candidate is the baseline")
    expect(made.target and made.summary, "the proposal says neither target nor what it is")
    run.change = run.bench.change
    again = run.call("propose")
    same = (again.candidate, again.baseline, again.payload) == (made.candidate, made.baseline, made.payload)
    expect(same, f"proposed again after a crash it is {again.candidate!r} in place of {made.candidate!r}")


def proof_that_can_be_taken_again(make: Make) -> None:
    """The same change, seed and data give the same proof, to the letter; with the bench's data it passes."""
    run = Run(make)
    run.propose()
    first, second = run.call("prove"), run.call("prove")
    if not isinstance(first, Proof):
        raise Broken(f"prove gave {first!r}")
    expect(_plain(first) == _plain(second), "two proofs by the same seed differ")
    expect(first.verdict == "passed", f"with the bench's data the proof is {first.verdict}: {first.sentence}")
    expect(first.method and first.rule and first.sentence, "the proof does not say its method, rule and outcome")
    for figure in first.figures:
        numbers = [one for one in (figure.value, figure.low, figure.high) if one is not None]
        expect(all(math.isfinite(one) for one in numbers), f"the figure {figure.name} is not finite; None says unknown")


def proof_against_the_frozen_baseline(make: Make) -> None:
    """What is put in service after the proposal does not become what the candidate is compared with."""
    run = Run(make)
    run.propose()
    run.bench.replace()
    proof = run.call("prove")
    expect(
        proof.baseline == run.change.baseline,
        f"it was proved against {proof.baseline!r}; its frozen baseline is {run.change.baseline!r}",
    )


def missing_data_is_inconclusive(make: Make) -> None:
    """Without data a proof neither passes nor fails."""
    run = Run(make)
    run.propose()
    run.bench.lose_data()
    proof = run.call("prove")
    expect(proof.verdict == "inconclusive", f"without data the proof is {proof.verdict}: {proof.sentence}")


def rehearsal_has_no_effect(make: Make) -> None:
    """A rehearsal says what it looked at, and leaves everything as it is."""
    run = Run(make)
    run.propose()
    before = run.bench.state()
    said = run.call("rehearse")
    expect(run.bench.state() == before, "the rehearsal changed what serves")
    expect(isinstance(said, dict) and said, "the rehearsal does not say what was checked")


def rehearsal_sees_a_lost_baseline(make: Make) -> None:
    """Where the way back is gone, the rehearsal raises."""
    run = Run(make)
    run.propose()
    run.bench.lose_baseline(run.change)
    try:
        said = run.call("rehearse")
    except Exception:  # noqa: BLE001 - any error is the refusal that is asked for
        return
    raise Broken(f"the baseline is gone, and the rehearsal says {said!r}")


def delivery_once(make: Make) -> None:
    """A delivery puts the candidate in service, reads it back, and does nothing when it is repeated."""
    run = Run(make)
    run.propose()
    before = run.bench.state()
    version = run.call("deliver")
    expect(version == run.change.candidate, f"deliver read back {version!r}, not {run.change.candidate!r}")
    delivered = run.bench.state()
    expect(delivered != before, "nothing serves that did not before")
    serving = run.plan("serving")
    expect(serving == run.change.candidate, f"after the delivery {serving!r} serves")
    run.call("deliver")
    expect(run.bench.state() == delivered, "delivered again it had another effect")


def delivery_after_a_kill(make: Make) -> None:
    """Killed at any call and begun again, a delivery comes to the same."""
    whole = Run(make)
    whole.propose()
    calls = _calls(whole, "deliver")
    delivered = whole.bench.state()
    for at, after in _points(calls):
        run = Run(make)
        run.propose()
        run.killed("deliver", at, after=after)
        version = run.call("deliver")
        where = f"killed {'after' if after else 'before'} call {at} of {calls} and begun again"
        expect(version == run.change.candidate, f"{where}, deliver read back {version!r}")
        expect(run.bench.state() == delivered, f"{where}, it did not come to the same")


def undo_restores_exactly(make: Make) -> None:
    """An undo restores what was there, reads it back, and does nothing when it is repeated."""
    run = Run(make)
    run.propose()
    before = run.bench.state()
    run.call("deliver")
    for _ in range(2):
        version = run.call("undo")
        expect(version == run.change.baseline, f"undo read back {version!r}, not {run.change.baseline!r}")
        serving = run.plan("serving")
        expect(serving == run.change.baseline, f"after the undo {serving!r} serves")
        expect(run.bench.state() == before, "what serves after the undo is not exactly what was there before")


def undo_after_half_a_delivery(make: Make) -> None:
    """Wherever a delivery was killed, an undo restores what was there."""
    whole = Run(make)
    whole.propose()
    calls = _calls(whole, "deliver")
    for at, after in _points(calls):
        run = Run(make)
        run.propose()
        before = run.bench.state()
        run.killed("deliver", at, after=after)
        run.call("undo")
        where = f"after a delivery killed {'after' if after else 'before'} call {at} of {calls}"
        expect(run.bench.state() == before, f"{where}, the undo does not restore the baseline")


def undo_after_a_kill(make: Make) -> None:
    """Killed at any call and begun again, an undo restores what was there."""
    whole = Run(make)
    whole.propose()
    whole.call("deliver")
    calls = _calls(whole, "undo")
    for at, after in _points(calls):
        run = Run(make)
        run.propose()
        before = run.bench.state()
        run.call("deliver")
        run.killed("undo", at, after=after)
        run.call("undo")
        where = f"killed {'after' if after else 'before'} call {at} of {calls} and begun again"
        expect(run.bench.state() == before, f"{where}, the undo does not restore the baseline")


def old_attempt_does_not_deliver(make: Make) -> None:
    """A delivery by an attempt that was superseded is refused, and has no effect."""
    run = Run(make)
    run.propose()
    before = run.bench.state()
    _refused(run, "deliver")
    expect(run.bench.state() == before, "an old attempt changed what serves")


def old_attempt_does_not_undo(make: Make) -> None:
    """An undo by an attempt that was superseded is refused, and has no effect."""
    run = Run(make)
    run.propose()
    run.call("deliver")
    before = run.bench.state()
    _refused(run, "undo")
    expect(run.bench.state() == before, "an old attempt changed what serves")


def serving_reads_the_truth(make: Make) -> None:
    """What somebody else put in service is neither taken for the baseline nor for the candidate."""
    run = Run(make)
    run.propose()
    run.bench.replace()
    serving = run.plan("serving")
    known = (run.change.baseline, run.change.candidate)
    expect(serving not in known, f"something else was put in service, and serving says {serving!r}")


def no_content_in_evidence(make: Make) -> None:
    """Nothing that people wrote is in proposal, proof, rehearsal, plans, notes or checkpoints."""
    run = Run(make)
    said: list[Any] = [run.propose(), run.call("prove"), run.call("rehearse"), run.plan("trial"), run.plan("watch")]
    run.call("deliver")
    said += [run.plan("watch"), run.heard]
    text = msgspec.json.encode(said).decode()
    for piece in run.bench.contents:
        written = msgspec.json.encode(piece).decode()[1:-1]
        expect(written not in text, f"the evidence holds content: {piece[:40]!r}")


def trial_that_the_plane_can_read(make: Make) -> None:
    """The trial's overlay reads as the plane reads it, and its metrics, stages and margins make sense."""
    run = Run(make)
    run.propose()
    run.call("prove")
    plan = run.plan("trial")
    if plan is None and not run.bench.splits:
        return
    if not isinstance(plan, TrialPlan):
        raise Broken(f"trial gave {plan!r}")
    _decoded(run, plan.overlay, "trial")
    expect(plan.primary in METRICS, f"nobody measures the primary metric {plan.primary!r}")
    expect(plan.primary not in {one.metric for one in plan.guardrails}, "the primary metric is a guardrail too")
    _guarded(plan.guardrails, "trial")
    stages = (0.0, *plan.stages, 1.0)
    rising = all(one < other for one, other in pairwise(stages))
    expect(plan.stages and rising, f"the stages {plan.stages} do not rise between 0 and 1")
    expect(not plan.shadow or 0 < plan.shadow_share <= 1, f"a shadow of a share of {plan.shadow_share} sees nobody")
    expect(plan.live or plan.shadow, "the plan tries neither in the shadow nor live")
    expect(math.isfinite(plan.margin) and plan.margin >= 0, f"the margin is {plan.margin}")
    expect(0 < plan.alpha < 1 and plan.minimum_units > 0, "the plan decides on nothing")
    expect(plan.maximum_seconds >= plan.minimum_seconds > 0, "the plan has no end, or ends before it may win")


def watch_that_would_see_harm(make: Make) -> None:
    """The watch has guardrails that are measured, errors among them, and keeps a share on the baseline that the plane can read."""
    run = Run(make)
    run.propose()
    run.call("prove")
    run.call("deliver")
    plan = run.plan("watch")
    if plan is None and not run.bench.splits:
        return
    if not isinstance(plan, WatchPlan):
        raise Broken(f"watch gave {plan!r}")
    _decoded(run, plan.overlay, "watch")
    _guarded(plan.guardrails, "watch")
    expect("error_rate" in {one.metric for one in plan.guardrails}, "errors are not among what is watched")
    expect(0 < plan.holdback < 1, f"a holdback of {plan.holdback} compares with nobody")
    expect(plan.checks > 0 and plan.minimum_calls > 0 and plan.every_seconds > 0, "the watch looks at nothing")
    trial = run.plan("trial")
    expect(
        trial is None or trial.overlay != plan.overlay, "trial and watch do the same: the holdback has the candidate"
    )


def asked_twice_says_the_same(make: Make) -> None:
    """Plans and what serves are the same when they are asked for again: a trial is not another one at its second look."""
    run = Run(make)
    run.propose()
    run.call("prove")
    early = [_plain(run.plan("trial")) for _ in range(2)]
    expect(early[0] == early[1], "trial gave two plans for one change")
    run.call("rehearse")
    run.call("rehearse")
    run.call("deliver")
    for method in ("serving", "watch"):
        first, second = _plain(run.plan(method)), _plain(run.plan(method))
        expect(first == second, f"{method} said two things about one change")


def later_goes_on_from_its_checkpoint(make: Make) -> None:
    """A method that waits says how long and why, keeps a checkpoint that survives being stored, and comes to an end by it."""
    run = Run(make)
    run.propose()
    for method in ("prove", "rehearse", "deliver", "undo"):
        run.call(method)
    for later in run.asked:
        expect(reasonable(later), f"it asked to wait {later.seconds} s for {later.note!r}")


def _calls(run: Run, method: str) -> int:
    run.bench.faults.spare()
    run.call(method)
    return run.bench.faults.calls


def _points(calls: int) -> list[tuple[int, bool]]:
    expect(calls > 0, "nothing that it works with is counted: put `faults.around` about it in the bench")
    return [(at, after) for at in range(1, calls + 1) for after in (False, True)]


def _refused(run: Run, method: str) -> None:
    old = run.fence()
    run.fence()
    try:
        found = run.call(method, old)
    except Superseded:
        return
    raise Broken(f"{method} by an old attempt was not refused, and gave {found!r}")


def _decoded(run: Run, overlay: dict[str, Any], what: str) -> None:
    expect(overlay, f"the {what}'s overlay is empty: both arms would be the same")
    try:
        run.bench.decode(msgspec.json.decode(msgspec.json.encode(overlay)))
    except Exception as error:
        raise Broken(f"the plane cannot read the {what}'s overlay: {error}") from error


def _guarded(guardrails: tuple[Guardrail, ...], what: str) -> None:
    expect(guardrails, f"the {what} has no guardrails: it would see no harm")
    for one in guardrails:
        expect(one.metric in METRICS, f"nobody measures the {what}'s guardrail {one.metric!r}")
        expect(math.isfinite(one.margin) and one.margin >= 0, f"the margin of {one.metric} is {one.margin}")


def _plain(said: Any) -> Any:
    return msgspec.to_builtins(said)


CHECKS: dict[str, Callable[[Make], None]] = {
    check.__name__: check
    for check in (
        frozen_baseline,
        proof_that_can_be_taken_again,
        proof_against_the_frozen_baseline,
        missing_data_is_inconclusive,
        rehearsal_has_no_effect,
        rehearsal_sees_a_lost_baseline,
        delivery_once,
        delivery_after_a_kill,
        undo_restores_exactly,
        undo_after_half_a_delivery,
        undo_after_a_kill,
        old_attempt_does_not_deliver,
        old_attempt_does_not_undo,
        serving_reads_the_truth,
        no_content_in_evidence,
        trial_that_the_plane_can_read,
        watch_that_would_see_harm,
        asked_twice_says_the_same,
        later_goes_on_from_its_checkpoint,
    )
}
"""By name."""
