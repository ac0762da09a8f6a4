"""A change that builds an index again: held against the documents, switched by a pointer, taken back to what served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from meliora.changes.reindex.kind import Reindex, Workshop
from meliora.errors import Conflict, NotFound
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.indexes import Audit
from meliora.loop.change import Change, Origin
from meliora.loop.kind import Proof
from meliora.testing.contract import KindBench, change_of, check_kind
from tests.changes.house import Deployment, Deployments
from tests.changes.overlays import decode
from tests.changes.searches import COLLECTION, SECRET, Known, furnish, known, names, placed, serve_other

DOCUMENTS = tuple("abcdef")


class Machine:
    """One machine's indexes: which documents each generation has."""

    def __init__(self, here: Deployment, lost: Sequence[str]) -> None:
        self._here = here
        self.built = {"1": {id for id in DOCUMENTS if id not in lost}}
        self.serves = "1"

    def audit(self, tenant: str, collection: str, generation: str = "") -> Audit:
        held = self.built.get(generation or self.serves)
        if held is None:
            raise NotFound(f"There is no generation {generation!r} here.")
        live = self._live(tenant, collection)
        return Audit(
            documents=len(live),
            indexed=len(held),
            missing=tuple(sorted(live - held)),
            stale=(),
            extra=tuple(sorted(held - live)),
            behind=0,
        )

    def build(self, tenant: str, collection: str, generation: str) -> None:
        self.built.setdefault(generation, self._live(tenant, collection))

    def follow(self, tenant: str, collection: str) -> bool:
        self.serves = self._here.store.knowledge_documents.generation(tenant, collection)
        return True

    def _live(self, tenant: str, collection: str) -> set[str]:
        return {one.document.id for one in self._here.store.knowledge_documents.list(tenant, collection)}


def by_index(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
    return placed(text, 3 if generation == "1" else 1)


def kind_of(here: Deployment, machine: Machine, evidence: Known) -> Reindex:
    around = here.faults.around
    shop = Workshop(
        around(here.store.knowledge_documents),
        around(machine),
        around(here.store.knowledge_snapshots),
        around(evidence),
        names(here),
        here.fences.check,
    )
    return Reindex(shop)


def furnished(here: Deployment) -> None:
    furnish(here, *DOCUMENTS)


def bench(here: Deployment) -> KindBench:
    machine, evidence, shelf = Machine(here, lost="bc"), known(here, by_index), here.store.knowledge_documents

    def replace() -> None:
        assert shelf.exchange_generation("default", COLLECTION, "9-other", instead_of="1")

    def forget() -> None:
        shelf.delete("default", COLLECTION, DOCUMENTS)

    def lose(change: Change) -> None:
        machine.built.pop("1")

    return KindBench(
        build=lambda: kind_of(here, machine, evidence),
        change=change_of("reindex", "target", "index", updated_us=here.clock.now_us()),
        state=lambda: (shelf.generation("default", COLLECTION), machine.serves),
        decode=decode,
        lose_data=forget,
        lose_baseline=lose,
        replace=replace,
        faults=here.faults,
        fences=here.fences,
        contents=(SECRET,),
        splits=False,
        now_us=here.clock.now_us,
    )


def ready(here: Deployment, lost: str = "bc", **over: Any) -> tuple[Machine, Reindex, Change]:
    furnished(here)
    machine = Machine(here, lost)
    kind = kind_of(here, machine, known(here, by_index))
    change = here.change("reindex", **over)
    found = kind.propose(change, here.work(change))
    return machine, kind, change if found is None else here.proposed(kind, change)


def prove(here: Deployment, kind: Reindex, change: Change) -> Proof:
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    return found


def test_an_index_that_lacks_documents_keeps_the_contract(deployments: Deployments) -> None:
    check_kind(lambda: bench(deployments(furnished)))


def test_an_index_that_is_as_its_documents_are_is_left_alone_unless_a_person_asks(here: Deployment) -> None:
    _, kind, change = ready(here, lost="")
    assert change.candidate is None
    asked = here.change("reindex", payload={"collection": COLLECTION}, origin=Origin("person", "dana"))
    proposed = here.proposed(kind, asked)
    assert prove(here, kind, proposed).verdict == "passed"


def test_a_new_index_that_lacks_documents_too_does_not_pass(here: Deployment) -> None:
    machine, kind, change = ready(here)
    machine.built[str(change.candidate)] = set("abc")
    found = prove(here, kind, change)
    assert (found.verdict, found.sentence.count("missing")) == ("failed", 2)


def test_an_index_that_answers_worse_does_not_pass(here: Deployment) -> None:
    furnished(here)

    def worse(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
        return placed(text, 1 if generation == "1" else 2)

    kind = kind_of(here, Machine(here, "b"), known(here, worse))
    change = here.proposed(kind, here.change("reindex"))
    assert prove(here, kind, change).verdict == "failed"


def test_that_a_few_queries_lose_by_documents_that_are_back_is_no_reason_to_stay_without_them(here: Deployment) -> None:
    furnished(here)

    def mixed(config: SearchConfig, generation: str, text: str) -> Sequence[str]:
        number = int(text.split()[-1])
        return placed(text, 1 if number % 10 or generation == "1" else 2)

    kind = kind_of(here, Machine(here, "b"), known(here, mixed, judged=30))
    found = prove(here, kind, here.proposed(kind, here.change("reindex")))
    gain = next(one for one in found.figures if one.name == "ndcg10_gain")
    assert gain.value is not None and gain.value < -0.005
    assert found.verdict == "passed"


def test_the_proof_answers_by_the_configuration_that_served_when_it_was_proposed(here: Deployment) -> None:
    _, kind, change = ready(here)
    first = prove(here, kind, change)
    serve_other(here)
    assert prove(here, kind, change) == first


def test_a_collection_that_was_dropped_meanwhile_is_not_switched(here: Deployment) -> None:
    _, kind, change = ready(here)
    here.store.knowledge_documents.drop("default", COLLECTION)
    with pytest.raises(Conflict, match="serves by now"):
        kind.rehearse(change, here.work(change))
    with pytest.raises((Conflict, NotFound)):
        kind.deliver(change, here.work(change))


def test_a_configuration_that_comes_meanwhile_stays_when_the_index_is_switched_and_when_it_is_taken_back(
    here: Deployment,
) -> None:
    """A trial that wins while an index is built again is not undone by it, nor does it stand in its way."""
    _, kind, change = ready(here)
    serve_other(here)
    serving = here.store.knowledge_snapshots.serving("default", COLLECTION)
    kind.rehearse(change, here.work(change))
    assert kind.deliver(change, here.work(change)) == change.candidate
    assert kind.undo(change, here.work(change)) == change.baseline
    assert here.store.knowledge_snapshots.serving("default", COLLECTION) == serving
