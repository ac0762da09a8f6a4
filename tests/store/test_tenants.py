"""Every method of every repository takes the tenant first, and none shows a tenant what is another's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import pytest

from meliora.diagnosis.cube import Cube
from meliora.diagnosis.records import Limits, Window
from meliora.errors import NotFound
from meliora.gateway.state import ChoiceState, Overlay, TrialState
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.front import Opinion
from meliora.knowledge.memory.records import Said
from meliora.knowledge.memory.summary import Summary
from meliora.knowledge.shelf import Judgment
from meliora.knowledge.upkeep.redundancy import Pair
from meliora.knowledge.upkeep.staleness import ageing
from meliora.loop.alerts import Alert
from meliora.loop.approvals import ApprovalWish
from meliora.loop.change import Origin
from meliora.loop.flags import Flag
from meliora.loop.gates.board import GateReading
from meliora.loop.gates.gate import Gate, Slice
from meliora.loop.gates.reading import Span
from meliora.loop.gates.standing import Standing
from meliora.loop.metrics import METRICS
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.loop.triggers import Trigger
from meliora.routing.preferences.interactions import Interaction
from meliora.store import Store
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.engine import writing
from meliora.store.keys import KeyWish
from meliora.store.knowledge.upkeep import ArchiveNote, LikePair
from meliora.store.loop.learning_events import Learned
from meliora.store.routing.rules import RuleWish
from meliora.telemetry.records import Attempt
from meliora.telemetry.rollups import Roller
from tests.store.conftest import START_US
from tests.store.test_datasets import made
from tests.store.test_findings import finding
from tests.store.test_knowledge_documents import document
from tests.store.test_outcomes import settle, trace
from tests.store.test_shadows import shadow, take

REPOSITORIES = (
    "calls",
    "feedbacks",
    "metrics",
    "model_performances",
    "rules",
    "outcomes",
    "routing_snapshots",
    "preferences",
    "preference_tables",
    "keys",
    "budgets",
    "analytics",
    "decisions",
    "slices",
    "findings",
    "activity",
    "approvals",
    "audit",
    "flags",
    "alerts",
    "learning_events",
    "changes",
    "cycles",
    "gates",
    "gate_figures",
    "triggers",
    "trials",
    "model_choices",
    "arms",
    "comparisons",
    "alerts",
    "shadows",
    "shadow_arms",
    "knowledge_documents",
    "knowledge_snapshots",
    "knowledge_upkeep",
    "knowledge_figures",
    "knowledge_comparisons",
    "judgments",
    "datasets",
    "searches",
    "search_arms",
    "memory",
)
FOR_THE_DEPLOYMENT = {
    "keys.open",  # how a tenant is found
    "keys.tenants",  # the administrator's
    "knowledge_documents.tenants",  # the worker's
    "audit.append",  # the note says whose it is
    "audit.digest",
    "audit.export",  # the administrator may have all; checked below
    "audit.head",  # one chain for the deployment
    "audit.publish",
    "audit.record",
    "audit.recording",
    "audit.verify",
    "budgets.lease",  # a gateway serves all tenants
    "analytics.tenants",  # the administrator's
    "outcomes.waiting",  # the worker learns for all tenants
    "outcomes.settle",
    "preference_tables.touched",  # the worker looks for all tenants
    "preference_tables.looked",
    "routing_snapshots.tenants",
    "gates.prune",  # the worker deletes for all tenants
    "changes.due",  # workers look for all tenants
    "changes.now_us",
    "changes.earlier_trials",
    "changes.last_of_target",  # the tenant is in the change
    "changes.claim",  # the tenant is in what is due
    "changes.renew",  # and in a fence
    "changes.put_off",
    "changes.take",
    "changes.check",
    "cycles.open_ones",
    "alerts.plan",  # one outbox for the deployment; a message says whose it is
    "alerts.claim",
    "alerts.sent",
    "alerts.failed",
    "cycles.opened",  # caps are the deployment's
    "cycles.spent_micros",
    "shadows.spent_micros",  # one budget for the deployment
    "shadows.tenants",  # the worker scores for all tenants
    "cycles.closed",  # artifacts are made for all tenants
    "trials.halting",  # the kill switch is the deployment's
}
INTERNAL = {
    "control",
    "policy_bundles",
    "deployment",
    "states",
    "gateways",
    "sink",
    "windows",
    "housekeeping",
    "call_ids",
    "search_ids",
    "engine",
    "secret",
}
DATASET = made("query")
WINDOWS = (Window(0, START_US), Window(START_US, START_US + 86_400_000_000))
LIMITS = Limits(slow_us=1, cost_cap_micros=1)


def methods(store: Store):
    for name in REPOSITORIES:
        repository = getattr(store, name)
        for method, function in inspect.getmembers(repository, inspect.ismethod):
            if not method.startswith("_"):
                yield f"{name}.{method}", function


def test_every_part_of_the_store_is_a_repository_or_known_to_be_internal(store) -> None:
    assert set(vars(store)) == {*REPOSITORIES, *INTERNAL}


def test_every_method_takes_the_tenant_first(store) -> None:
    for name, function in methods(store):
        first = next(iter(inspect.signature(function).parameters), None)
        assert first == "tenant" or name in FOR_THE_DEPLOYMENT, f"{name} must take the tenant first"
    assert next(iter(inspect.signature(store.housekeeping.erase).parameters)) == "tenant"


def test_nothing_of_a_tenant_is_seen_by_another(store, feed, clock) -> None:
    """Walks every method that reads: as the owner it finds something, as another tenant nothing."""
    call = feed.call(tenant="acme", message_id="m", error_code="x", outcome="error", status=500, routing=trace())
    feed.call(tenant="acme")
    key = store.keys.create("acme", KeyWish(budget_day_micros=5)).key
    rule = store.rules.upsert("acme", RuleWish(pattern="a", preferred_layer="fast"))
    store.feedbacks.give("acme", FeedbackGiven(feedback_type="thumbs_up", call_id=call.id))
    store.metrics.record("acme", "m", 1, "s")
    store.model_performances.update("acme", "m", "t", success=True, latency_ms=1, cost_usd=None)
    store.activity.append("acme", "cli", "x")
    for number in (1, 2):
        store.routing_snapshots.add("acme", lambda _: b"policy", kind="fit", made_by="cli")
        store.routing_snapshots.promote("acme", number)
    settle(store)
    arm = {"trial": "chg_1", "trial_phase": "trial", "trial_stage": 0, "arm": "candidate", "trial_unit": "u1"}
    feed.call(tenant="acme", **arm)
    take(store, shadow(feed, feed.call(tenant="acme")))
    store.trials.begin("acme", TrialState("chg_1", "acme", "trial", "s", 0, 0.5, Overlay()))
    store.model_choices.put("acme", ChoiceState("c", "acme", "a", "b"), "chg_0")
    scored = feed.call(tenant="acme", routing=trace())
    store.outcomes.score("acme", scored.id, "scorer", 0.5)
    store.feedbacks.give("acme", FeedbackGiven(feedback_type="thumbs_up", call_id=scored.id))
    told = Interaction(id="i", timestamp=datetime(2026, 11, 20, tzinfo=UTC), model="m", user_id="ann", value=1.0)
    store.preferences.keep("acme", told)
    store.preference_tables.put("acme", {"ann": {"code": {"m": 0.1}}}, clock.now)
    Roller(store.windows).step()
    feed.call(tenant="acme")
    gate = Gate(name="errors", metric="error_rate", direction="max", threshold=0.01)
    seen = GateReading(gate="errors", at_us=clock.now, state="pass")
    store.gates.record("acme", gate, Standing(), Standing(state="pass", evaluated_us=clock.now), seen)
    store.triggers.put("acme", Trigger(name="t", gate="errors", kinds=("routing_rule",)), "cli")
    stretch = Span.of(gate, clock.now + 600_000_000)
    wish = ApprovalWish(change="chg_1", edge="deliver", asked_by="x", asked_why="", expires_us=clock.now + 10**9)
    approval = store.approvals.request("acme", wish)
    store.flags.put("acme", Flag(name="f"), "cli")
    store.alerts.happened("acme", Alert(name="a", severity="info", summary="s"), 0)
    learned = Learned(event_type="pattern_learned", category="x", impact_score=0.5)
    store.learning_events.record("acme", learned)
    assert [entry.tenant for entry in store.audit.export("acme")] == ["acme", "acme"]
    assert list(store.audit.export("other")) == []

    store.findings.keep("acme", finding(tenant="acme"))
    origin = Origin("gate", "errors")
    cycle = store.cycles.open("acme", environment="staging", origin=origin, subject="errors", kinds=("rule",))
    assert cycle is not None
    begun = {"kind": "rule", "target": "t", "surface": "s", "environment": "staging", "origin": origin}
    change = store.changes.add("acme", **begun, cycle=cycle.id)
    tried = store.changes.add("acme", **begun, state=State.PROVED)
    store.changes.act("acme", tried.id, State.PROVED, EdgeWish(target=State.TRYING, actor="x"))
    ended = store.changes.add("acme", **begun)
    store.changes.act("acme", ended.id, State.OBSERVED, EdgeWish(target=State.REJECTED, actor="x", wait=None))
    first = store.cycles.open("acme", environment="staging", origin=origin, subject="old", kinds=("rule",))
    assert first is not None
    store.cycles.close("acme", first.id, "unchanged")
    attempt = Attempt("p/small", "small", clock.now, clock.now + 1_000, 200)
    feed.call(tenant="acme", model="small", endpoint="p/small", attempts=(attempt,), feature="loop")
    lasting = Alert(name="gate_failing", severity="warning", summary="it fails", lasting=True)
    store.alerts.hold("acme", [lasting])
    searched = keep_knowledge(store, feed)
    span = (0, clock.now + 1)
    reads = {
        "knowledge_documents.collections": [],
        "knowledge_documents.collection": ["c"],
        "knowledge_documents.get": ["c", "a"],
        "knowledge_documents.list": ["c"],
        "knowledge_documents.changes": ["c", 0, 10],
        "knowledge_documents.latest": ["c"],
        "knowledge_snapshots.get": ["c", 1],
        "knowledge_snapshots.list": ["c"],
        "knowledge_snapshots.artifact": [sha256(b"table").hexdigest()],
        "knowledge_upkeep.pairs": ["c"],
        "knowledge_upkeep.archived": ["c"],
        "knowledge_upkeep.returned": ["c"],
        "knowledge_upkeep.waiting": ["c"],
        "knowledge_comparisons.last": ["c", 10],
        "knowledge_figures.characters": ["c"],
        "knowledge_figures.figures": ["c", ageing(2**60)],
        "knowledge_figures.sources": ["c", [], 10, "none"],
        "knowledge_figures.stalest": ["c", ageing(2**60)],
        "knowledge_figures.count_stale": ["c", ageing(2**60), 0.0, [""]],
        "knowledge_figures.light": ["c", ["a"]],
        "knowledge_figures.origins": ["c", ["a"]],
        "knowledge_figures.moved": ["c", 0, 2**60],
        "judgments.get": ["c", "held", 1],
        "judgments.newest": ["c", "held"],
        "judgments.list": ["c"],
        "datasets.get": [DATASET.manifest.dataset_id],
        "datasets.examples": [DATASET.manifest.dataset_id],
        "datasets.list": [],
        "searches.get": [searched],
        "searches.window": ["c", 0, 2**60],
        "search_arms.calls": ["chg_1", "trial", 0],
        "search_arms.read": ["chg_1", "trial", [METRICS["error_rate"]], clock.now + 3_600_000_000],
        "memory.conversation": ["talk"],
        "memory.conversations": ["ann"],
        "memory.read": ["talk"],
        "memory.follow": ["ann", 0, 10],
        "memory.count": [],
        "memory.summaries": ["talk"],
        "gates.rows": [],
        "gates.readings": [],
        "gate_figures.calls": [Slice(), stretch],
        "gate_figures.behind_us": [],
        "gate_figures.words": [Slice(), stretch],
        "gate_figures.searches": [Slice(), stretch],
        "gate_figures.observations": ["m", 0, clock.now + 1_000_000],
        "gate_figures.budget_share": [clock.now],
        "triggers.list": [],
        "calls.get": [call.id],
        "calls.content": [call.id],
        "calls.list": [],
        "calls.tail": [],
        "feedbacks.get": [call.id],
        "feedbacks.history": [call.id],
        "feedbacks.list": [],
        "metrics.names": [],
        "metrics.list": [],
        "metrics.analyze": [],
        "metrics.by_context": ["m", "place"],
        "model_performances.list": [],
        "rules.get": [rule.id],
        "rules.list": [],
        "outcomes.get": [call.id],
        "outcomes.rewarded": ["t1"],
        "outcomes.changes": ["t1", 0],
        "outcomes.logged": ["t1", 0],
        "outcomes.counts": [],
        "outcomes.unscored": ["another"],
        "outcomes.scores": [scored.id],
        "outcomes.labelled": ["scorer"],
        "preferences.interactions": ["ann"],
        "preferences.marks": [],
        "preference_tables.blob": [1],
        "preference_tables.table": [],
        "routing_snapshots.list": [],
        "routing_snapshots.get": [1],
        "routing_snapshots.serving": [],
        "routing_snapshots.blob": [1],
        "keys.get": [key.id],
        "keys.list": [],
        "budgets.status": [key.id, clock.now],
        "analytics.usage": ["model"],
        "analytics.total": [],
        "analytics.top_expensive": [],
        "analytics.error_rate": [],
        "analytics.ranking": [],
        "analytics.distribution": [],
        "decisions.decided": [],
        "decisions.judged": [],
        "slices.limits": [WINDOWS[1]],
        "slices.cube": ["errors", *WINDOWS, LIMITS],
        "slices.series": ["errors", WINDOWS[1], 300_000_000, LIMITS],
        "findings.get": ["finding_1"],
        "findings.list": [],
        "activity.list": [],
        "approvals.get": [approval.id],
        "approvals.latest": ["chg_1", "deliver"],
        "approvals.list": [],
        "audit.list": [],
        "audit.of": ["chg_1"],
        "flags.get": ["production", "f"],
        "flags.list": [],
        "learning_events.list": [],
        "trials.get": ["chg_1"],
        "trials.live": [],
        "trials.stages": ["chg_1"],
        "trials.frozen": [],
        "model_choices.list": [],
        "changes.get": [change.id],
        "changes.edges": [change.id],
        "changes.list": [],
        "changes.of_cycle": [cycle.id],
        "changes.counts": [0],
        "changes.moved": [0, 2**60],
        "changes.holder": ["s"],
        "cycles.get": [cycle.id],
        "cycles.list": [],
        "cycles.since": [0],
        "cycles.within": [0, clock.now + 10**9],
        "alerts.list": [],
        "cycles.last_closed_us": ["old"],
        "cycles.cost_micros": [START_US, clock.now + 1, ("loop",)],
        "comparisons.cells": [*span],
        "comparisons.tries": ["small", *span],
        "outcomes.recorded": [*span],
        "outcomes.asked": [[call.id]],
        "rules.plain": ["a"],
        "arms.calls": ["chg_1", "trial", 0],
        "shadows.list": ["chg_1"],
        "shadows.waiting": [0, 10],
        "shadows.spent": [0, 2**60],
        "shadow_arms.read": ["chg_1", [(METRICS["error_rate"], False)], clock.now + 3_600_000_000],
        "arms.read": ["chg_1", "trial", [METRICS["error_rate"]], clock.now + 3_600_000_000],
    }
    writes = {
        "knowledge_documents.delete": ["c", ["a"]],
        "knowledge_documents.set_state": ["c", ["a"], "archived"],
        "knowledge_documents.note_uses": ["c", 0, 0.5],
        "knowledge_documents.drop": ["c"],
        "knowledge_documents.exchange_generation": ["c", "2"],
        "knowledge_snapshots.add": ["c", SearchConfig(), "thief"],
        "knowledge_snapshots.exchange": ["c", 0],
        "knowledge_upkeep.ask": ["c", [LikePair(a="a", b="b", containment=1, ratio=1, why="")]],
        "knowledge_upkeep.decide": ["c", "a", "b", "merged", "thief"],
        "knowledge_comparisons.claim": ["c", "thief", 0, 10],
        "knowledge_comparisons.note": ["c", 99, [], 0, 0],
        "knowledge_upkeep.archive": ["c", "chg_2", [ArchiveNote(document="a", why="")]],
        "knowledge_upkeep.restore": ["c", "chg_1"],
        "datasets.put": [msgspec.structs.replace(DATASET, made_by="thief")],
        "datasets.mark": [DATASET.manifest.dataset_id, "thief"],
        "datasets.delete": [DATASET.manifest.dataset_id],
        "judgments.put": ["c", "held", [Judgment("q", "q", "a", 1.0)], "thief"],
        "searches.give": [Opinion(search=searched, said="click", document="a")],
        "memory.keep_summary": ["talk", Summary(text="", first=1, last=1, method="extract")],
        "triggers.delete": ["t"],
        "feedbacks.give": [FeedbackGiven(feedback_type="thumbs_down", call_id=call.id)],
        "rules.change": [rule.id, RuleWish(pattern="b", preferred_layer="deep")],
        "rules.delete": [rule.id],
        "rules.reorder": [[rule.id]],
        "outcomes.score": [call.id, "scorer", 0.5],
        "preferences.react": ["i", "positive", datetime(2026, 11, 21, tzinfo=UTC), None],
        "routing_snapshots.note": [1, {"stolen": True}],
        "routing_snapshots.promote": [1],
        "routing_snapshots.rollback": [1],
        "keys.rotate": [key.id],
        "keys.revoke": [key.id],
        "keys.update": [key.id, {"name": "stolen"}],
        "approvals.decide": [approval.id, "approved", "thief", ""],
        "flags.delete": ["production", "f", "thief"],
        "trials.ramp": ["chg_1", 1, 0.9],
        "changes.act": [change.id, State.OBSERVED, EdgeWish(target=State.REJECTED, actor="thief", wait=None)],
        "cycles.close": [cycle.id, "stopped"],
        "cycles.note": [cycle.id, {"stolen": True}],
        "cycles.settle": [cycle.id, {"stolen": True}],
        "cycles.renote": [cycle.id, {"stolen": True}],
    }
    own = {
        # see below and the tests of each: none of these reaches another tenant's
        "knowledge_documents.put",
        "knowledge_documents.generation",
        "knowledge_snapshots.serving",
        "knowledge_snapshots.keep",
        "searches.reformulated",
        "memory.append",
        "memory.erase",
        "memory.fetch",
        "memory.standing",
        "knowledge_upkeep.standing",
        "gates.record",
        "gates.freeze",
        "triggers.put",
        "preferences.keep",
        "preferences.forget",
        "preference_tables.put",
        "routing_snapshots.add",
        "routing_snapshots.begin",
        "routing_snapshots.publish",
        "rules.upsert",
        "keys.create",
        "metrics.record",
        "metrics.record_all",
        "model_performances.update",
        "activity.append",
        "approvals.request",
        "flags.put",
        "learning_events.add",
        "learning_events.record",
        # see test_trials: none of these reaches another tenant's
        "shadows.judge",  # see test_shadows
        "trials.begin",
        "trials.begin_in",
        "trials.ramp_in",
        "trials.end",
        "trials.end_in",
        "model_choices.put",
        "model_choices.put_in",
        "model_choices.retire",
        "model_choices.retire_in",
        "findings.keep",
        "gates.bound",
        "changes.add",
        # see test_alerts: each tenant's are its own
        "alerts.happened",
        "alerts.hold",
        "alerts.came",
        "cycles.cost_micros",  # see test_cycles
        "cycles.open",
        # see below: they change nothing that is another's
        "changes.wake",
        "changes.last_of_target",
        "changes.tally",
        "rules.exchange",
        "routing_snapshots.exchange",
    }
    named = dict(methods(store))
    assert set(named) == {*reads, *writes, *own, *FOR_THE_DEPLOYMENT}
    shown = {name: plain(named[name]("acme", *arguments)) for name, arguments in reads.items()}
    for name, arguments in reads.items():
        assert not empty(shown[name]), f"{name} shows the owner nothing, so this test would show nothing either"
        try:
            assert empty(named[name]("other", *arguments)), name
        except NotFound:
            continue
    for name, arguments in writes.items():
        with pytest.raises(NotFound):
            named[name]("other", *arguments, **({"instead_of": "1"} if "exchange" in name else {}))
    assert store.knowledge_documents.generation("other", "c") == "1"
    assert store.knowledge_snapshots.serving("other", "c").number == 0
    assert store.searches.reformulated("other", [searched]) == 0
    assert store.memory.fetch("other", [("talk", 1)]) == (None,)
    assert store.memory.standing("other", "ann").seq == 0
    assert store.knowledge_upkeep.standing("acme", "c", "chg_1", [ArchiveNote(document="z", why="")]).held == 1
    assert store.knowledge_upkeep.standing("other", "c", "chg_1", [ArchiveNote(document="z", why="")]).held == 0
    assert store.memory.erase("other", "ann").turns == 0
    store.memory.append("other", "talk", [Said(speaker="x", text="x", user="ann")], 1)
    store.knowledge_documents.put("other", "c", [document("a", "stolen")])
    store.knowledge_snapshots.keep("other", "expansion", b"table")
    with pytest.raises(NotFound), writing(store.engine) as connection:
        store.changes.last_of_target("other", ended.id)(connection)
    store.changes.wake("other", ended.id)
    store.changes.wake("other", tried.id)
    assert store.changes.tally("other", "t", 0, "").last_us is None
    assert store.changes.tally("acme", "t", 0, "").last_us is not None
    store.alerts.hold("other", [])
    store.alerts.happened("other", lasting, 0)
    kept = store.rules.plain("acme", "a")
    fence = {"fenced": lambda connection: None}
    assert store.rules.exchange("other", "a", None, instead_of=kept, **fence) is False
    assert store.rules.exchange("other", "a", None, instead_of=None, **fence) is True
    serves = {"evidence": {}, "is_return": False, **fence}
    assert store.routing_snapshots.exchange("other", None, instead_of=2, **serves) is False
    with pytest.raises(NotFound):
        store.routing_snapshots.exchange("other", 1, instead_of=None, **serves)
    assert {name: plain(named[name]("acme", *arguments)) for name, arguments in reads.items()} == shown


def keep_knowledge(store: Store, feed) -> str:
    """Keep something of all that the knowledge plane has, and give the id of a search."""
    store.knowledge_documents.put("acme", "c", [document("a"), document("b"), document("z")])
    store.knowledge_snapshots.add("acme", "c", SearchConfig(), "cli")
    store.knowledge_snapshots.exchange("acme", "c", 1, instead_of=0)
    store.knowledge_documents.exchange_generation("acme", "c", "2", instead_of="1")
    store.knowledge_snapshots.keep("acme", "expansion", b"table")
    store.knowledge_upkeep.ask("acme", "c", [LikePair(a="a", b="b", containment=0.6, ratio=0.8, why="")])
    both = Pair(kept="a", archived="b", containment=1.0, ratio=1.0)
    store.knowledge_comparisons.note("acme", "c", 3, [both], 3, 0)
    store.knowledge_upkeep.archive("acme", "c", "chg_0", [ArchiveNote(document="z", why="old")])
    store.knowledge_upkeep.restore("acme", "c", "chg_0")
    store.knowledge_upkeep.archive("acme", "c", "chg_1", [ArchiveNote(document="z", why="old")])
    store.judgments.put("acme", "c", "held", [Judgment("q", "query", "a", 1.0)], "cli")
    store.datasets.put("acme", DATASET)
    store.memory.append("acme", "talk", [Said(speaker="Ann", text="hello", user="ann")], 1)
    store.memory.keep_summary("acme", "talk", Summary(text="hello", first=1, last=1, method="extract"))
    return feed.search(
        tenant="acme", trial="chg_1", trial_phase="trial", trial_stage=0, arm="candidate", trial_unit="u1"
    ).id


def plain(found: object) -> object:
    """Give an answer as something that can be compared: arrays cannot."""
    return found.looked_at if isinstance(found, Cube) else found


def empty(found: object) -> bool:
    """Whether an answer holds nothing: no items, no calls counted."""
    if isinstance(found, Cube):
        return not any(found.looked_at)
    if isinstance(found, Limits):
        return found.slow_us is None
    if isinstance(found, Mapping | int):
        return not found
    if isinstance(found, Sequence):
        return not any(getattr(one, "calls", True) for one in found)
    for name in ("items", "calls", "pairs", "latency_ms", "users", "categories", "added"):
        if hasattr(found, name):
            found = getattr(found, name)
            found = getattr(found, "count", found) if name == "latency_ms" else found
            return not found
    return found is None
