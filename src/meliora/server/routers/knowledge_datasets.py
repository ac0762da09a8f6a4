"""Data sets of made queries: made of a collection, listed, read page by page, taken along as a file, deleted."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from meliora.knowledge.augment.examples import Example, Method
from meliora.knowledge.augment.manifest import DATASET, EXAMPLES, MANIFEST, files
from meliora.knowledge.augment.shelf import DataSet
from meliora.knowledge.augment.workshop import FREE, MOST, MOST_TOKENS, MadeSet, Wish
from meliora.knowledge.front import DEFAULT
from meliora.loop.artifacts.plain import to_yaml
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import BIG, Body, PageLimit
from meliora.server.routers.knowledge import CollectionName
from meliora.server.shapes import Answer, knows

router = APIRouter(prefix="/api/v1/knowledge/datasets", tags=["knowledge"], route_class=Again)

MOST_CALLS = 30
"""Calls of a model that one request waits for; the command line makes as many as are configured."""

DataSetId = Annotated[str, Path(min_length=1, max_length=100)]
Word = Annotated[str, Field(min_length=1, max_length=100)]


class DataSetFields(Body):
    """What to make."""

    collection: CollectionName = DEFAULT
    methods: Annotated[list[Method], Field(min_length=1, max_length=7)] = Field(
        default=list(FREE),
        description="`paraphrase`, `back_translation` and `query_generation` ask the model of `knowledge.augment`.",
    )
    tokens: Annotated[list[Word], Field(max_length=MOST_TOKENS)] | None = Field(
        default=None,
        description="Words to aim at. Left out: those that searches are weak at; an empty list: none.",
    )
    count: Annotated[int, Field(ge=1, le=MOST)] = Field(default=200, description="Most examples.")
    seed: Annotated[int, Field(ge=0, lt=BIG)] = Field(default=1, description="The same one makes the same set.")
    searches: bool = Field(
        default=False,
        description="Also of what people searched for and found. Erasing one of them deletes the set.",
    )
    calls: Annotated[int, Field(ge=0, le=MOST_CALLS)] = Field(
        default=MOST_CALLS, description="Most calls of the model."
    )

    def wish(self) -> Wish:
        """Give it as the plane has it."""
        tokens = None if self.tokens is None else tuple(self.tokens)
        return Wish(
            methods=tuple(self.methods),
            tokens=tokens,
            count=self.count,
            seed=self.seed,
            searches=self.searches,
            calls=self.calls,
        )


class DataSets(msgspec.Struct, frozen=True):
    """Data sets, the newest first."""

    items: tuple[DataSet, ...]


class ExamplePage(msgspec.Struct, frozen=True):
    """Examples in their order; `next` is the offset of those after them."""

    items: tuple[Example, ...]
    total: int
    next: int | None


class DataSetDeleted(msgspec.Struct, frozen=True):
    """It is gone."""

    deleted: Literal[True] = True


@router.post("", **knows(MadeSet, 404, 409, 429, 502))
def make_dataset(fields: DataSetFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Make a data set of a collection. What is nearly one of the judged queries is refused; the same set is kept once."""
    made = control.knowledge.workshop.make(caller.tenant, fields.collection, fields.wish(), caller.key_id)
    detail = {"dataset": made.dataset.id, "fresh": made.fresh}
    control.changed(caller.tenant, caller.key_id, "knowledge.dataset", fields.collection, detail)
    return Answer(made)


@router.get("", **knows(DataSets, 404))
def list_datasets(
    caller: ReadCaller, control: HereControl, collection: str | None = None, limit: PageLimit = 100
) -> Answer:
    """List data sets, of one collection or of all."""
    if collection is not None:
        control.knowledge.check(caller.tenant, collection)
    return Answer(DataSets(tuple(control.knowledge.workshop.sets.list(caller.tenant, collection, limit=limit))))


@router.get("/{dataset_id}", **knows(DataSet, 404))
def one_dataset(dataset_id: DataSetId, caller: ReadCaller, control: HereControl) -> Answer:
    """Give a data set with its manifest."""
    return Answer(control.knowledge.workshop.sets.get(caller.tenant, dataset_id))


@router.get("/{dataset_id}/examples", **knows(ExamplePage, 404))
def dataset_examples(
    dataset_id: DataSetId,
    caller: ReadCaller,
    control: HereControl,
    offset: Annotated[int, Query(ge=0, lt=BIG)] = 0,
    limit: PageLimit = 100,
) -> Answer:
    """Give the examples of a data set, page by page."""
    rows = control.knowledge.workshop.sets.examples(caller.tenant, dataset_id)
    until = offset + limit
    return Answer(ExamplePage(rows[offset:until], len(rows), until if until < len(rows) else None))


@router.get("/{dataset_id}/file", **knows(str, 404))
def dataset_file(
    dataset_id: DataSetId,
    caller: ReadCaller,
    control: HereControl,
    format: Literal["csv", "jsonl", "manifest"] = "jsonl",
) -> Response:
    """Give a data set as a file: its examples as CSV or JSON lines, or its manifest as YAML."""
    sets = control.knowledge.workshop.sets
    named = files(sets.get(caller.tenant, dataset_id).described, sets.examples(caller.tenant, dataset_id), to_yaml)
    name, kind = _FILES[format]
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(named[name], media_type=kind, headers=headers)


_FILES = {
    "csv": (DATASET, "text/csv; charset=utf-8"),
    "jsonl": (EXAMPLES, "application/jsonl"),
    "manifest": (MANIFEST, "application/yaml"),
}


@router.delete("/{dataset_id}", **knows(DataSetDeleted, 404))
def delete_dataset(dataset_id: DataSetId, caller: AdminCaller, control: HereControl) -> Answer:
    """Delete a data set for good. What was trained on it stays."""
    control.knowledge.workshop.sets.delete(caller.tenant, dataset_id)
    control.changed(caller.tenant, caller.key_id, "knowledge.dataset.delete", dataset_id, {})
    return Answer(DataSetDeleted())
