"""Results of another engine, put in order: its answer comes from the caller and goes back to the caller, with its hits in another order.

The engine is never called. Its own order counts as one leg, words and character n-grams of the texts it gave as two others; where the
collection has a learned reranker, that orders what they agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.config import Leg, SearchConfig
from meliora.knowledge.index.base import Asked, Hit, Stored, View
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.search.asking import as_it_is, question, read
from meliora.knowledge.search.fusion import fuse
from meliora.knowledge.search.parts import Parts, Pool
from meliora.knowledge.text.analysis import analyse

Engine = Literal["opensearch", "qdrant", "plain"]
MOST = 1000
"""Hits of one answer."""
LONGEST = 100_000
"""Characters of a hit's text that are read."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A hit, and where it went."""

    id: str
    before: int
    after: int
    """Places from 1."""
    score: float


class Reordered(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's answer with its hits in order."""

    response: Any
    """As it came, but for the order of the hits: their own scores stay as the engine gave them."""
    moved: tuple[Moved, ...]
    """In the new order."""
    skipped: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Answer:
    hits: list[Any]
    put_back: Callable[[list[Any]], Any]


def reorder(
    query: str,
    engine: Engine,
    response: Any,
    *,
    fields: Sequence[str] = ("title", "text"),
    parts: Parts | None = None,
    config: SearchConfig | None = None,
) -> Reordered:
    """Put an engine's hits in order. `fields` name the texts of a hit, the title first. Raises `InvalidRequest` for what is no answer."""
    answer = _read(engine, response)
    if len(answer.hits) > MOST:
        raise InvalidRequest(f"The answer has {len(answer.hits)} hits; {MOST} are taken.", field="response")
    stored = [_stored(engine, at, hit, fields) for at, hit in enumerate(answer.hits)]
    if not any(one.terms or one.title_terms for one in stored):
        if stored:
            raise InvalidRequest(
                f"No hit has a text in {', '.join(map(repr, fields))}.",
                hint="Name the fields that have it.",
                field="fields",
            )
        return Reordered(response=response, moved=())
    view = LocalView(stored)
    names = [f"{one.document}#0" for one in stored]
    order, scores, skipped = _order(query, view, names, parts or Parts(), config or SearchConfig())
    places = {name: at for at, name in enumerate(names)}
    moved = tuple(
        Moved(id=_id(engine, answer.hits[places[name]]), before=places[name] + 1, after=at, score=scores[name])
        for at, name in enumerate(order, start=1)
    )
    return Reordered(
        response=answer.put_back([answer.hits[places[name]] for name in order]), moved=moved, skipped=skipped
    )


def _order(
    query: str, view: View, names: Sequence[str], parts: Parts, config: SearchConfig
) -> tuple[list[str], dict[str, float], dict[str, str]]:
    analysed, cut = read(query, view)
    asked = question(analysed, as_it_is(analysed), view, cut).asked
    asked = Asked(terms=asked.terms, grams=asked.grams, text=query)
    # The engine's own order stands where vectors stand in a search of ours: it knows what words do not.
    found: dict[Leg, Sequence[Hit]] = {
        "words": view.retrieve("words", asked, len(names)),
        "grams": view.retrieve("grams", asked, len(names)),
        "dense": [Hit(name, 1 / at) for at, name in enumerate(names, start=1)],
    }
    candidates = fuse(found, config.fusion)
    order = [one.passage for one in candidates]
    scores = {one.passage: one.score for one in candidates}
    if parts.ranker is None:
        return order, scores, dict(parts.missing)
    depth = config.reranking.depth if config.reranking else 50
    first = candidates[:depth]
    kept = [one for one in view.stored([one.passage for one in first]) if one is not None]
    try:
        ranked = parts.ranker(Pool(view, analysed, asked, first, kept))
    except Exception as error:  # noqa: BLE001 - a model of any kind: the fusion's order is as good as before, and the reason is told
        return order, scores, {"reranking": f"{type(error).__name__}: {error}"}
    best = sorted(range(len(first)), key=lambda at: (-ranked.scores[at], at))
    scores |= {first[at].passage: ranked.scores[at] for at in best}
    return [first[at].passage for at in best] + order[len(first) :], scores, dict(ranked.skipped)


def _read(engine: Engine, response: Any) -> _Answer:
    """Find the hits of an answer, and how others are put in their place."""
    if engine == "opensearch":
        hits = _at(response, ("hits", "hits"), "an OpenSearch answer has them in hits.hits")
        return _Answer(hits, lambda new: {**response, "hits": {**response["hits"], "hits": new}})
    if engine == "qdrant":
        result = response.get("result") if isinstance(response, Mapping) else None
        if isinstance(result, Mapping):
            points = _at(response, ("result", "points"), "a Qdrant answer has them in result or result.points")
            return _Answer(points, lambda new: {**response, "result": {**response["result"], "points": new}})
        hits = _at(response, ("result",), "a Qdrant answer has them in result or result.points")
        return _Answer(hits, lambda new: {**response, "result": new})
    if not isinstance(response, list):
        raise InvalidRequest("The response is no list of hits.", field="response")
    return _Answer(_checked(response), lambda new: new)


def _at(response: Any, path: Sequence[str], hint: str) -> list[Any]:
    found = response
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            raise InvalidRequest(f"The response has no {'.'.join(path)}.", hint=f"Hits: {hint}.", field="response")
        found = found[name]
    if not isinstance(found, list):
        raise InvalidRequest(f"{'.'.join(path)} of the response is no list.", hint=f"Hits: {hint}.", field="response")
    return _checked(found)


def _checked(hits: list[Any]) -> list[Any]:
    for at, hit in enumerate(hits):
        if not isinstance(hit, Mapping):
            raise InvalidRequest(f"Hit {at} of the response is no object.", field="response")
    return hits


def _stored(engine: Engine, at: int, hit: Mapping[str, Any], fields: Sequence[str]) -> Stored:
    source = hit.get({"opensearch": "_source", "qdrant": "payload"}.get(engine, ""), hit)
    texts = [_text(source, field)[:LONGEST] for field in fields] if isinstance(source, Mapping) else []
    title = texts[0] if len(texts) > 1 else ""
    text = "\n".join(one for one in texts[1 if len(texts) > 1 else 0 :] if one)
    return Stored(
        document=f"{at:04}",
        number=0,
        title=title,
        text=text,
        start=0,
        end=len(text),
        terms=analyse(text).terms,
        title_terms=analyse(title).terms if title else (),
    )


def _text(source: Mapping[str, Any], field: str) -> str:
    """Give a field's text; a dotted name goes inward."""
    found: Any = source
    for name in field.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, list):
        return " ".join(one for one in found if isinstance(one, str))
    return found if isinstance(found, str) else ""


def _id(engine: Engine, hit: Mapping[str, Any]) -> str:
    return str(hit.get("_id" if engine == "opensearch" else "id", ""))
