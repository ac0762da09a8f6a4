"""From queries with a known answer to what a reranker learns from: the candidates that a configuration gives, with their features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from meliora.knowledge.config import LEGS, Leg, SearchConfig
from meliora.knowledge.index.base import Hit, View
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.ranking.batch import Rarity
from meliora.knowledge.ranking.features import features
from meliora.knowledge.ranking.train import Example
from meliora.knowledge.search.asking import as_it_is, question, read
from meliora.knowledge.search.fusion import fuse, weight_of
from meliora.knowledge.search.parts import Parts, Pool

DEPTH = 50
"""Candidates of a query, as `config.Reranking` has it at first."""


def pool(text: str, view: View, config: SearchConfig, parts: Parts | None = None, depth: int = DEPTH) -> Pool:
    """Give the first candidates that a search would give a reranker: repaired as `parts` repairs, retrieved, fused."""
    query, cut = read(text, view)
    rewritten = as_it_is(query)
    for _, repairer in parts.repairers if parts is not None else ():
        rewritten = repairer(query)
    asked = question(query, rewritten, view, cut).asked
    rules = config.fusion
    found: dict[Leg, Sequence[Hit]] = {
        leg: view.retrieve(leg, asked, rules.depth) for leg in LEGS if weight_of(rules, leg)
    }
    first = fuse(found, rules, fitted=view.fitted)[:depth]
    kept = zip(first, view.stored([one.passage for one in first]), strict=True)
    here = [(one, stored) for one, stored in kept if stored is not None]
    return Pool(view, query, asked, [one for one, _ in here], [stored for _, stored in here])


def examples(
    queries: Iterable[JudgedQuery],
    view: View,
    config: SearchConfig,
    parts: Parts | None = None,
    family: Callable[[JudgedQuery], str] = lambda query: query.id,
) -> Iterator[Example]:
    """Give an example for each query that has candidates. `family` names what a query was made of, so that both stay together."""
    rarity = Rarity()
    for one in queries:
        found = pool(one.text, view, config, parts, config.reranking.depth if config.reranking else DEPTH)
        if found.candidates:
            yield Example(
                query=one.id,
                table=features(found, rarity),
                documents=tuple(stored.document for stored in found.stored),
                grades=one.grades,
                weight=one.weight,
                family=family(one),
            )
