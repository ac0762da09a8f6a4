"""How good searches are: frozen judgments, figures from them and from what people do, and the configurations that answer."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, Field

from meliora.errors import InvalidRequest
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.front import DEFAULT
from meliora.knowledge.quality.report import QualityReport, configured, kind_of, quality
from meliora.knowledge.shelf import Judgment, JudgmentSetInfo
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import BIG, Body, PageLimit
from meliora.server.loop import actor
from meliora.server.routers.knowledge import CollectionName
from meliora.server.shapes import Answer, knows

router = APIRouter(prefix="/api/v1/knowledge", tags=["knowledge"], route_class=Again)

SnapshotNumber = Annotated[int, Path(ge=0, lt=BIG)]
QueryId = Annotated[str, Field(min_length=1, max_length=200)]
Grade = Annotated[
    float,
    Field(gt=-1e9, lt=1e9, allow_inf_nan=False, description="What TREC grades below 0 counts as 0."),
    AfterValidator(lambda grade: max(0.0, grade)),
]


class JudgmentFields(Body):
    """How good a document is for a query."""

    query: Annotated[str, Field(min_length=1, max_length=10_000)]
    document: Annotated[str, Field(min_length=1, max_length=512)]
    grade: Grade = 1.0
    query_id: QueryId | None = Field(default=None, description="Default: the query itself, where it is short.")


class JudgmentsFields(Body):
    """A set of judgments: `judgments`, or `queries` (text by id) with `qrels` (grade by document, by query)."""

    collection: CollectionName = DEFAULT
    name: Annotated[str, Field(min_length=1, max_length=200)] = "frozen"
    judgments: Annotated[list[JudgmentFields], Field(max_length=100_000)] = Field(default=[])
    queries: dict[QueryId, Annotated[str, Field(max_length=10_000)]] = Field(default={})
    qrels: dict[QueryId, dict[Annotated[str, Field(min_length=1, max_length=512)], Grade]] = Field(default={})

    def rows(self) -> list[Judgment]:
        """Give them as they are kept. Raises `InvalidRequest`."""
        strangers = [one for one in self.qrels if one not in self.queries]
        if strangers:
            raise InvalidRequest(f"The query {strangers[0]!r} is judged and has no text.", field="queries")
        found = [
            Judgment(query, self.queries[query], document, grade)
            for query, grades in self.qrels.items()
            for document, grade in grades.items()
        ]
        return found + [
            Judgment(one.query_id or one.query[:200], one.query, one.document, one.grade) for one in self.judgments
        ]


class SnapshotFields(Body):
    """A configuration of searches, as `GET .../snapshots` shows one; what is left out is as it is at first."""

    collection: CollectionName = DEFAULT
    config: dict[str, Any]


class Promotion(Body):
    """Which collection's searches a snapshot is to answer."""

    collection: CollectionName = DEFAULT
    force: bool = Field(default=False, description="Without a trial; the loop still watches it and can roll it back.")


class JudgmentSets(msgspec.Struct, frozen=True):
    """Sets of judgments, the newest first."""

    items: tuple[JudgmentSetInfo, ...]


class SearchSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered configuration of a collection's searches; it never changes."""

    number: int
    config: SearchConfig
    made_by: str
    made_us: int
    sha256: str


class SearchSnapshots(msgspec.Struct, frozen=True):
    """Configurations, the newest first, and the number of the one that serves (0: the first one, which is never kept)."""

    items: tuple[SearchSnapshot, ...]
    serving: int


class PromotedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the change that delivers it and its state, or no change where the loop is off."""

    serving: int
    change: str | None = None
    change_state: str | None = None
    change_reason: str | None = None


@router.post("/judgments", **knows(JudgmentSetInfo, 404))
def import_judgments(fields: JudgmentsFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Keep judgments under the next version of their name. The set named `frozen` is what changes are proved by."""
    rows = fields.rows()
    info = control.knowledge.judgments.put(caller.tenant, fields.collection, fields.name, rows, caller.key_id)
    control.changed(caller.tenant, caller.key_id, "knowledge.judgments", fields.collection, {"version": info.version})
    return Answer(info)


@router.get("/judgments", **knows(JudgmentSets, 404))
def judgment_sets(
    caller: ReadCaller, control: HereControl, collection: str = DEFAULT, limit: PageLimit = 100
) -> Answer:
    """List sets of judgments."""
    control.knowledge.check(caller.tenant, collection)
    return Answer(JudgmentSets(tuple(control.knowledge.judgments.list(caller.tenant, collection, limit=limit))))


@router.get("/quality", **knows(QualityReport, 404))
def search_quality(
    caller: ReadCaller,
    control: HereControl,
    collection: str = DEFAULT,
    days: Annotated[float, Query(gt=0, le=3650)] = 7.0,
    k: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Answer:
    """Tell how good searches are, by judgments and by what people did, each figure with its interval and number."""
    control.knowledge.check(caller.tenant, collection)
    until = control.now_us()
    since = max(0, until - round(days * 86_400_000_000))
    return Answer(quality(control.knowledge, caller.tenant, collection, since, until, k))


@router.get("/snapshots", **knows(SearchSnapshots, 404))
def search_snapshots(
    caller: ReadCaller, control: HereControl, collection: str = DEFAULT, limit: PageLimit = 50
) -> Answer:
    """List configurations of searches."""
    control.knowledge.check(caller.tenant, collection)
    shelf = control.knowledge.snapshots
    serving = shelf.serving(caller.tenant, collection).number
    return Answer(SearchSnapshots(tuple(map(_shown, shelf.list(caller.tenant, collection, limit=limit))), serving))


@router.post("/snapshots", **knows(SearchSnapshot, 404))
def keep_snapshot(fields: SnapshotFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Keep a configuration. It answers no search until it is promoted."""
    kept = control.knowledge.snapshots.add(caller.tenant, fields.collection, configured(fields.config), caller.key_id)
    control.changed(caller.tenant, caller.key_id, "knowledge.snapshot", fields.collection, {"snapshot": kept.number})
    return Answer(_shown(kept))


@router.post("/snapshots/{number}/promote", **knows(PromotedSearch, 404, 409))
def promote_snapshot(
    number: SnapshotNumber, caller: AdminCaller, control: HereControl, fields: Promotion | None = None
) -> Answer:
    """Let a configuration serve: by a change of the loop, which proves, tries and watches it; at once where the loop is off."""
    wish = fields or Promotion()
    plane, tenant = control.knowledge, caller.tenant
    plane.check(tenant, wish.collection)
    candidate = plane.snapshots.get(tenant, wish.collection, number)
    serving = plane.snapshots.serving(tenant, wish.collection)
    loop = control.context.loop
    if loop is None or not control.context.settings.loop.enabled or serving.number == number:
        plane.configure(tenant, wish.collection, number, serving.number)
        control.changed(tenant, caller.key_id, "knowledge.promote", wish.collection, {"snapshot": number})
        return Answer(PromotedSearch(serving=number))
    said = {"collection": wish.collection, "snapshot": number, "forced": wish.force}
    kind = kind_of(serving.config, candidate.config)
    change = loop.asked(tenant, actor(caller), kind, f"search:{wish.collection}", said)
    control.changed(
        tenant, caller.key_id, "knowledge.promote", wish.collection, {"snapshot": number, "change": change.id}
    )
    now = plane.snapshots.serving(tenant, wish.collection).number
    return Answer(PromotedSearch(serving=now, change=change.id, change_state=change.state, change_reason=change.reason))


def _shown(kept: Snapshot) -> SearchSnapshot:
    return SearchSnapshot(**{name: getattr(kept, name) for name in SearchSnapshot.__struct_fields__})
