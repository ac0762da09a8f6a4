"""Loads what a snapshot takes besides itself: speller, expansion, reranker. What fails is told, not raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

from meliora.errors import MelioraError
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.index.base import View
from meliora.knowledge.search.parts import Parts, Ranker, Repairer
from meliora.runtime.warming import make_ready

_T = TypeVar("_T")
log = structlog.get_logger(__name__)


class Artifacts(Protocol):
    """Where they are."""

    def artifact(self, tenant: str, sha256: str) -> bytes:
        """Give one. Raises `NotFound`, `StoreError`."""
        ...


class Loading:
    """Implements `knowledge.serving.LoadParts` over kept artifacts."""

    def __init__(self, shelf: Artifacts, cross_encoder: str = "") -> None:
        """`cross_encoder` names a model that looks at the first results again; empty: none does."""
        self._shelf = shelf
        self._look = None
        if cross_encoder:
            from meliora.knowledge.ranking.cross_encoder import SecondLook, SentenceTransformers

            self._look = SecondLook(SentenceTransformers(cross_encoder))

    def __call__(self, tenant: str, config: SearchConfig, view: View, /) -> Parts:
        """Give the parts."""
        missing: dict[str, str] = {}
        repairer = _tried(
            "expansion" if config.expansion else "spelling", missing, lambda: self._repairer(tenant, config, view)
        )
        ranker = _tried("reranking", missing, lambda: self._ranker(tenant, config))
        if self._look is not None:
            from meliora.knowledge.ranking.second import Seconded

            ranker = Seconded(ranker, self._look)
        named = () if repairer is None else (("expansion" if config.expansion else "spelling", repairer),)
        return Parts(repairers=named, ranker=ranker, missing=missing)

    def _repairer(self, tenant: str, config: SearchConfig, view: View) -> Repairer | None:
        if config.spelling is None and config.expansion is None:
            return None
        from meliora.knowledge.repair.expansion import Table
        from meliora.knowledge.repair.spelling import Speller
        from meliora.knowledge.repair.stage import repaired
        from meliora.knowledge.text.analysis import analyse

        make_ready()
        speller = None if config.spelling is None else Speller(view.written(), config.spelling)
        asked = config.expansion
        table = None if asked is None else Table.decode(self._shelf.artifact(tenant, asked.table))
        weight = 1.0 if asked is None else asked.weight
        return lambda query: repaired(query, speller, table, analyse, frequency=view.frequency, weight=weight)

    def _ranker(self, tenant: str, config: SearchConfig) -> Ranker | None:
        if config.reranking is None:
            return None
        from meliora.knowledge.ranking.model import read
        from meliora.knowledge.ranking.ranker import ModelRanker

        make_ready()
        return ModelRanker(read(self._shelf.artifact(tenant, config.reranking.model)))


def _tried(stage: str, missing: dict[str, str], load: Callable[[], _T]) -> _T | None:
    try:
        return load()
    except (MelioraError, OSError, ValueError, ImportError) as error:
        missing[stage] = str(error)
        log.error("a part of a search could not be loaded", stage=stage, why=str(error))
        return None
