"""Puts a trainer over a collection together, and makes what it trained a candidate: kept under a number, serving nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from meliora.clock import Clock
from meliora.errors import InvalidRequest, NotFound, UpstreamError
from meliora.integrations.h2o_llm_studio.process import Limits, studio
from meliora.integrations.h2o_llm_studio.settings import tuning
from meliora.integrations.h2o_llm_studio.tables import Show, Shown
from meliora.integrations.h2o_llm_studio.trainer import H2oLlmStudio, prepare
from meliora.knowledge.augment.learning import Learnable, learnable
from meliora.knowledge.augment.local import LocalTrainer
from meliora.knowledge.augment.trainers import Report, Trainer
from meliora.knowledge.config import Reranking, Snapshot
from meliora.knowledge.front import Plane
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.ranking.examples import pool
from meliora.loop.artifacts.folder import replace
from meliora.runtime.knowledge.parts import Loading

LARGEST = 512 * 1024 * 1024
"""Bytes of a data set's file."""


def data_of(plane: Plane, tenant: str, collection: str, file: Path) -> Learnable:
    """Read a data set for a collection, without what proves its changes. Raises `InvalidRequest`, `NotFound`."""
    plane.check(tenant, collection)
    try:
        if file.stat().st_size > LARGEST:
            raise InvalidRequest(
                f"{file} has more than {LARGEST // 1024**2} MB.", hint="Split it by queries.", field="data"
            )
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The data set cannot be read: {error}.", field="data") from error
    proving = [one.text for one in plane.evidence.judged(tenant, collection)]
    return learnable(text, _there(plane, tenant, collection), proving)


def local(plane: Plane, tenant: str, collection: str, seed: int) -> Trainer:
    """Give the trainer of this machine, over what serves."""
    config = plane.snapshots.serving(tenant, collection).config
    bare = msgspec.structs.replace(config, reranking=None)
    view = plane.indexes.view(tenant, collection)
    return LocalTrainer(view, bare, Loading(plane.snapshots)(tenant, bare, view), seed, replace)


def h2o(
    plane: Plane,
    tenant: str,
    collection: str,
    clock: Clock,
    said: dict[str, Any],
    folder: Path,
    python: Path | None,
    limits: Limits,
    present: Mapping[str, str],
) -> H2oLlmStudio:
    """Give a checkout of H2O LLM Studio as a trainer; `present` is the environment of this process.

    Raises `InvalidRequest` for what it would not take, `MissingExtra` without it.
    """
    tuned = tuning(said)
    where = studio(folder, python)
    return H2oLlmStudio(where, tuned, _showing(plane, tenant, collection), clock, limits, present)


def prepared(
    plane: Plane, tenant: str, collection: str, said: dict[str, Any], data: Learnable, folder: Path
) -> dict[str, float]:
    """Write what H2O LLM Studio is run by elsewhere, and give how many rows its tables have. Raises as `trainer.prepare` does."""
    return prepare(data, _showing(plane, tenant, collection), tuning(said), folder)


def candidate(plane: Plane, tenant: str, collection: str, folder: Path, report: Report) -> Snapshot | None:
    """Keep a trained reranker, and what serves with it under a number of its own; it serves nobody until the loop has proved it.

    None where the run left none that orders queries better that it did not see. Raises `UpstreamError` where its file is not as reported.
    """
    if report.state != "finished" or report.held_out is None or not report.held_out.better:
        return None
    made = report.files[0]
    try:
        body = (folder / made.name).read_bytes()
    except OSError as error:
        raise UpstreamError(f"The model in {folder} cannot be read: {error}"[:500]) from error
    kept = plane.snapshots.keep(tenant, "reranker", body)
    if kept != made.sha256:
        raise UpstreamError(f"The model in {folder} is not the one that was trained.", hint="Train it again.")
    serving = plane.snapshots.serving(tenant, collection).config
    reranking = msgspec.structs.replace(serving.reranking or Reranking(model=kept), model=kept)
    return plane.snapshots.add(tenant, collection, msgspec.structs.replace(serving, reranking=reranking), "cli")


def _there(plane: Plane, tenant: str, collection: str) -> Callable[[str], bool]:
    known: dict[str, bool] = {}

    def there(document: str) -> bool:
        if document not in known:
            try:
                known[document] = plane.shelf.get(tenant, collection, document).state == "live"
            except NotFound:
                known[document] = False
        return known[document]

    return there


def _showing(plane: Plane, tenant: str, collection: str) -> Show:
    """Give what shows the documents of a query: the best passage of each that a search finds, then those that answer and are not found."""
    config = msgspec.structs.replace(plane.snapshots.serving(tenant, collection).config, reranking=None)
    view = plane.indexes.view(tenant, collection)
    parts = Loading(plane.snapshots)(tenant, config, view)

    def show(query: JudgedQuery) -> Sequence[Shown]:
        found: dict[str, Shown] = {}
        for one in pool(query.text, view, config, parts).stored:
            found.setdefault(one.document, Shown(one.document, f"{one.title}\n{one.text}"))
        for document in query.grades:
            if document not in found:
                kept = plane.shelf.get(tenant, collection, document).document
                found[document] = Shown(document, f"{kept.title}\n{kept.text}")
        return list(found.values())

    return show
