"""So many in a row to fail, so many to pass again; missing data is neither."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meliora.loop.gates.gate import Gate
from meliora.loop.gates.judge import Opinion
from meliora.loop.gates.standing import Standing, advance, due

GATE = Gate(name="g", metric="error_rate", direction="max", threshold=0.01, fail_after=2, pass_after=3)
FAIL, PASS, NEAR = Opinion("fail"), Opinion("pass", within=True), Opinion("near", within=True)
NOTHING = Opinion("no_data", reason="quiet")


def after(*opinions: Opinion, start: Standing | None = None) -> list[Standing]:
    standing, found = start or Standing(), []
    for at, opinion in enumerate(opinions):
        standing = advance(standing, GATE, opinion, at * 1000)
        found.append(standing)
    return found


def states(*opinions: Opinion) -> list[str]:
    return [one.state for one in after(*opinions)]


def test_one_bad_look_is_near_and_two_in_a_row_fail() -> None:
    assert states(PASS, FAIL, PASS, FAIL, FAIL) == ["pass", "near", "pass", "near", "fail"]


def test_a_failed_gate_passes_after_so_many_looks_within_bounds() -> None:
    assert states(FAIL, FAIL, PASS, PASS, NEAR) == ["near", "fail", "fail", "fail", "near"]
    assert states(FAIL, FAIL, PASS, PASS, FAIL, PASS, PASS, PASS)[-4:] == ["fail", "fail", "fail", "pass"]


def test_missing_data_is_shown_and_never_mends() -> None:
    found = after(FAIL, FAIL, NOTHING, PASS, PASS, NOTHING, PASS, PASS)
    assert [one.state for one in found] == ["near", "fail", "no_data", "fail", "fail", "no_data", "fail", "fail"]
    assert all(one.failing for one in found[1:])


def test_missing_data_between_two_bad_looks_does_not_hide_them() -> None:
    assert states(FAIL, NOTHING, FAIL)[-1] == "fail"


def test_evidence_begins_anew_when_it_passes_again() -> None:
    found = after(FAIL, FAIL, PASS, PASS, PASS)
    assert found[1].since_us == 1000 and found[-1].since_us == 4000


def test_a_clock_that_was_put_back_makes_it_due() -> None:
    seen = Standing(evaluated_us=10_000_000_000)
    assert not due(seen, GATE, 10_299_000_000) and due(seen, GATE, 10_300_000_000)
    assert due(seen, GATE, 9_000_000_000) and due(Standing(), GATE, 0)


@given(st.lists(st.sampled_from([FAIL, PASS, NEAR, NOTHING]), max_size=40))
def test_it_never_passes_without_enough_looks_within_bounds_after_a_failure(opinions: list[Opinion]) -> None:
    found = after(*opinions)
    for before, now in zip([Standing(), *found], found, strict=False):
        if before.failing and not now.failing:
            index = found.index(now)
            recent = list(opinions[: index + 1])[-GATE.pass_after :]
            assert all(one.within for one in recent)
        if now.state == "pass":
            assert not now.failing


@given(st.lists(st.just(NOTHING), max_size=20), st.booleans())
def test_silence_changes_nothing_but_what_is_shown(silence: list[Opinion], failing: bool) -> None:
    start = Standing(state="fail" if failing else "pass", failing=failing, fails=2 if failing else 0, evaluated_us=0)
    for one in after(*silence, start=start):
        assert one.failing is failing and one.state == "no_data"
