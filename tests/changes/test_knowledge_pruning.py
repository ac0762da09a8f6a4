"""A change that archives documents: planned, kept under its hash, proved harmless, archived whole, restored one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from meliora.changes.knowledge_pruning.kind import KnowledgePruning
from meliora.changes.knowledge_pruning.shelf import Shears
from meliora.errors import Conflict, NotFound
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.upkeep.plan import Entry, Pruning
from meliora.loop.change import Change
from meliora.loop.kind import Proof
from meliora.runtime.knowledge.pruning import StoredArchive
from meliora.testing.contract import KindBench, Run, change_of, check_kind
from tests.changes.house import Deployment, Deployments
from tests.changes.overlays import decode
from tests.changes.searches import COLLECTION, SECRET, Known, answer, furnish, kept, known, names, placed, query

DOCUMENTS = ("keep", "old-1", "old-2", "twice")
GONE = ("old-1", "old-2", "twice")


def entry(id: str, confidence: float = 0.95, instead: str | None = None) -> Entry:
    reason = "redundant" if instead else "stale"
    hash = kept(id, SECRET).hash
    return Entry(id=id, hash=hash, reason=reason, said="old", confidence=confidence, kept_instead=instead)


PLAN = Pruning(collection=COLLECTION, entries=(entry("old-1"), entry("old-2"), entry("twice", instead="keep")))


def as_before(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
    return ["old-1", *placed(text, 2)][:10]


def furnished(here: Deployment) -> None:
    here.store.knowledge_documents.put("default", COLLECTION, [kept(id, SECRET) for id in DOCUMENTS])


def kind_of(here: Deployment, evidence: Known, plan: Pruning = PLAN, **over: Any) -> KnowledgePruning:
    around = here.faults.around
    shears = Shears(
        lambda tenant, collection, now_us: plan,
        around(StoredArchive(here.store.knowledge_upkeep)),
        around(here.store.knowledge_snapshots),
        around(evidence),
        names(here),
        here.fences.check,
        **over,
    )
    return KnowledgePruning(shears)


def states(here: Deployment) -> dict[str, str]:
    shelf = here.store.knowledge_documents
    return {one.document.id: one.state for one in shelf.list("default", COLLECTION, state=None)}


def bench(here: Deployment) -> KindBench:
    evidence, shelf = known(here, as_before), here.store.knowledge_documents

    def replace() -> None:
        shelf.set_state("default", COLLECTION, ["old-2"], "archived")

    def lose(change: Change) -> None:
        shelf.delete("default", COLLECTION, ["old-1"])

    return KindBench(
        build=lambda: kind_of(here, evidence),
        change=change_of("knowledge_pruning", "target", "search", updated_us=here.clock.now_us()),
        state=lambda: states(here),
        decode=decode,
        lose_data=evidence.forget,
        lose_baseline=lose,
        replace=replace,
        faults=here.faults,
        fences=here.fences,
        contents=(SECRET,),
        splits=False,
        now_us=here.clock.now_us,
    )


def ready(here: Deployment, plan: Pruning = PLAN, **over: Any) -> tuple[Known, KnowledgePruning, Change]:
    furnished(here)
    evidence = known(here, as_before)
    kind = kind_of(here, evidence, plan, **over)
    return evidence, kind, here.proposed(kind, here.change("knowledge_pruning"))


def prove(here: Deployment, kind: KnowledgePruning, change: Change) -> Proof:
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    return found


def test_an_archiving_of_documents_keeps_the_contract(deployments: Deployments) -> None:
    check_kind(lambda: bench(deployments(furnished)))


def test_what_it_archives_is_named_by_a_hash_and_counted_by_reason(here: Deployment) -> None:
    _, _, change = ready(here)
    assert change.target == "knowledge:handbook"
    assert change.payload["reasons"] == {"redundant": 1, "stale": 2}
    assert change.payload["plan"][:12] in str(change.candidate)
    assert not any(id in str(change.payload) for id in GONE)


def test_what_answers_a_known_query_or_is_unsure_is_left_out_of_the_plan(here: Deployment) -> None:
    furnished(here)
    evidence = known(here, as_before)
    evidence.judgments.append(query(1000, "judged"))
    plan = Pruning(collection=COLLECTION, entries=(entry("old-1"), entry("old-2", 0.5), entry(answer(" new 1000"))))
    kind = kind_of(here, evidence, plan)
    change = here.proposed(kind, here.change("knowledge_pruning"))
    assert change.payload["reasons"] == {"stale": 1}
    assert change.payload["least"] == 0.95


def test_where_nothing_is_left_of_a_plan_nothing_is_proposed(here: Deployment) -> None:
    furnished(here)
    kind = kind_of(here, known(here, as_before), least=0.99)
    change = here.change("knowledge_pruning")
    assert kind.propose(change, here.work(change)) is None


def test_a_document_that_is_used_after_it_was_planned_lets_the_proof_fail(here: Deployment) -> None:
    evidence, kind, change = ready(here)
    assert prove(here, kind, change).verdict == "passed"
    one = query(5000, at_us=change.updated_us - 1)
    evidence.uses.append(type(one)(id="x", text=one.text, grades={"old-2": 1.0}, origin="used", at_us=one.at_us))
    found = prove(here, kind, change)
    assert (found.verdict, "1 of them answer" in found.sentence) == ("failed", True)


def test_a_document_that_changed_since_it_was_planned_is_not_archived_nor_is_any_other(here: Deployment) -> None:
    _, kind, change = ready(here)
    here.store.knowledge_documents.put("default", COLLECTION, [kept("old-1", "written anew")])
    assert kind.serving(change).startswith("changed-")
    for step in (kind.rehearse, kind.deliver):
        with pytest.raises(Conflict):
            step(change, here.work(change))
    assert set(states(here).values()) == {"live"}


def test_a_document_whose_double_is_gone_is_not_archived(here: Deployment) -> None:
    _, kind, change = ready(here)
    here.store.knowledge_documents.delete("default", COLLECTION, ["keep"])
    with pytest.raises(Conflict, match="twice"):
        kind.deliver(change, here.work(change))
    assert "archived" not in states(here).values()


def test_an_undo_leaves_what_people_did_since(here: Deployment) -> None:
    _, kind, change = ready(here)
    kind.deliver(change, here.work(change))
    shelf = here.store.knowledge_documents
    shelf.delete("default", COLLECTION, ["old-1"])
    shelf.put("default", COLLECTION, [kept("twice", "written anew")])
    assert kind.serving(change).startswith("partly-")
    assert kind.undo(change, here.work(change)) == change.baseline
    assert states(here) == {"keep": "live", "old-2": "live", "twice": "live"}
    assert shelf.get("default", COLLECTION, "twice").document.text == "written anew"


def test_what_another_change_archived_is_not_restored(here: Deployment) -> None:
    _, kind, change = ready(here)
    kind.deliver(change, here.work(change))
    here.clock.advance(1)
    shelf, upkeep = here.store.knowledge_documents, StoredArchive(here.store.knowledge_upkeep)
    shelf.set_state("default", COLLECTION, ["old-1"], "live")
    upkeep.archive("default", COLLECTION, "chg_other", [PLAN.entries[0]], lambda connection: None)
    kind.undo(change, here.work(change))
    assert states(here)["old-1"] == "archived"


def test_a_plan_of_many_documents_is_archived_and_restored_whole(here: Deployment) -> None:
    many = [f"m{number}" for number in range(1200)]
    here.store.knowledge_documents.put("default", COLLECTION, [kept(id, SECRET) for id in many])
    plan = Pruning(collection=COLLECTION, entries=tuple(entry(id) for id in many))
    kind = kind_of(here, known(here, as_before), plan)
    change = here.proposed(kind, here.change("knowledge_pruning"))
    assert len(str(change.payload)) < 400
    assert kind.deliver(change, here.work(change)) == change.candidate
    assert set(states(here).values()) == {"archived"} or len(states(here)) == 100
    assert kind.undo(change, here.work(change)) == change.baseline


def test_a_collection_that_was_dropped_meanwhile_is_named(here: Deployment) -> None:
    _, kind, change = ready(here)
    here.store.knowledge_documents.drop("default", COLLECTION)
    for step in (kind.prove, kind.rehearse, kind.deliver):
        with pytest.raises((NotFound, Conflict)):
            step(change, here.work(change))


def test_a_second_proposal_after_a_crash_takes_the_plan_that_was_kept(here: Deployment) -> None:
    furnished(here)
    run = Run(lambda: bench(here))
    first = run.propose()
    digest = first.payload["plan"]
    run.bench.build = lambda: kind_of(here, known(here, as_before), Pruning(collection=COLLECTION, entries=()))
    work = run.work(run.bench.change, run.fence(), {f"plan {COLLECTION}": digest})
    again = run.bench.build().propose(run.bench.change, work)
    assert again is not None and not isinstance(again, tuple)
    assert getattr(again, "candidate", None) == first.candidate


def test_nothing_is_looked_at_where_a_finding_recommends_another_kind(here: Deployment) -> None:
    furnish(here)
    change = here.change("knowledge_pruning")
    work = here.work(change, finding={"recommended": [{"kind": "reranker"}]})
    assert kind_of(here, known(here, as_before)).propose(change, work) is None
