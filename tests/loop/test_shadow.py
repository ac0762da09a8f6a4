"""A trial that begins in the shadow: only what wins there is shown to anybody, and what wins where nothing else is asked is delivered."""

from __future__ import annotations

import pytest

from meliora.loop.house import TrialVerdict
from meliora.loop.kind import SHADOW
from meliora.loop.states import State
from tests.loop.conftest import BETTER, UNDECIDED, WORSE, Bench

NONE = TrialVerdict(outcome="no_data", sentence="no call has been shadowed yet")


def what(bench: Bench) -> list[tuple[str, float]]:
    return [(word, share) for _, word, share in bench.trials.history]


def test_what_wins_in_the_shadow_goes_on_to_its_live_stages(bench: Bench) -> None:
    bench.kind.shadow = True
    bench.judge.shadows, bench.judge.trials = [NONE, UNDECIDED, BETTER], [BETTER]
    change = bench.begin()
    ended = bench.run(change)
    assert ended.state is State.KEPT
    assert what(bench)[:3] == [("shadow", 0.2), ("begin", 0.05), ("stage 1", 0.2)]
    trying = [edge for edge in bench.changes.edges("default", change.id) if edge.target is State.TRYING]
    assert [edge.evidence["stage"] for edge in trying] == [SHADOW, 0, 1]
    assert trying[1].evidence["trial"]["sentence"] == "it wins"


@pytest.mark.parametrize("word", [NONE, UNDECIDED])
def test_what_does_not_win_in_the_shadow_is_never_shown(bench: Bench, word: TrialVerdict) -> None:
    bench.kind.shadow = True
    bench.judge.shadows, bench.judge.trials = [word], [BETTER]
    change = bench.begin()
    ended = bench.run(change)
    assert (ended.state, ended.paused_from) == (State.PAUSED, State.TRYING)
    assert "inconclusive" in (ended.reason or "")
    assert what(bench) == [("shadow", 0.2), ("stage 1", 0.0)]


def test_harm_in_the_shadow_stops_it(bench: Bench) -> None:
    bench.kind.shadow = True
    bench.judge.shadows = [WORSE]
    change = bench.begin()
    ended = bench.run(change)
    assert (ended.state, ended.reason) == (State.REJECTED, "it harms")
    assert bench.trials.live == {}
    assert bench.kind.effects == []


def test_a_win_of_too_few_units_is_waited_for(bench: Bench) -> None:
    bench.kind.shadow = True
    few = TrialVerdict(outcome="better", sentence="it wins", candidate_units=5, baseline_units=5, stage_units=5)
    bench.judge.shadows = [few]
    ended = bench.run(bench.begin())
    assert ended.state is State.PAUSED
    assert ("begin", 0.05) not in what(bench)


def test_what_is_decided_by_the_shadow_alone_is_delivered_as_policies_permit(bench: Bench) -> None:
    bench.kind.shadow, bench.kind.live = True, False
    bench.judge.shadows = [UNDECIDED, BETTER]
    change = bench.begin()
    ended = bench.run(change)
    assert ended.state is State.KEPT
    assert [word for word, _ in what(bench)] == ["shadow", "end", "hold back", "end"]
    [(_, _, facts)] = [one for one in bench.governance.asked if one[0] == "deliver"]
    assert facts["trial_won"] is True


def test_a_shadow_that_was_paused_goes_on_as_one(bench: Bench) -> None:
    bench.kind.shadow = True
    bench.judge.shadows, bench.judge.trials = [NONE], [BETTER]
    change = bench.begin()
    paused = bench.run(change)
    assert paused.state is State.PAUSED
    bench.judge.shadows = [BETTER]
    bench.acts.resume("default", change.id, actor="key_1", why="more traffic now")
    assert bench.run(change).state is State.KEPT
    assert what(bench)[:4] == [("shadow", 0.2), ("stage 1", 0.0), ("stage 2", 0.2), ("begin", 0.05)]


def test_the_time_in_the_shadow_is_no_time_of_the_live_trial(bench: Bench) -> None:
    bench.kind.shadow = True
    bench.judge.shadows, bench.judge.trials = [UNDECIDED] * 50 + [BETTER], [UNDECIDED]
    change = bench.begin()
    for _ in range(60):
        bench.engine.step()
        bench.clock.advance(10)
        if bench.get(change).progress.get("stage") == 0:
            break
    found = bench.get(change)
    assert found.progress["began_us"] == found.progress["stage_began_us"] > bench.clock.now_us() - 60_000_000
