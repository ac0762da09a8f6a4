"""Results of another engine, put in order: its own order fused with local words and n-grams, then a reranker where one is given.

Nothing is indexed and nothing is kept. The response is data of a stranger: what is missing in it is named, the rest is passed through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest, MelioraError
from meliora.knowledge.answers import Place
from meliora.knowledge.config import Fusion
from meliora.knowledge.index.base import Stored
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.search.asking import as_it_is, question, read
from meliora.knowledge.search.fusion import Candidate, fuse
from meliora.knowledge.search.parts import Pool, Ranker
from meliora.knowledge.text.analysis import analyse

Engine = Literal["opensearch", "qdrant", "plain"]
MOST_HITS = 1000
MOST_TEXT = 20_000
"""Characters of a hit that are read."""
RULES = Fusion(words=1.0, grams=0.5, dense=1.0)
"""Weights; the engine's own order stands where vectors do."""
_TITLES = ("title", "name", "heading")


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A hit, and where it went."""

    id: str
    was: int
    now: int
    """Places, from 1."""


class Reordered(msgspec.Struct, frozen=True, kw_only=True):
    """The response with its hits in another order, and what was done."""

    response: Any
    moved: tuple[Moved, ...]
    """In the new order."""
    stages: tuple[str, ...]
    without_text: int
    """Hits of which no text was found: they stand by the engine's order alone."""
    skipped: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Hit:
    id: str
    score: float
    fields: Mapping[str, Any]


def rerank(
    query: str,
    engine: Engine,
    response: Any,
    fields: Sequence[str] = (),
    ranker: Ranker | None = None,
    language: str = "",
) -> Reordered:
    """Put a response's hits in order. `fields` names where the texts stand (`a.b` for what is nested); none: every text.

    Raises `InvalidRequest` naming what the response lacks.
    """
    hits = _hits(engine, response)
    if len(hits) > MOST_HITS:
        raise InvalidRequest(f"The response has {len(hits)} hits; {MOST_HITS} are put in order.", field="response")
    stored = [_stored(at, hit, fields, language) for at, hit in enumerate(hits)]
    view = LocalView(stored)
    analysed, cut = read(query, view, language)
    asked = question(analysed, as_it_is(analysed), view, cut)
    depth = max(1, len(hits))
    found = fuse({leg: view.retrieve(leg, asked.asked, depth) for leg in ("words", "grams")}, RULES)
    by_passage = {one.passage: one for one in found}
    candidates = [_with_own(by_passage.get(f"{at}#0"), at, hit) for at, hit in enumerate(hits)]
    candidates.sort(key=lambda one: (-one.score, int(one.passage.partition("#")[0])))
    stages, skipped = ["engine", "words", "grams", "fusion"], {}
    if ranker is not None and candidates:
        try:
            kept = [stored[int(one.passage.partition("#")[0])] for one in candidates]
            scores = ranker(Pool(view, analysed, asked.asked, candidates, kept)).scores
            best = sorted(range(len(candidates)), key=lambda at: (-scores[at], at))
            candidates = [candidates[at] for at in best]
            stages.append("reranking")
        except Exception as error:  # noqa: BLE001 - a model from a file may raise anything; the fusion stands, and it is said
            skipped["reranking"] = str(error) if isinstance(error, MelioraError) else f"{type(error).__name__}: {error}"
    order = [int(one.passage.partition("#")[0]) for one in candidates]
    return Reordered(
        response=_put(engine, response, order),
        moved=tuple(Moved(id=hits[at].id, was=at + 1, now=now) for now, at in enumerate(order, 1)),
        stages=tuple(stages),
        without_text=sum(not one.terms and not one.title_terms for one in stored),
        skipped=skipped,
    )


def _with_own(found: Candidate | None, at: int, hit: _Hit) -> Candidate:
    own = Place("dense", at + 1, hit.score, RULES.dense / (RULES.k + at + 1))
    places = (*(() if found is None else found.places), own)
    return Candidate(f"{at}#0", sum(one.contribution for one in places), places)


def _hits(engine: Engine, response: Any) -> list[_Hit]:
    listed, path = _listed(engine, response)
    id, score, fields = {
        "opensearch": ("_id", "_score", "_source"),
        "qdrant": ("id", "score", "payload"),
        "plain": ("id", "score", ""),
    }[engine]
    found: list[_Hit] = []
    for at, one in enumerate(listed):
        place = f"{path}.{at}"
        if not isinstance(one, dict):
            raise _lacks(place, "an object")
        if not isinstance(one.get(id), (str, int)) or isinstance(one.get(id), bool):
            raise _lacks(f"{place}.{id}", "an id")
        body = one.get(fields) if fields else {name: value for name, value in one.items() if name not in (id, score)}
        if body is None and engine == "opensearch":
            body = one.get("fields")  # what is given where the source is not asked for
        if body is not None and not isinstance(body, dict):
            raise _lacks(f"{place}.{fields}", "an object")
        value = one.get(score)
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
        found.append(_Hit(str(one[id]), number, body or {}))
    return found


def _listed(engine: Engine, response: Any) -> tuple[list[Any], str]:
    """Give the list of hits, and where it stands."""
    if engine == "opensearch":
        outer = response.get("hits") if isinstance(response, dict) else None
        if not isinstance(outer, dict):
            raise _lacks("response.hits", "an object")
        found, path = outer.get("hits"), "response.hits.hits"
    elif engine == "qdrant":
        found, path = (response.get("result") if isinstance(response, dict) else None), "response.result"
        if isinstance(found, dict):
            found, path = found.get("points"), "response.result.points"
    else:
        found, path = (
            (response.get("results"), "response.results") if isinstance(response, dict) else (response, "response")
        )
    if not isinstance(found, list):
        raise _lacks(path, "a list of hits")
    return found, path


def _put(engine: Engine, response: Any, order: Sequence[int]) -> Any:
    """Give the response with its hits in this order; nothing else in it changes."""
    listed, path = _listed(engine, response)
    hits = [listed[at] for at in order]
    if path == "response":
        return hits
    if path == "response.results":
        return {**response, "results": hits}
    if path == "response.result":
        return {**response, "result": hits}
    outer, inner = ("hits", "hits") if engine == "opensearch" else ("result", "points")
    return {**response, outer: {**response[outer], inner: hits}}


def _lacks(place: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"The response lacks {what} at {place}.", hint="Send the engine's answer as it came.", field=place
    )


def _stored(at: int, hit: _Hit, fields: Sequence[str], language: str) -> Stored:
    texts = [_field(hit.fields, name) for name in fields] if fields else [*_every(hit.fields)]
    title = "" if fields else next((said for name in _TITLES if (said := _field(hit.fields, name))), "")
    text = "\n".join(one for one in texts if one)[:MOST_TEXT]
    title = title[:500]
    return Stored(
        document=str(at),
        number=0,
        title=title,
        text=text,
        start=0,
        end=len(text),
        terms=analyse(text, language).terms,
        title_terms=analyse(title, language).terms,
    )


def _field(fields: Mapping[str, Any], name: str) -> str:
    value: Any = fields
    for part in name.split(".")[:8]:
        value = value.get(part) if isinstance(value, dict) else None
    return "\n".join(_texts(value))


def _every(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if name not in _TITLES:
            yield from _texts(value)


def _texts(value: Any, deep: int = 8) -> Iterator[str]:
    """Give every text of a value, those in lists and objects too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)) and deep:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one, deep - 1)
