"""A change of a rule: mined with a count of what was tried, proved on other decisions, put in place and taken back exactly."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from meliora.changes.routing_rule.kind import RoutingRule, Sources
from meliora.changes.routing_rule.mine import mine
from meliora.changes.routing_rule.rows import read_rows
from meliora.errors import Conflict, InvalidRequest
from meliora.loop.change import Change, Origin
from meliora.loop.kind import Proof
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import validate_pattern
from meliora.store.routing.rules import RuleWish
from meliora.testing.contract import KindBench, check_kind
from tests.changes.house import Deployment, Deployments
from tests.changes.overlays import decode

PEOPLE, AGENT = Origin("person", "key_1"), Origin("agent", "key_2")
OFFERED = Pool([Candidate("small", tier="fast"), Candidate("large", tier="deep"), Candidate("huge", tier="deep")])
BETTER_AT_REFUNDS = {
    "refund": {"small": 0.3, "large": 0.9},
    "parcel": {"small": 0.7, "large": 0.7},
    "account": {"small": 0.7, "large": 0.6},
}
SAME = {word: {"small": 0.6, "large": 0.6} for word in ("refund", "parcel", "account", "invoice")}


def read(dialect: str, text: str) -> str:
    return msgspec.json.decode(text)["messages"][0]["content"]


def kind_of(here: Deployment, **over: Any) -> RoutingRule:
    outcomes = here.faults.around(here.store.outcomes)
    sources = Sources(outcomes, read, lambda: OFFERED, lambda tenant: 0.0, **({"support": 40} | over))
    return RoutingRule(here.faults.around(here.store.rules), sources, here.fences.check)


def proof(here: Deployment, kind: RoutingRule, change: Change) -> Proof:
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    return found


def typed(here: Deployment, origin: Origin = AGENT, **said: Any) -> Change:
    return here.change("routing_rule", origin=origin, payload={"pattern": r"(?i)\brefund\b"} | said)


def state(here: Deployment) -> Any:
    fields = ("id", "pattern", "preferred_layer", "preferred_model", "priority", "active", "applies_to", "metadata")
    return [
        tuple(msgspec.to_builtins(getattr(rule, name)) for name in fields) for rule in here.store.rules.list("default")
    ]


def bench(here: Deployment, change: Change) -> KindBench:
    def forget() -> None:
        with here.store.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM routing_outcomes")

    def replace() -> None:
        pattern = change.payload.get("pattern", r"(?i)\brefund\b")
        here.store.rules.upsert("default", RuleWish(pattern=pattern, preferred_layer="code", priority=9))

    return KindBench(
        build=lambda: kind_of(here),
        change=change,
        state=lambda: state(here),
        decode=decode,
        lose_data=forget,
        lose_baseline=lambda change: replace(),
        replace=replace,
        faults=here.faults,
        fences=here.fences,
        contents=("with kind regards", "before monday"),
        now_us=here.clock.now_us,
    )


def test_a_mined_rule_keeps_the_contract(deployments: Deployments) -> None:
    def furnish(here: Deployment) -> None:
        here.asked(BETTER_AT_REFUNDS, 450)

    def make() -> KindBench:
        here = deployments(furnish)
        return bench(here, here.change("routing_rule"))

    check_kind(make)


def test_a_typed_change_of_a_rule_keeps_the_contract(deployments: Deployments) -> None:
    def furnish(here: Deployment) -> None:
        here.asked(BETTER_AT_REFUNDS, 200)
        wish = RuleWish(pattern=r"(?i)\brefund\b", preferred_model="small", priority=3, metadata={"reasoning": "cheap"})
        here.store.rules.upsert("default", wish)

    def make() -> KindBench:
        here = deployments(furnish)
        return bench(here, typed(here, preferred_model="large", reasoning="they are hard"))

    check_kind(make)


def test_a_word_that_tells_which_model_is_better_becomes_a_rule(here: Deployment) -> None:
    here.asked(BETTER_AT_REFUNDS, 800)
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_rule"))
    rule = change.payload["rule"]
    assert (rule["pattern"], rule["preferred_model"]) == (r"(?i)\brefund\b", "large")
    assert {"reasoning", "successRate", "usageCount", "support", "expected_gain"} <= set(rule["metadata"])
    assert 0 < rule["metadata"]["expected_gain"] < 0.3, "what it gains over an even chance, at the least"
    found = proof(here, kind, change)
    assert found.verdict == "passed", found.sentence
    assert found.data["decisions"] == 320, "of 800 decisions it was mined from the older 480"
    gain = next(one for one in found.figures if one.name == "gain")
    assert gain.low is not None and gain.low < 0.3 < (gain.high or 0)


def test_where_models_do_not_differ_nothing_is_mined_though_many_pairs_are_tried(deployments: Deployments) -> None:
    for _ in range(4):
        here = deployments()
        here.random.seed(_)
        here.asked(SAME, 500)
        change = here.change("routing_rule")
        assert kind_of(here).propose(change, here.work(change)) is None


def test_a_word_that_only_one_person_uses_is_no_rule(here: Deployment) -> None:
    here.asked(BETTER_AT_REFUNDS, 800, people=2)
    change = here.change("routing_rule")
    assert kind_of(here).propose(change, here.work(change)) is None


def test_prompts_that_a_rule_takes_already_are_left_to_it(here: Deployment) -> None:
    here.store.rules.upsert("default", RuleWish(pattern=r"(?i)\brefund\b", preferred_model="small"))
    here.asked({"refund": {"small": 0.3, "large": 0.9}, "parcel": {"small": 0.7, "large": 0.7}}, 800)
    change = here.change("routing_rule")
    assert kind_of(here).propose(change, here.work(change)) is None


def test_length_is_a_pattern_too(here: Deployment) -> None:
    here.asked({"refund": {"small": 0.3, "large": 0.9}}, 300, rest="x y z " * 30)
    here.asked({"refund": {"small": 0.9, "large": 0.3}}, 300)
    rows = read_rows(here.store.outcomes, read, "default", 0, here.clock.now_us(), 5000)
    found = mine(rows, 0.0, least=40, people=3)
    assert found is not None
    validate_pattern(found.pattern)
    assert r"\A" in found.pattern


def test_masks_and_the_words_beside_other_scripts_are_no_words(here: Deployment) -> None:
    here.asked({"[EMAIL]": {"small": 0.2, "large": 0.9}, "café": {"small": 0.7, "large": 0.7}}, 600)
    rows = read_rows(here.store.outcomes, read, "default", 0, here.clock.now_us(), 5000)
    found = mine(rows, 0.0, least=40, people=3)
    assert found is None or ("email" not in found.pattern and "caf" not in found.pattern)


def test_without_content_on_record_nothing_is_mined(here: Deployment) -> None:
    here.decided({"small": 0.2, "large": 0.9}, 300)
    change = here.change("routing_rule")
    assert kind_of(here).propose(change, here.work(change)) is None


def test_a_typed_rule_of_an_agent_has_to_prove_itself(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, preferred_model="large"))
    assert proof(here, kind, change).verdict == "inconclusive"
    assert kind.trial(change) is not None
    here.asked(BETTER_AT_REFUNDS, 400)
    later = msgspec.structs.replace(change, updated_us=here.clock.now_us())
    assert proof(here, kind, later).verdict == "passed"
    worse = here.proposed(kind, typed(here, preferred_model="small"))
    assert proof(here, kind, worse).verdict == "failed"


def test_a_typed_rule_of_a_person_stands_on_their_word_unless_it_is_seen_to_harm(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, PEOPLE, preferred_model="small"))
    found = proof(here, kind, change)
    assert (found.verdict, found.method) == ("passed", "none")
    assert "a person's word" in found.sentence and "0 matching decisions" in found.sentence
    assert kind.trial(change) is None, "whether it is delivered without a trial is the policies' to say"
    here.asked(BETTER_AT_REFUNDS, 400)
    later = msgspec.structs.replace(change, updated_us=here.clock.now_us())
    assert proof(here, kind, later).verdict == "failed"


def test_a_person_may_ask_for_a_trial(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, PEOPLE, preferred_model="large", trial=True))
    assert kind.trial(change) is not None


def test_a_tier_is_proved_by_the_chances_that_its_models_had(here: Deployment) -> None:
    kind = kind_of(here)
    here.asked({"refund": {"small": 0.2, "large": 0.9, "huge": 0.9}}, 300)
    change = here.proposed(kind, typed(here, preferred_layer="deep"))
    found = proof(here, kind, change)
    assert found.verdict == "passed"
    gain = next(one for one in found.figures if one.name == "gain")
    assert gain.value == pytest.approx(0.9 - (0.2 + 0.9 + 0.9) / 3, abs=0.05)


def test_what_a_change_leaves_out_stays_as_it_stands(here: Deployment) -> None:
    wish = RuleWish(
        pattern=r"(?i)\brefund\b", preferred_model="small", priority=7, metadata={"reasoning": "cheap", "own": 1}
    )
    here.store.rules.upsert("default", wish)
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, success_rate=90.0))
    kind.deliver(change, here.work(change))
    (rule,) = here.store.rules.list("default")
    assert (rule.preferred_model, rule.priority) == ("small", 7)
    assert rule.metadata == {"reasoning": "cheap", "own": 1, "successRate": 90.0, "change": change.id}


def test_switching_a_rule_off_is_a_change_whose_arm_has_no_such_rule(here: Deployment) -> None:
    rule = here.store.rules.upsert("default", RuleWish(pattern=r"(?i)\brefund\b", preferred_model="small"))
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, active=False))
    plan = kind.trial(change)
    assert plan is not None and plan.overlay == {"without_rules": [rule.id]}
    kind.deliver(change, here.work(change))
    watch = kind.watch(change)
    assert watch is not None and watch.overlay["rules"][0]["id"] == rule.id
    assert not here.store.rules.get("default", rule.id).active


@pytest.mark.parametrize(
    "said",
    [{"pattern": "(?=x)", "preferred_model": "large"}, {"preferred_layer": "huge"}, {}],
    ids=["look-ahead", "no such tier", "no target"],
)
def test_a_rule_that_cannot_be_is_refused(here: Deployment, said: dict[str, Any]) -> None:
    change = typed(here, **said)
    with pytest.raises(InvalidRequest):
        kind_of(here).propose(change, here.work(change))


def test_a_rule_to_a_model_that_nobody_serves_is_not_proved(here: Deployment) -> None:
    here.asked(BETTER_AT_REFUNDS, 200)
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, preferred_model="gone"))
    assert proof(here, kind, change).verdict == "inconclusive"


def test_somebody_who_changes_the_rule_meanwhile_is_not_overrun(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, typed(here, preferred_model="large"))
    kind.deliver(change, here.work(change))
    here.store.rules.upsert("default", RuleWish(pattern=r"(?i)\brefund\b", preferred_model="huge"))
    with pytest.raises(Conflict, match="neither the baseline"):
        kind.undo(change, here.work(change))
    assert here.store.rules.list("default")[0].preferred_model == "huge"


def test_a_rule_of_another_tenant_is_another_rule(here: Deployment) -> None:
    kind = kind_of(here)
    here.store.rules.upsert("other", RuleWish(pattern=r"(?i)\brefund\b", preferred_model="huge"))
    change = here.proposed(kind, typed(here, preferred_model="large"))
    assert change.baseline is None
    kind.deliver(change, here.work(change))
    kind.undo(change, here.work(change))
    assert [rule.preferred_model for rule in here.store.rules.list("other")] == ["huge"]
    assert here.store.rules.list("default") == ()


def test_an_unknown_cost_enters_no_utility(here: Deployment) -> None:
    here.asked(BETTER_AT_REFUNDS, 100)
    rows = read_rows(here.store.outcomes, read, "default", 0, here.clock.now_us(), 5000)
    rows.cost[:30] = np.nan
    assert len(rows.priced(0.01)) == len(rows) - 30
    assert len(rows.priced(0.0)) == len(rows)
