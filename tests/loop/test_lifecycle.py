"""The lifecycle of a change, end to end: what leads where, on what evidence, and what never happens."""

from __future__ import annotations

import pytest

from meliora.errors import Conflict, Forbidden, InvalidRequest, NotFound, StoreError
from meliora.loop.house import TrialVerdict, WatchVerdict
from meliora.loop.states import State
from meliora.loop.work import Fence, Superseded
from tests.loop.conftest import BETTER, FAIL, PASS, UNDECIDED, WORSE, Bench


def test_a_change_that_wins_everywhere_is_kept(bench: Bench) -> None:
    change = bench.begin()
    ended = bench.run(change)
    assert ended.state is State.KEPT
    assert bench.path(change) == [
        "observed",
        "diagnosed",
        "proposed",
        "proving",
        "proved",
        "trying",
        "delivering",
        "watching",
        "kept",
    ]
    assert bench.kind.serves["thing"] == "v1+"
    assert bench.kind.effects == [("deliver", f"{change.id}/delivering")]
    assert bench.trials.live == {}
    assert [one.what for one in bench.told] == ["delivered", "kept"]
    assert len(bench.audit.of("default", change.id)) == len(bench.changes.edges("default", change.id))
    assert bench.audit.verify().whole


def test_the_trial_ramps_by_its_stages_before_it_may_win(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.trials = [BETTER]
    bench.run(change)
    shares = [share for _, what, share in bench.trials.history if what in ("begin", "stage 1")]
    assert shares == [0.05, 0.2]


def test_a_candidate_that_harms_is_stopped_and_all_traffic_goes_back(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.trials = [WORSE]
    ended = bench.run(change)
    assert ended.state is State.REJECTED
    assert ended.reason == "it harms"
    assert bench.path(change)[-3:] == ["trying", "stopping", "rejected"]
    assert bench.trials.live == {}
    assert bench.kind.effects == []


def test_arms_of_the_wrong_size_pause_the_trial_with_nobody_in_it(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.trials = [TrialVerdict(outcome="mismatch", sentence="the arms are of the wrong size")]
    ended = bench.run(change)
    assert (ended.state, ended.paused_from) == (State.PAUSED, State.TRYING)
    assert bench.trials.live == {change.id: 0.0}


def test_a_trial_without_traffic_waits_and_pauses_as_inconclusive(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.trials = [TrialVerdict(outcome="no_data", sentence="no calls")]
    ended = bench.run(change)
    assert ended.state is State.PAUSED
    assert "inconclusive" in (ended.reason or "")
    assert bench.kind.serves["thing"] == "v1"


def test_a_paused_trial_goes_on_in_a_stretch_of_its_own_when_a_person_resumes_it(bench: Bench) -> None:
    change = bench.begin()
    bench.until(change, State.TRYING)
    bench.acts.pause("default", change.id, actor="key_1", why="let me look")
    assert bench.trials.live[change.id] == 0.0
    assert bench.run(change).state is State.PAUSED
    bench.acts.resume("default", change.id, actor="key_1", why="go on")
    bench.engine.step()
    assert bench.get(change).state is State.TRYING
    assert bench.trials.live[change.id] == 0.05
    assert bench.run(change).state is State.KEPT


def test_degradation_after_delivery_rolls_back_and_reads_back(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.watches = [PASS, FAIL, FAIL]
    ended = bench.run(change)
    assert ended.state is State.ROLLED_BACK
    assert bench.kind.serves["thing"] == "v1"
    assert [what for what, _ in bench.kind.effects] == ["deliver", "undo"]
    assert bench.trials.live == {}


def test_one_bad_check_among_good_ones_does_not_roll_back(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.watches = [FAIL, PASS, FAIL, PASS, PASS, PASS]
    assert bench.run(change).state is State.KEPT


def test_thin_traffic_makes_the_watch_wait_and_silence_pauses_it(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.watches = [WatchVerdict(outcome="no_data", sentence="silence", calls=3)]
    bench.until(change, State.WATCHING)
    for _ in range(40):
        bench.engine.step()
        bench.clock.advance(5)
    assert bench.get(change).state is State.WATCHING
    ended = bench.run(change, most=60)
    assert ended.state is State.PAUSED or "no data" in (ended.reason or "")
    assert bench.path(change)[-1] != "kept"


def test_what_cannot_be_restored_is_shouted_about_until_a_person_acts(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.watches = [FAIL]
    bench.kind.undo_does_nothing = True
    ended = bench.run(change)
    assert ended.state is State.ROLLBACK_FAILED
    assert bench.told[-1].what == "rollback_failed"
    bench.kind.undo_does_nothing = False
    bench.acts.roll_back("default", change.id, actor="key_1", why="the disk is back")
    assert bench.run(change).state is State.ROLLED_BACK


@pytest.mark.parametrize(("verdict", "state"), [("failed", State.REJECTED), ("inconclusive", State.PAUSED)])
def test_only_a_proof_that_passed_leads_on(bench: Bench, verdict: str, state: State) -> None:
    change = bench.begin()
    bench.kind.verdict = verdict  # type: ignore[assignment]
    ended = bench.run(change, seconds=3600)
    assert ended.state is state
    assert bench.kind.effects == []


def test_a_proof_against_another_baseline_is_no_proof(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.proves_against = "v1+"
    ended = bench.run(change)
    assert ended.state is State.REJECTED
    assert "frozen baseline is v1" in (ended.reason or "")


def test_a_kind_with_nothing_to_offer_ends_the_change(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.offers = False
    assert bench.run(change).state is State.REJECTED


def test_too_little_data_for_a_diagnosis_is_waited_for(bench: Bench) -> None:
    bench.diagnoses = [None, None, ("fnd_2", {})]
    change = bench.begin()
    bench.engine.step()
    assert bench.get(change).state is State.OBSERVED
    assert bench.run(change, seconds=60).finding == "fnd_2"


def test_a_delivery_that_reads_back_wrong_is_rolled_back(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.delivers_wrong = True
    ended = bench.run(change)
    assert ended.state is State.ROLLED_BACK
    assert bench.kind.serves["thing"] == "v1"


def test_a_delivery_that_fails_again_and_again_is_rolled_back(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.fail = {"deliver": 99}
    assert bench.run(change, seconds=700).state is State.ROLLED_BACK


def test_a_failure_is_repeated_and_forgotten_once_it_came_through(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.fail = {"prove": 2, "deliver": 2}
    ended = bench.run(change, seconds=100)
    assert ended.state is State.KEPT
    assert not ended.progress.get("failures")


@pytest.mark.parametrize("error", [InvalidRequest, NotFound, Forbidden, Conflict])
@pytest.mark.parametrize(("method", "state"), [("propose", "diagnosed"), ("prove", "proving"), ("rehearse", "proved")])
def test_what_can_never_come_through_before_traffic_is_rejected_at_once(
    bench: Bench, method: str, state: str, error: type[Exception]
) -> None:
    change = bench.begin()
    bench.kind.tried = False
    bench.kind.fail, bench.kind.error = {method: 1}, error
    ended = bench.run(change)
    assert (ended.state, bench.path(change)[-2:]) == (State.REJECTED, [state, "rejected"])
    assert f"{method} fails, as told" in (ended.reason or "")
    last = bench.changes.edges("default", change.id)[-1]
    assert last.evidence == {"error": f"{method} fails, as told", "code": error.code}  # type: ignore[attr-defined]
    assert bench.told[-1].what == "rejected"


def test_the_same_error_is_repeated_where_traffic_is_touched_and_another_everywhere(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.fail, bench.kind.error = {"deliver": 1}, Conflict
    assert bench.run(change, seconds=100).state is State.KEPT
    other = bench.begin("other")
    bench.kind.fail, bench.kind.error = {"propose": 1, "prove": 1}, StoreError
    assert bench.run(other, seconds=100).state is State.KEPT


def test_a_kind_that_this_worker_does_not_know_is_left_to_one_that_does(bench: Bench) -> None:
    change = bench.begin(kind="newer")
    ended = bench.run(change, seconds=700)
    assert (ended.state, ended.paused_from) == (State.PAUSED, State.DIAGNOSED)
    assert "'newer', which is not known here" in (ended.reason or "")


def test_what_takes_hours_is_asked_again_with_its_checkpoint(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.waits = {"prove": 3}
    bench.until(change, State.PROVING)
    bench.engine.step()
    assert bench.get(change).progress["checkpoint"] == {"done": 1}
    bench.clock.advance(6)
    bench.engine.step()
    assert bench.get(change).progress["checkpoint"] == {"done": 2}
    assert bench.run(change).state is State.KEPT


def test_without_a_trial_or_a_watch_it_is_delivered_and_kept(bench: Bench) -> None:
    change = bench.begin()
    bench.kind.tried = bench.kind.watched = False
    assert bench.run(change).state is State.KEPT
    assert "trying" not in bench.path(change)
    assert bench.governance.asked[-2][2]["trial_won"] is False


def test_a_person_is_asked_once_and_waited_for(bench: Bench) -> None:
    change = bench.begin()
    bench.governance.people = {"deliver"}
    bench.until(change, State.TRYING)
    for _ in range(20):
        bench.engine.step()
        bench.clock.advance(60)
    waiting = bench.get(change)
    assert waiting.state is State.TRYING
    assert "waits for an approval" in (waiting.reason or "")
    assert [one.what for one in bench.told] == ["approval_needed"]
    assert bench.trials.live[change.id] == 0.2
    bench.governance.approvals[change.id, "deliver"] = "approved"
    assert bench.run(change).state is State.KEPT


def test_what_a_person_rejects_leaves_the_trial(bench: Bench) -> None:
    change = bench.begin()
    bench.governance.people = {"deliver"}
    bench.until(change, State.TRYING)
    bench.governance.approvals[change.id, "deliver"] = "rejected"
    assert bench.run(change).state is State.REJECTED
    assert bench.trials.live == {}


def test_what_policy_denies_is_rejected_with_the_reason(bench: Bench) -> None:
    change = bench.begin()
    bench.governance.denied = {"prove": "the target is protected"}
    ended = bench.run(change)
    assert (ended.state, ended.reason) == (State.REJECTED, "the target is protected")


def test_two_changes_of_one_surface_are_never_tried_at_once(bench: Bench) -> None:
    bench.judge.trials = [UNDECIDED]
    first, second = bench.begin("one"), bench.begin("two")
    for _ in range(40):
        bench.engine.step()
        bench.clock.advance(10)
    states = {bench.get(first).state, bench.get(second).state}
    assert states == {State.TRYING, State.PROVED}
    assert len(bench.trials.live) == 1
    bench.judge.trials = [BETTER]
    for _ in range(100):
        bench.engine.step()
        bench.clock.advance(10)
    assert {bench.get(first).state, bench.get(second).state} == {State.KEPT}


def test_a_worker_that_stood_still_writes_nothing_when_it_comes_back(bench: Bench) -> None:
    change = bench.begin()
    bench.until(change, State.PROVED)
    [due] = bench.changes.due()
    old = bench.changes.claim(due, "worker-1", 60_000_000)
    assert old is not None
    assert bench.changes.due() == ()
    bench.clock.advance(61)
    assert bench.run(change).state is State.KEPT
    fence = Fence("default", change.id, old.attempt)
    with pytest.raises(Superseded):
        bench.changes.put_off(fence, 1.0)
    with pytest.raises(Superseded):
        bench.changes.renew(fence, 1_000_000)
    assert bench.get(change).state is State.KEPT


def test_a_clock_that_is_set_back_delays_nothing_for_good(bench: Bench) -> None:
    change = bench.begin()
    bench.until(change, State.TRYING)
    bench.clock.set(bench.clock.now_us() - 3 * 86_400_000_000)
    assert bench.run(change).state is State.KEPT


def test_a_clock_that_jumps_ahead_ends_no_trial_without_its_units(bench: Bench) -> None:
    change = bench.begin()
    bench.judge.trials = [TrialVerdict(outcome="better", sentence="so far", candidate_units=3, baseline_units=9)]
    bench.until(change, State.TRYING)
    bench.clock.set(bench.clock.now_us() + 400_000_000)
    for _ in range(5):
        bench.engine.step()
        bench.clock.advance(10)
    assert bench.get(change).state is State.TRYING


def test_the_kill_switch_leaves_only_what_restores(bench: Bench) -> None:
    one, two = bench.begin("one"), bench.begin("two")
    bench.judge.watches = [FAIL]
    bench.until(one, State.ROLLING_BACK)
    bench.governance.is_halted = True
    assert bench.run(one).state is State.ROLLED_BACK
    before = bench.get(two).state
    bench.engine.step()
    assert bench.get(two).state is before


def test_a_kept_change_is_rolled_back_by_a_person_unless_another_came_after(bench: Bench) -> None:
    first = bench.begin()
    bench.run(first)
    second = bench.begin()
    bench.run(second)
    with pytest.raises(Conflict, match="delivered to thing after"):
        bench.acts.roll_back("default", first.id, actor="key_1", why="no")
    bench.acts.roll_back("default", second.id, actor="key_1", why="no")
    assert bench.run(second).state is State.ROLLED_BACK
    assert bench.kind.serves["thing"] == "v1+"


def test_what_was_never_delivered_cannot_be_rolled_back(bench: Bench) -> None:
    change = bench.begin()
    bench.until(change, State.TRYING)
    with pytest.raises(Conflict, match="never delivered"):
        bench.acts.roll_back("default", change.id, actor="key_1", why="no")


def test_of_two_people_at_once_one_is_told_that_it_moved(bench: Bench) -> None:
    change = bench.begin()
    bench.until(change, State.TRYING)
    seen = bench.get(change)
    bench.acts.reject("default", change.id, actor="key_1", why="no")
    with pytest.raises(Conflict):
        bench.changes.act("default", change.id, seen.state, _paused())


def _paused():  # type: ignore[no-untyped-def]
    from meliora.loop.shelf import EdgeWish

    return EdgeWish(target=State.PAUSED, actor="key_2", wait=None)


def test_a_change_of_another_tenant_is_not_there(bench: Bench) -> None:
    change = bench.begin()
    with pytest.raises(NotFound):
        bench.changes.get("other", change.id)
    with pytest.raises(NotFound):
        bench.acts.reject("other", change.id, actor="key_1", why="no")


def test_a_delivery_says_which_harm_its_watch_can_find(bench: Bench) -> None:
    change = bench.begin()
    bench.run(change)
    [delivered] = [edge for edge in bench.changes.edges("default", change.id) if edge.source is State.DELIVERING]
    assert delivered.evidence["detects"] == {"error_rate": None}


def test_only_the_last_delivery_of_a_target_is_rolled_back_whatever_the_clock_said(bench: Bench) -> None:
    first = bench.begin()
    assert bench.run(first).state is State.KEPT
    bench.clock.set(
        bench.clock.now_us() - 7_200_000_000
    )  # the second one is delivered and kept before the first, by the clock
    second = bench.begin()
    assert bench.run(second).state is State.KEPT
    assert bench.get(second).updated_us < bench.get(first).updated_us
    before = bench.changes.edges("default", first.id)
    with pytest.raises(Conflict, match=f"{second.id} was delivered to thing after"):
        bench.acts.roll_back("default", first.id, actor="key_1", why="it was better before")
    assert bench.changes.edges("default", first.id) == before, "nothing of the refused act is left"
    for change in (second, first):
        bench.acts.roll_back("default", change.id, actor="key_1", why="both")
        assert bench.run(change).state is State.ROLLED_BACK
    assert bench.kind.serves["thing"] == "v1"
