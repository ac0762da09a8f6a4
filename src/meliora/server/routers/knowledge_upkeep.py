"""A collection kept in order: what is stale, double or useless, planned to be archived, archived on a person's word, restored.

Each route is there twice: under `/api/v1/knowledge`, and under `/knowledge` as agents know it. Nothing here deletes a document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Response
from pydantic import Field

from meliora.knowledge.front import DEFAULT, Plane
from meliora.knowledge.upkeep.health import CollectionHealth
from meliora.knowledge.upkeep.keeper import COMPARE
from meliora.knowledge.upkeep.looked import Applied
from meliora.knowledge.upkeep.redundancy import Pair, Queued
from meliora.knowledge.upkeep.shelf import Archived, KeptPair, PairState
from meliora.knowledge.upkeep.staleness import Stale
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, PageLimit
from meliora.server.routers.knowledge import CollectionName, DocumentFields, TakenDocuments
from meliora.server.shapes import Answer, knows

router = APIRouter(prefix="/api/v1/knowledge", tags=["knowledge"], route_class=Again)
bare = APIRouter(prefix="/knowledge", tags=["knowledge"], route_class=Again)

DocumentId = Annotated[str, Field(min_length=1, max_length=512)]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class EntryFields(DocumentFields):
    """One document to keep."""

    collection: CollectionName = DEFAULT


class Plan(Body):
    """Which documents to archive. Without `apply` it is only told which."""

    collection: CollectionName = DEFAULT
    min_confidence: Confidence = Field(default=0.8, description="How sure it must be.")
    apply: bool = Field(
        default=False, description="Archive them. What was archived can be restored by the plan's hash."
    )


class Optimize(Plan):
    """Both plans at once."""

    prune_stale: bool = True
    consolidate_redundant: bool = True


class Restore(Body):
    """What to let be found again."""

    collection: CollectionName = DEFAULT
    plan: Annotated[str, Field(min_length=1, max_length=200, description="Its hash, as the archive tells it.")]
    ids: Annotated[list[DocumentId], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Only these; left out: all."
    )


class Decision(Body):
    """A person's word on two documents that are nearly the same."""

    collection: CollectionName = DEFAULT
    a: DocumentId
    b: DocumentId
    keep: DocumentId | None = Field(default=None, description="The one that stays; left out: both do.")


class StaleList(msgspec.Struct, frozen=True):
    """What is too old, the surest first; `total` counts all."""

    items: tuple[Stale, ...]
    total: int


class RedundantList(msgspec.Struct, frozen=True, kw_only=True):
    """Near-duplicates: those that may be consolidated, and those that a person has to look at.

    A collection of more than 1000 documents is compared by the worker every night, and a small one at once: `compared_us` says when,
    and is null where it never was. Of documents that came or changed since (`changed_since`) no pair tells.
    """

    pairs: tuple[Pair, ...]
    """The surest first, where the worker compared them."""
    total: int | None
    """Pairs that say the same, those that are not told here too; null: not known."""
    for_a_person: tuple[Queued, ...]
    documents: int | None
    """That were compared."""
    left_out: int
    compared_us: int | None
    changed_since: bool
    note: str | None
    """What to do where they were never compared."""


class PairList(msgspec.Struct, frozen=True):
    """Pairs, those that wait longest first."""

    items: tuple[KeptPair, ...]


class ArchiveList(msgspec.Struct, frozen=True):
    """What was archived, the latest first."""

    items: tuple[Archived, ...]


class Restored(msgspec.Struct, frozen=True):
    """How many documents can be found again."""

    restored: int


class KnowledgeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one collection, or of all."""

    collections: int
    documents: int
    by_category: dict[str, int]
    by_source: dict[str, int]
    accesses: int
    never_accessed: int
    stale: int


class KnowledgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A collection's state, and what would be archived."""

    collection: str
    health: CollectionHealth
    stale: tuple[Stale, ...]
    plan: Applied
    for_a_person: int
    compared_us: int | None
    """When its documents were last compared; null: never, and what is there twice is not known."""


MOST_TOLD = 100
_NONE = "none"


def both(method: str, path: str, shape: Any, *more: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a function under both addresses."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for one in (router, bare):
            one.add_api_route(path, function, methods=[method], **knows(shape, *more))
        return function

    return register


@bare.get("", **knows(KnowledgeSummary))
def summary(caller: ReadCaller, control: HereControl) -> Answer:
    """Tell what is kept, all collections together."""
    plane = control.knowledge
    names = [one.name for one in plane.shelf.collections(caller.tenant)]
    return Answer(_summed(plane, caller.tenant, names))


@both("GET", "/metrics", KnowledgeSummary, 404)
def metrics(caller: ReadCaller, control: HereControl, collection: str = DEFAULT) -> Answer:
    """Tell what a collection holds, by category and source, and how much of it was ever used."""
    control.knowledge.check(caller.tenant, collection)
    return Answer(_summed(control.knowledge, caller.tenant, [collection]))


@both("POST", "/entry", TakenDocuments, 409)
def entry(fields: EntryFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Keep one document."""
    given = fields.model_dump()
    collection = given.pop("collection")
    taken, indexed = control.knowledge.put(caller.tenant, collection, [DocumentFields(**given).document()])
    return Answer(TakenDocuments(taken=taken, indexed=indexed))


@both("POST", "/prune", Applied, 404)
def prune(fields: Plan, caller: AdminCaller, control: HereControl) -> Answer:
    """Plan to archive what is stale or useless; with `apply`, do it. Never deletes."""
    return _planned(fields, caller, control, "prune", stale=True, redundant=False)


@both("POST", "/consolidate", Applied, 404)
def consolidate(fields: Plan, caller: AdminCaller, control: HereControl) -> Answer:
    """Plan to archive what another document says just as well; with `apply`, do it. Never deletes."""
    return _planned(fields, caller, control, "consolidate", stale=False, redundant=True)


@both("POST", "/optimize", Applied, 404)
def optimize(fields: Optimize, caller: AdminCaller, control: HereControl) -> Answer:
    """Plan both; with `apply`, do it. Never deletes."""
    wish = {"stale": fields.prune_stale, "redundant": fields.consolidate_redundant}
    return _planned(fields, caller, control, "optimize", **wish)


@both("GET", "/stale", StaleList, 404)
def stale(caller: ReadCaller, control: HereControl, collection: str = DEFAULT, limit: PageLimit = 100) -> Answer:
    """List what is too old for its category."""
    keeper = control.knowledge.keeper
    found = keeper.stale(caller.tenant, collection, limit)
    return Answer(StaleList(tuple(found), keeper.figures(caller.tenant, collection).stale))


@both("GET", "/redundant", RedundantList, 404)
def redundant(caller: ReadCaller, control: HereControl, collection: str = DEFAULT, limit: PageLimit = 100) -> Answer:
    """List near-duplicates, as they were when the collection was last compared."""
    known = control.knowledge.keeper.compared(caller.tenant, collection)
    if known is None:
        return Answer(
            RedundantList(
                pairs=(),
                total=None,
                for_a_person=(),
                documents=None,
                left_out=0,
                compared_us=None,
                changed_since=False,
                note=COMPARE,
            )
        )
    found = known.found
    return Answer(
        RedundantList(
            pairs=found.pairs[:limit],
            total=known.total,
            for_a_person=found.queued[:limit],
            documents=found.documents,
            left_out=found.left_out,
            compared_us=known.compared_us,
            changed_since=known.changed,
            note=None,
        )
    )


@both("GET", "/health", CollectionHealth, 404)
def health(caller: ReadCaller, control: HereControl, collection: str = DEFAULT) -> Answer:
    """Judge a collection. What is not known is named, and is never healthy."""
    keeper = control.knowledge.keeper
    return Answer(keeper.health(keeper.look(caller.tenant, collection, worth=False)))


@both("GET", "/report", KnowledgeReport, 404)
def report(caller: ReadCaller, control: HereControl, collection: str = DEFAULT) -> Answer:
    """Tell a collection's state, what is stale, what would be archived, and how many pairs wait for a person."""
    keeper = control.knowledge.keeper
    looked = keeper.look(caller.tenant, collection)
    return Answer(
        KnowledgeReport(
            collection=collection,
            health=keeper.health(looked),
            stale=tuple(keeper.stale(caller.tenant, collection, MOST_TOLD)),
            plan=keeper.plan(caller.tenant, collection, looked=looked),
            for_a_person=keeper.waiting(caller.tenant, collection),
            compared_us=None if looked.doubles is None else looked.doubles.compared_us,
        )
    )


@router.get("/pairs", **knows(PairList, 404))
def pairs(
    caller: ReadCaller,
    control: HereControl,
    collection: str = DEFAULT,
    state: PairState | None = "open",
    limit: PageLimit = 100,
) -> Answer:
    """List pairs of documents that are nearly the same and differ in something."""
    return Answer(PairList(tuple(control.knowledge.keeper.pairs(caller.tenant, collection, state, limit))))


@router.post("/pairs", **knows(KeptPair, 404, 409))
def decide(fields: Decision, caller: AdminCaller, control: HereControl) -> Answer:
    """Decide a pair: both stay, or the one that is not kept is archived."""
    ids = (fields.a, fields.b)
    found = control.knowledge.keeper.decide(caller.tenant, fields.collection, ids, fields.keep, caller.key_id)
    control.changed(caller.tenant, caller.key_id, "knowledge.pair", fields.collection, {"state": found.state})
    return Answer(found)


@router.get("/archive", **knows(ArchiveList, 404))
def archived(caller: ReadCaller, control: HereControl, collection: str = DEFAULT, limit: PageLimit = 100) -> Answer:
    """List what was archived, by which plan and why."""
    return Answer(ArchiveList(tuple(control.knowledge.keeper.archived(caller.tenant, collection, limit))))


@router.get("/archive/file", **knows(dict[str, Any], 404))
def export(caller: AdminCaller, control: HereControl, collection: str = DEFAULT) -> Response:
    """Give all that is archived as one file, `archive_YYYYMMDD.json`."""
    name, body = control.knowledge.keeper.export(caller.tenant, collection)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="application/json", headers=headers)


@router.post("/restore", **knows(Restored, 404))
def restore(fields: Restore, caller: AdminCaller, control: HereControl) -> Answer:
    """Let what a plan archived be found again, all of it or some."""
    count = control.knowledge.keeper.restore(caller.tenant, fields.collection, fields.plan, fields.ids)
    control.changed(caller.tenant, caller.key_id, "knowledge.restore", fields.collection, {"documents": count})
    return Answer(Restored(count))


def _planned(
    fields: Plan,
    caller: AdminCaller,
    control: HereControl,
    act: Literal["prune", "consolidate", "optimize"],
    *,
    stale: bool,
    redundant: bool,
) -> Answer:
    found = control.knowledge.keeper.plan(
        caller.tenant,
        fields.collection,
        least=fields.min_confidence,
        stale=stale,
        redundant=redundant,
        apply=fields.apply,
    )
    if found.applied:
        detail = {"plan": found.plan, "archived": found.archived}
        control.changed(caller.tenant, caller.key_id, f"knowledge.{act}", fields.collection, detail)
    return Answer(found)


def _summed(plane: Plane, tenant: str, names: list[str]) -> KnowledgeSummary:
    found = [plane.keeper.figures(tenant, name) for name in names]
    categories: Counter[str] = Counter()
    for one in (one for figures in found for one in figures.categories):
        categories[one.category or _NONE] += one.documents
    return KnowledgeSummary(
        collections=len(names),
        documents=sum(one.documents for one in found),
        by_category=dict(categories),
        by_source=dict(plane.keeper.sources(tenant, names, MOST_TOLD, _NONE)),
        accesses=sum(one.accesses for one in found),
        never_accessed=sum(one.never_accessed for one in found),
        stale=sum(one.stale for one in found),
    )
