"""Shadow calls as they are kept: once, apart from the calls that were answered, and read as differences of pairs."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest
from meliora.gateway.state import SHADOW_KEY, LeaseWish, Overlay, TrialState
from meliora.loop.metrics import METRICS, Metric
from meliora.store.budgets import Budgets, OwnBudget
from meliora.store.tables import (
    budget_leases,
    budget_usage,
    call_slots,
    deployment,
    metadata,
    shadow_calls,
    spool_segments,
    usage_gateways,
)
from meliora.telemetry.ingest import Batch
from meliora.telemetry.records import Shadow, ShadowBegun, Shown
from tests.store.conftest import START_US
from tests.store.test_outcomes import trace

MINUTE = 60_000_000
LATE = START_US + 3600 * 1_000_000
DAY = "2026-11-21"
_batches = iter(range(1, 10**6))


def take(store: Any, *records: ShadowBegun | Shadow) -> None:
    store.sink.take(Batch(f"s{next(_batches)}.spool", 0, 1, [], [], list(records)))


def begun(store: Any, parent: str, **over: Any) -> ShadowBegun:
    values = {
        "id": store.call_ids.new(),
        "parent": parent,
        "parent_us": START_US,
        "tenant": "default",
        "gateway": "g1",
        "started_us": START_US,
        "trial": "chg_1",
        "stage": 0,
        "unit": "u1",
        "user": "ann",
        "v": 2,
    }
    return ShadowBegun(**values | over)


def shadow(feed: Any, parent: Any, *, same: bool = False, call: Any = None, **over: Any) -> Shadow:
    took = max(0, parent.ended_us - parent.started_us)
    own: dict[str, Any] = {"started_us": parent.ended_us, "key_id": SHADOW_KEY, "feature": "loop", "request_text": None}
    made = None if same else feed.finished(**own | (call or {}))
    values = {
        "id": feed.store.call_ids.new() if made is None else made.id,
        "parent": parent.id,
        "parent_us": parent.started_us,
        "tenant": parent.tenant,
        "gateway": "g1",
        "started_us": parent.ended_us,
        "trial": "chg_1",
        "stage": 0,
        "unit": "u1",
        "user": parent.user,
        "shown": Shown(parent.outcome, parent.model, parent.cost_micros, took),
        "call": made,
        "v": 2,
    }
    return Shadow(**values | over)


def pair(feed: Any, *, unit: str = "u1", shown: Any = None, **over: Any) -> Shadow:
    parent = feed.call(**shown or {})
    made = shadow(feed, parent, unit=unit, **over)
    take(feed.store, made)
    return made


def read(store: Any, *wanted: tuple[str, bool], now: int = LATE, tenant: str = "default", change: str = "chg_1") -> Any:
    return store.shadow_arms.read(tenant, change, [(METRICS[name], share) for name, share in wanted], now)


def test_sums_are_those_of_the_pairs_one_by_one(store, feed) -> None:
    draw = random.Random(5)
    pairs: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for at in range(150):
        unit, same = f"u{draw.randrange(8)}", draw.random() < 0.3
        cost, other = draw.choice((None, draw.randrange(1, 900))), draw.choice((None, draw.randrange(1, 900)))
        failed, fails = draw.random() < 0.2, draw.random() < 0.2
        took, takes = draw.randrange(1, 3_000_000), draw.randrange(1, 3_000_000)
        started = START_US + at
        shown = {"cost_micros": cost, "outcome": "error" if failed else "ok", "started_us": started}
        call = {"cost_micros": other, "outcome": "error" if fails else "ok"}
        parent = feed.call(**shown, ended_us=started + took)
        take(store, shadow(feed, parent, same=same, unit=unit, call=call | {"ended_us": parent.ended_us + takes}))
        pairs[unit].append((same, cost, other, failed, fails, took, takes))
    wanted = [("error_rate", False), ("cost_per_call", True), ("latency_mean", False), ("latency_p95", True)]
    found = read(store, *wanted)
    assert (found.units, found.pairs) == (len(pairs), 150)
    assert found.same == sum(one[0] for own in pairs.values() for one in own)

    def known(name: str, one: tuple[Any, ...]) -> tuple[float, float] | None:
        same, cost, other, failed, fails, took, takes = one
        if name == "error_rate":
            return 0.0 if same else float(fails) - float(failed), 1.0
        if name == "cost_per_call":
            if cost is None or (other is None and not same):
                return None
            return 0.0 if same else float(other - cost), float(cost)
        if failed or (fails and not same):
            return None
        return 0.0 if same else float(takes - took), 1.0

    for name, _ in wanted[:3]:
        units = []
        for own in pairs.values():
            each = [value for value in (known(name, one) for one in own) if value is not None]
            if each:
                units.append((sum(y for y, _ in each), sum(x for _, x in each)))
        sums = found.sums[name]
        assert sums.units == len(units)
        assert sums.y == pytest.approx(sum(y for y, _ in units))
        assert sums.n == pytest.approx(sum(x for _, x in units))
        assert sums.yy == pytest.approx(sum(y * y for y, _ in units))
        assert sums.nn == pytest.approx(sum(x * x for _, x in units))
        assert sums.yn == pytest.approx(sum(y * x for y, x in units))
    both = [one for own in pairs.values() for one in own if known("latency_mean", one) is not None]
    assert found.shown["latency_p95"].count == found.shadow["latency_p95"].count == len(both)
    assert found.shown["latency_p95"].quantile(1.0) == pytest.approx(max(one[5] for one in both), rel=0.01)
    most = max(one[5] if one[0] else one[6] for one in both)
    assert found.shadow["latency_p95"].quantile(1.0) == pytest.approx(most, rel=0.01)


def test_rewards_count_where_both_answers_have_one(store, feed) -> None:
    first, second, _third = (pair(feed, unit=f"u{n}") for n in range(3))
    pair(feed, unit="u9", same=True)
    store.shadows.judge("default", first.id, {"polite": (0.4, 0.9)}, 0.4, 0.9)
    store.shadows.judge("default", second.id, {"polite": (0.4, None)}, None, None)
    sums = read(store, ("reward", False)).sums["reward"]
    assert (sums.units, sums.y, sums.n) == (2, pytest.approx(0.5), 2.0)
    shared = read(store, ("reward", True)).sums["reward"]
    assert (shared.units, shared.n) == (1, pytest.approx(0.4)), "what the alike pair's answer is worth is not known"


def test_what_was_stopped_lost_or_is_under_way_counts_nowhere(store, feed) -> None:
    pair(feed, call={"outcome": "cancelled", "cost_micros": None})
    parent = feed.call()
    take(store, begun(store, parent.id), begun(store, parent.id, started_us=START_US - 7200 * 1_000_000))
    assert store.sink.lose(START_US - 3600 * 1_000_000) == 0, "no call that was answered is lost by it"
    states = {one.state for one in store.shadows.list("default", "chg_1")}
    assert states == {"finished", "open", "lost"}
    found = read(store, ("error_rate", False), ("cost_per_call", True), ("latency_p95", True))
    assert (found.units, found.pairs) == (0, 0)
    assert found.sums["error_rate"].units == found.shadow["latency_p95"].count == 0
    assert store.shadows.waiting("default", 0, 10) == ()


def test_a_pair_counts_when_it_is_mature_in_its_trial_and_tenant_alone(store, feed) -> None:
    made = pair(feed)
    assert made.call is not None
    ended = made.call.ended_us
    assert read(store, ("error_rate", False), now=ended + MINUTE - 1).pairs == 0
    assert read(store, ("error_rate", False), now=ended + MINUTE).pairs == 1
    assert read(store, ("error_rate", False), change="chg_2").pairs == 0
    assert read(store, ("error_rate", False), tenant="acme").pairs == 0


def test_what_shadows_never_have_is_never_known(store, feed) -> None:
    pair(feed)
    found = read(store, ("satisfaction", False), ("error_rate", False))
    assert found.sums["satisfaction"].units == 0
    odd = Metric(name="odd", direction="up", form="mean", unit="", column="colour")
    with pytest.raises(InvalidRequest, match="odd"):
        store.shadow_arms.read("default", "chg_1", [(odd, False)], LATE)


def test_a_shadow_is_kept_once_whatever_comes_again_and_in_whatever_order(store, feed) -> None:
    parent = feed.call()
    made = shadow(feed, parent)
    opened = begun(store, parent.id, id=made.id)
    take(store, opened)
    take(store, made, opened)
    take(store, made)
    take(store, opened)
    [found] = store.shadows.list("default", "chg_1")
    assert (found.state, found.model, found.cost_micros, found.shown_cost_micros) == ("finished", "small", 500, 500)
    assert store.shadows.spent_micros(DAY) == 500


def test_nothing_of_ordinary_traffic_moves_by_a_shadow(store, feed, engine) -> None:
    """All tables, before and after: whoever reads them cannot have come upon a shadow."""
    parent = feed.call(routing=trace())

    def everything() -> dict[str, list[Any]]:
        own = {shadow_calls, usage_gateways, spool_segments, deployment}
        with engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(sa.select(table)).all()))
                for table in metadata.sorted_tables
                if table not in own
            }

    before = everything()
    assert before["calls"] and before["usage_daily"] and before["rollup_windows"] and before["routing_outcomes"]
    made = shadow(feed, parent, call={"routing": trace(), "prompt_hash": "p", "message_id": "m1"})
    take(store, begun(store, parent.id, id=made.id))
    take(store, made)
    take(store, shadow(feed, parent, same=True))
    store.shadows.judge("default", made.id, {"polite": (0.1, 0.2)}, 0.1, 0.2)
    assert everything() == before
    assert store.shadows.spent_micros(DAY) == 500
    assert call_slots.name in before


def test_an_erased_person_is_gone_from_their_shadows_before_and_after_ingest(store, feed) -> None:
    early = pair(feed, unit="u77")
    keyed = pair(feed, unit="k5")
    parent = feed.call(user="ann")
    late = shadow(feed, parent, unit="u77")
    store.shadows.judge("default", early.id, {"polite": (0.1, 0.2)}, 0.1, 0.2)
    store.housekeeping.erase("default", "ann")
    take(store, late)
    found = {one.id: one for one in store.shadows.list("default", "chg_1")}
    assert all(one.response_text is None and one.scores is None and one.reward is None for one in found.values())
    assert found[early.id].unit.startswith("e") and found[late.id].unit.startswith("e")
    assert found[keyed.id].unit == "k5"


def test_what_is_old_is_deleted_as_of_calls(store, feed) -> None:
    pair(feed)
    [kept] = store.shadows.list("default", "chg_1")
    assert kept.response_text == "hello"
    store.housekeeping.drop_contents(LATE, 100)
    [kept] = store.shadows.list("default", "chg_1")
    assert kept.response_text is None
    store.housekeeping.drop_calls(LATE, 100)
    assert store.shadows.list("default", "chg_1") == ()


def test_pairs_wait_for_their_scores_once_with_what_was_said_of_the_shown_answer(store, feed) -> None:
    parent = feed.call(routing=trace(), request_text='{"a":1}', response_text="shown")
    store.outcomes.score("default", parent.id, "polite", 0.7)
    made = shadow(feed, parent, call={"response_text": "shadow"})
    take(store, made, shadow(feed, parent, same=True))
    assert store.shadows.tenants() == ("default",)
    [found] = store.shadows.waiting("default", 0, 10)
    assert (found.id, found.parent, found.request_text) == (made.id, parent.id, '{"a":1}')
    assert (found.shown_text, found.text, dict(found.scores)) == ("shown", "shadow", {"polite": 0.7})
    assert store.shadows.waiting("acme", 0, 10) == ()
    store.shadows.judge("acme", made.id, {}, 0.0, 0.0)
    assert len(store.shadows.waiting("default", 0, 10)) == 1, "another tenant says nothing of it"
    store.shadows.judge("default", made.id, {"polite": (0.7, 0.9)}, 0.7, 0.9)
    assert store.shadows.waiting("default", 0, 10) == store.shadows.tenants() == ()


def test_an_answer_that_was_cut_is_not_read(store, feed) -> None:
    pair(feed, shown={"truncated": True}, call={"truncated": True})
    [found] = store.shadows.waiting("default", 0, 10)
    assert (found.shown_text, found.text) == (None, None)


def test_the_money_is_leased_of_a_day_and_never_more_than_the_loop_has_left(store, feed, engine, clock) -> None:
    def lease(own: OwnBudget | None, gateway: str = "g1", spent: int = 0) -> Any:
        wish = LeaseWish(SHADOW_KEY, f"day:{DAY}", spent, 100, spent)
        [grant] = Budgets(engine, 0.1, own).lease(gateway, [wish], clock())
        with engine.begin() as connection:
            for table in (budget_leases, budget_usage):
                connection.execute(sa.delete(table))
        return grant.granted_micros, grant.exhausted

    assert lease(None) == (0, True)
    assert lease(OwnBudget(1000)) == (100, False)
    assert lease(OwnBudget(1000), spent=1000) == (0, True)
    assert lease(OwnBudget(1000, 800, ("loop",))) == (80, False)
    feed.call(feature="loop", cost_micros=800)
    assert lease(OwnBudget(1000, 800, ("loop",))) == (0, True)
    assert lease(OwnBudget(1000, 800, ("routing",))) == (80, False)


def test_a_dead_gateways_spending_is_known_by_what_was_ingested(store, feed, engine, clock) -> None:
    own = OwnBudget(1000)
    Budgets(engine, 1.0, own).lease("g1", [LeaseWish(SHADOW_KEY, f"day:{DAY}", 0, 1000, 0)], clock())
    pair(feed)
    pair(feed)
    clock.now += 600 * 1_000_000
    [grant] = Budgets(engine, 1.0, own).lease("g2", [LeaseWish(SHADOW_KEY, f"day:{DAY}", 0, 10, 0)], clock())
    assert (grant.spent_micros, grant.exhausted) == (1000, True)


def test_a_change_goes_from_the_shadow_to_live_stages_and_never_back(store) -> None:
    state = TrialState("chg_1", "default", "shadow", "s", 0, 0.2, Overlay())
    live = msgspec.structs.replace(state, phase="trial", share=0.05)
    store.trials.begin("default", state)
    assert store.trials.frozen("default")
    store.trials.begin("default", live)
    store.trials.begin("default", live)
    with pytest.raises(Conflict):
        store.trials.begin("default", state)
    assert [(one.phase, one.stage, one.share) for one in store.trials.stages("default", "chg_1")] == [
        ("shadow", 0, 0.2),
        ("trial", 0, 0.05),
    ]
    [held] = store.trials.live("default")
    assert held == live
