"""A deployment with a collection that is searched, and what is known of its searches. Snapshots, documents and archive are real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meliora.changes.searching import Plane
from meliora.errors import NotFound
from meliora.knowledge.config import Fusion, SearchConfig
from meliora.knowledge.documents import Document
from meliora.knowledge.quality.evidence import JudgedQuery, Pair
from meliora.knowledge.shelf import ToKeep
from meliora.loop.change import Change
from meliora.testing.contract import KindBench, change_of
from tests.changes.house import Deployment
from tests.changes.overlays import decode

SECRET = "dana is getting divorced"
COLLECTION = "handbook"
DAY_US = 86_400_000_000
Ranks = Callable[[SearchConfig, str, str], Sequence[str]]
"""Answers a query by a configuration and a generation of the index."""


def query(number: int, origin: Any = "used", at_us: int = 0, word: str = "new", again: bool = True) -> JudgedQuery:
    text = f"{SECRET} {word} {number}"
    return JudgedQuery(
        id=text, text=text, grades={answer(text): 1.0}, origin=origin, at_us=at_us, again=again and origin == "used"
    )


def answer(text: str) -> str:
    """Give the document that answers a query."""
    return f"doc-{text.split()[-2]}-{text.split()[-1]}"


def placed(text: str, place: int) -> list[str]:
    """Answer with the right document at a place, from 1."""
    found = [f"filler-{one}" for one in range(10)]
    found.insert(place - 1, answer(text))
    return found[:10]


@dataclass
class Known:
    """What is known of the searches. Implements `Evidence`."""

    ranks: Ranks
    has: Callable[[str], bool] = lambda collection: True
    judgments: list[JudgedQuery] = field(default_factory=list)
    uses: list[JudgedQuery] = field(default_factory=list)

    def judged(self, tenant: str, collection: str) -> Sequence[JudgedQuery]:
        return list(self.judgments)

    def used(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[JudgedQuery]:
        return [one for one in self.uses if since_us <= one.at_us < until_us]

    def pairs(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[Pair]:
        return [
            Pair(query=one.text, document=document, weight=1.0, at_us=one.at_us)
            for one in self.used(tenant, collection, since_us, until_us)
            for document in one.grades
        ]

    def answering(
        self,
        tenant: str,
        collection: str,
        config: SearchConfig,
        generation: str = "",
        unkept: Mapping[str, bytes] | None = None,
    ) -> Callable[[str], Sequence[str]]:
        if not self.has(collection):
            raise NotFound(f"There is no collection {collection!r}.")
        return lambda text: self.ranks(config, generation, text)

    def forget(self) -> None:
        self.judgments.clear()
        self.uses.clear()


def kept(id: str, text: str = "") -> ToKeep:
    return ToKeep(document=Document(id=id, text=text or f"text of {id}"), hash=f"hash {id} {text}")


def furnish(here: Deployment, *ids: str) -> None:
    """Make the collection with documents."""
    here.store.knowledge_documents.put("default", COLLECTION, [kept(id) for id in ids or ("a", "b")])


def names(here: Deployment) -> Callable[[str], Sequence[str]]:
    return lambda tenant: [one.name for one in here.store.knowledge_documents.collections(tenant)]


def plane(here: Deployment, known: Known) -> Plane:
    return Plane(
        here.faults.around(here.store.knowledge_snapshots), here.faults.around(known), names(here), here.fences.check
    )


def known(here: Deployment, ranks: Ranks, *, recent: int = 120, older: int = 60, judged: int = 60) -> Known:
    """Give evidence: recent queries of a new word, and older ones and judged ones of an old word."""
    now = here.clock.now_us()
    found = Known(ranks, lambda collection: collection in names(here)("default"))
    found.uses += [query(number, at_us=now - DAY_US + number) for number in range(recent)]
    found.uses += [query(number, at_us=now - 10 * DAY_US + number, word="old") for number in range(older)]
    found.judgments += [query(number, "judged", word="set") for number in range(judged)]
    return found


def other(here: Deployment) -> int:
    """Keep a configuration that no kind would make; give its number."""
    config = SearchConfig(fusion=Fusion(words=0.125))
    return here.store.knowledge_snapshots.add("default", COLLECTION, config, "dana").number


def serve_other(here: Deployment) -> None:
    shelf = here.store.knowledge_snapshots
    now = shelf.serving("default", COLLECTION).number
    assert shelf.exchange("default", COLLECTION, other(here), instead_of=now)


def bench(here: Deployment, build: Callable[[], Any], evidence: Known, finding: dict[str, Any] | None) -> KindBench:
    """Give the bench of a kind whose candidate is a snapshot."""
    name = build().name

    def lose(change: Change) -> None:
        here.store.knowledge_documents.drop("default", COLLECTION)

    return KindBench(
        build=build,
        change=change_of(name, "target", "search", updated_us=here.clock.now_us()),
        state=lambda: here.store.knowledge_snapshots.serving("default", COLLECTION).config,
        decode=decode,
        lose_data=evidence.forget,
        lose_baseline=lose,
        replace=lambda: serve_other(here),
        faults=here.faults,
        fences=here.fences,
        contents=(SECRET, "getting divorced", "new 7"),
        finding=finding,
        now_us=here.clock.now_us,
    )
