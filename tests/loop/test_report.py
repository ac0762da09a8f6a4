"""A report says what was measured, with how sure it is, and null where nothing was; names in it stay text."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.loop.change import Change, Edge, Origin
from meliora.loop.cycle import Cycle
from meliora.loop.gates.board import GateReading, GateRow
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.standing import Standing
from meliora.loop.report import LoopReport, Spent, Told, report
from meliora.loop.report_page import markdown
from meliora.loop.states import State

DAY = 86_400_000_000
UNTIL = 1_795_219_200_000_000
SINCE = UNTIL - 7 * DAY
NOTHING = Spent(calls=0, cost_micros=0, unpriced=0)


def told(**over: Any) -> Told:
    known: dict[str, Any] = {
        "tenant": "default",
        "since_us": SINCE,
        "until_us": UNTIL,
        "environment": "production",
        "cycles": (),
        "changes": (),
        "gates": (),
        "loop_cost": NOTHING,
        "spent": NOTHING,
        "spent_before": NOTHING,
    }
    return Told(**known | over)


def cycle(number: int, outcome: Any, hours: float = 2, **over: Any) -> Cycle:
    opened = SINCE + number * 3_600_000_000
    known: dict[str, Any] = {
        "id": f"si_{number}",
        "tenant": "default",
        "environment": "production",
        "origin": Origin("gate", "errors"),
        "subject": "errors",
        "kinds": ("k",),
        "outcome": outcome,
        "opened_us": opened,
        "closed_us": None if outcome is None else opened + round(hours * 3.6e9),
    }
    return Cycle(**known | over)


def change(state: State, figures: Any = None, **over: Any) -> tuple[Change, tuple[Edge, ...]]:
    known: dict[str, Any] = {
        "id": "chg_1",
        "tenant": "default",
        "kind": "routing_policy",
        "target": "routing",
        "surface": "gateway",
        "environment": "production",
        "origin": Origin("gate", "errors"),
        "state": state,
        "summary": "a policy",
    }
    evidence = {}
    if figures is not None:
        metric = {"name": "cost_per_call", "relative": True}
        evidence = {"trial": {"verdict": {"primary": {"metric": metric}, "guardrails": []}, "figures": figures}}
    edge = Edge(
        change="chg_1",
        seq=1,
        source=State.WATCHING,
        target=state,
        at_us=SINCE + DAY,
        actor="w",
        attempt=1,
        evidence=evidence,
    )
    return Change(**known | over), (edge,)


def gate(name: str, failing: bool = False, state: Any = "pass", metric: str = "error_rate") -> GateRow:
    return GateRow(
        name=name,
        definition=Gate(name=name, metric=metric, direction="max", threshold=0.01),
        standing=Standing(state=state, failing=failing),
        last=GateReading(gate=name, at_us=1, state=state, value=0.2, bound=0.01),
    )


def test_a_week_without_anything_is_null_throughout_and_meets_no_aim() -> None:
    found = report(told())
    assert found.success.value is None and found.rollbacks.value is None
    assert found.cycle_seconds_median is None and found.uptime is None
    assert found.cost_optimisation["cost_per_1k_calls_usd"] is None
    assert all(aim.met is None for aim in found.aims)
    page = markdown(found)
    assert page.count("not measured") >= 6 and "Nothing waits." in page


def test_p22_cycles_success_times_cost_improvements_actions_and_what_is_next() -> None:
    cycles = [cycle(n, "improved", hours=2) for n in range(3)] + [cycle(3, "unchanged", hours=10), cycle(4, None)]
    figures = [{"name": "cost_per_call", "effect": -0.2, "low": -0.3, "high": -0.1}]
    found = report(
        told(
            cycles=tuple(cycles),
            changes=(change(State.KEPT, figures), change(State.ROLLED_BACK, id="chg_2", reason="errors are up")),
            gates=(gate("errors", failing=True, state="fail"), gate("lag", metric="ingest_lag")),
            loop_cost=Spent(calls=10, cost_micros=2_000_000, unpriced=1),
            spent=Spent(calls=1000, cost_micros=400_000, unpriced=0),
            spent_before=Spent(calls=1000, cost_micros=500_000, unpriced=0),
        )
    )
    assert found.cycles == {"improved": 3, "unchanged": 1, "rolled_back": 0, "stopped": 0, "open": 1}
    assert (found.success.hits, found.success.of, found.success.value) == (3, 4, 0.75)
    assert found.success.low is not None and found.success.low < 0.75
    assert (found.cycle_seconds_median, found.cycle_seconds_longest) == (7200, 36_000)
    assert found.improvements[0].gains[0].effect == -0.2
    assert found.cost_optimisation["cost_per_1k_calls_usd"] == 0.4
    assert found.cost_optimisation["measured"][0]["low"] == -0.3
    assert found.backlog_seconds == {"ingest_lag": 0.2}
    assert found.next[0].startswith("The gate errors fails")
    page = markdown(found)
    for said in ("75% (3 of 4;", "cost_per_call -20.0% (-30.0% to -10.0%)", "errors are up", "median 2.0 h"):
        assert said in page.replace("&#95;", "_"), said
    assert "without 1 calls of unknown price" in page


def test_p20_an_aim_is_met_only_where_the_interval_says_so() -> None:
    many = tuple(cycle(n, "improved") for n in range(70))
    few = tuple(cycle(n, "improved") for n in range(3))
    assert {one.name: one.met for one in report(told(cycles=many)).aims}["success rate"] is True
    assert {one.name: one.met for one in report(told(cycles=few)).aims}["success rate"] is None
    lost = tuple(cycle(n, "unchanged") for n in range(70))
    assert {one.name: one.met for one in report(told(cycles=lost)).aims}["success rate"] is False


def test_a_kept_change_without_a_trial_brought_nothing_that_was_measured() -> None:
    found = report(told(changes=(change(State.KEPT),)))
    assert found.improvements[0].gains == ()
    assert "not measured" in markdown(found).split("## Improvements")[1].split("##")[0]


def test_what_needs_a_person_stands_first() -> None:
    stuck = change(State.ROLLBACK_FAILED, id="chg_9")
    waits = change(State.PAUSED, id="chg_8", reason="inconclusive")
    found = report(told(changes=(waits, stuck), gates=(gate("a", state="near"), gate("b", state="no_data"))))
    assert [line.split()[1] for line in found.next] == ["chg_9", "chg_8", "gate", "gates"]


def test_names_and_reasons_make_no_markup() -> None:
    bad = "x | y\n# <script>alert(1)</script> [a](http://evil) `rm` \x1b[31m"
    page = markdown(report(told(changes=(change(State.REJECTED, target=bad, reason=bad),), tenant="a`b")))
    assert "<script>" not in page and "[a](" not in page and "\x1b" not in page and "a`b" not in page
    row = next(line for line in page.splitlines() if line.startswith("| chg"))
    assert row.count("|") == 6


def test_the_same_facts_give_the_same_bytes() -> None:
    facts = told(cycles=(cycle(1, "improved"),), changes=(change(State.KEPT),))
    assert msgspec.json.encode(report(facts)) == msgspec.json.encode(report(facts))
    assert msgspec.json.decode(msgspec.json.encode(report(facts)), type=LoopReport) == report(facts)
    assert markdown(report(facts)) == markdown(report(facts))
