"""The kinds of change of searches over a real store and a real index."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from meliora.changes.manner import Manner
from meliora.knowledge.documents import Document
from meliora.knowledge.index.embedded.layout import Folder
from meliora.knowledge.shelf import Judgment, ToKeep
from meliora.loop.change import Change, Origin
from meliora.loop.desk import AREAS
from meliora.loop.kind import ChangeKind, Later, Proof, Proposal
from meliora.loop.shelf import Due
from meliora.loop.work import Fence, Work
from meliora.runtime.changes import kinds
from meliora.runtime.knowledge.kinds import SURFACES, Knowing, knowing_of, search_kinds
from meliora.settings import Settings
from tests.changes.conftest import deployments, here  # noqa: F401
from tests.changes.house import Deployment, with_proposal

SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
COUNT = 40


@pytest.fixture
def knowing(here: Deployment, tmp_path: Path) -> Knowing:  # noqa: F811
    settings = Settings.model_validate({"knowledge": {"enabled": True, "directory": str(tmp_path / "indexes")}})
    found = knowing_of(settings, here.store, here.clock)
    assert found is not None
    rng = random.Random(3)
    texts = {f"d{at}": " ".join(_word(rng) for _ in range(60)) for at in range(COUNT)}
    kept = [ToKeep(document=Document(id=id, text=text), hash=f"h {id}") for id, text in texts.items()]
    twice = Document(id="twice", text=f"  {texts['d0']}  ")
    here.store.knowledge_documents.put("default", "c", [*kept, ToKeep(document=twice, hash="h twice")])
    rows = [Judgment(f"q{id}", " ".join(text.split()[3:7]), id, 1.0) for id, text in texts.items()]
    here.store.judgments.put("default", "c", "frozen", rows, "dana")
    while found.indexes.follow("default", "c"):
        pass
    return found


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(4))


def kind_of(knowing: Knowing, name: str) -> ChangeKind:
    return next(one for one in search_kinds(knowing, lambda kind: Manner()) if one.name == name)


def proved(here: Deployment, kind: ChangeKind) -> tuple[Change, Work]:  # noqa: F811
    """Give a change that a person made, with a candidate that passed its proof, and the work of the attempt at it."""
    store = here.store.changes
    made = store.add(
        "default",
        kind=kind.name,
        target="c",
        surface=kind.surface,
        environment="production",
        origin=Origin("person", "dana"),
        payload={"collection": "c"},
    )
    claimed = store.claim(Due("default", made.id, made.state), "worker", 60_000_000)
    assert claimed is not None
    work = here.work(claimed, Fence("default", made.id, claimed.attempt))
    proposed = kind.propose(claimed, work)
    assert isinstance(proposed, Proposal)
    change = with_proposal(claimed, proposed)
    found = kind.prove(change, work)
    assert isinstance(found, Proof)
    assert found.verdict == "passed", found.sentence
    return change, work


def test_all_kinds_of_searches_are_known_where_documents_are_kept(here: Deployment, knowing: Knowing) -> None:  # noqa: F811
    known = kinds(Settings(), here.store, here.clock, knowing)
    found = {name: kind.surface for name, kind in known.items() if kind.surface in SURFACES}
    tried = dict.fromkeys(("query_repair", "fusion_weights", "reranker", "knowledge_pruning"), "search")
    assert found == {**tried, "reindex": "index"}


def test_where_no_documents_are_kept_there_are_none(here: Deployment) -> None:  # noqa: F811
    settings = Settings.model_validate({"knowledge": {"enabled": False}})
    assert knowing_of(settings, here.store, here.clock) is None


def test_a_triggers_targets_have_each_kind_once(here: Deployment, knowing: Knowing) -> None:  # noqa: F811
    told = [kind for area in AREAS.values() for kind in area]
    assert sorted(told) == sorted(kinds(Settings(), here.store, here.clock, knowing))


def test_a_document_that_is_there_twice_is_archived_and_comes_back(here: Deployment, knowing: Knowing) -> None:  # noqa: F811
    kind = kind_of(knowing, "knowledge_pruning")
    change, work = proved(here, kind)
    assert change.payload["reasons"] == {"redundant": 1}
    assert kind.deliver(change, work) == change.candidate
    shelf = here.store.knowledge_documents
    assert [one.document.id for one in shelf.list("default", "c", state="archived")] == ["twice"]
    assert kind.undo(change, work) == change.baseline
    assert shelf.collection("default", "c").documents == COUNT + 1


def test_a_rebuilt_index_serves_and_the_old_one_is_gone_back_to(here: Deployment, knowing: Knowing) -> None:  # noqa: F811
    kind = kind_of(knowing, "reindex")
    change, work = proved(here, kind)
    kind.rehearse(change, work)
    kind.deliver(change, work)
    assert knowing.indexes.view("default", "c").generation == change.candidate
    kind.undo(change, work)
    assert knowing.indexes.view("default", "c").generation == change.baseline
    assert knowing.indexes.audit("default", "c").faults == 0


def test_where_the_index_is_just_being_written_a_reindex_waits_for_its_turn(
    here: Deployment,  # noqa: F811
    knowing: Knowing,
    tmp_path: Path,
) -> None:
    """Somebody writes all the time where documents come in; that is no reason against a new index."""
    kind = kind_of(knowing, "reindex")
    change, work = proved(here, kind)
    again = msgspec.structs.replace(change, payload={**change.payload, "generation": "7-another"})
    with Folder(next((tmp_path / "indexes").iterdir())).writing("apply"):
        assert isinstance(kind.prove(again, work), Later)
        assert isinstance(kind.deliver(change, work), Later)
    assert isinstance(kind.prove(again, work), Proof)
    assert kind.deliver(change, work) == change.candidate == knowing.indexes.view("default", "c").generation
