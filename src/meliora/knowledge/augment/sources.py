"""What queries are made of: passages of documents, with what stands above them for a query, and queries that people found an answer to.

A document that belongs to a person is none of them, nor one that speaks to a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from meliora.errors import NotFound
from meliora.knowledge.augment.aims import Aims, telling
from meliora.knowledge.augment.examples import Source
from meliora.knowledge.documents import Kept
from meliora.knowledge.index.base import Asked, Stored, View
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.shelf import DocumentShelf
from meliora.knowledge.text.analysis import analyse

MOST_DOCUMENTS = 2_000
"""Documents that are looked at, by their ids."""
MOST_PASSAGES = 20
"""Passages of one document."""
FOR_A_TOKEN = 30
"""Passages that are looked up for one word aimed at."""
SEPARATOR = " > "
"""Between the headings of a passage's title."""
_PAGE = 200
_LONGEST = 6
"""Words of a heading that is a query."""
_EDGES = "`*_~\"'“”‘’()[]{}<>.,;:!?…"
_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\n]{0,500}\)")


def usable(kept: Kept) -> bool:
    """Tell whether queries may be made of a document: it is searched, nobody's, and speaks to no model."""
    return kept.state == "live" and not kept.document.user and "instructions" not in kept.marks


def passages(shelf: DocumentShelf, view: View, tenant: str, collection: str) -> Iterator[Stored]:
    """Give the passages of documents, by their ids."""
    after, seen = "", 0
    while seen < MOST_DOCUMENTS:
        page = shelf.list(tenant, collection, after=after, limit=_PAGE)
        for kept in filter(usable, page):
            names = [f"{kept.document.id}#{number}" for number in range(MOST_PASSAGES)]
            yield from filter(None, view.stored(names))
        if len(page) < _PAGE:
            return
        after, seen = page[-1].document.id, seen + len(page)


def about(
    shelf: DocumentShelf, view: View, tenant: str, collection: str, targets: Sequence[str]
) -> tuple[list[Stored], tuple[str, ...]]:
    """Give the passages that have a word aimed at, those of the first word first, and the words that none has."""
    found: dict[tuple[str, int], Stored] = {}
    lacking: list[str] = []
    allowed: dict[str, bool] = {}
    for target in targets:
        terms = analyse(target).terms or (target,)
        terms = terms if any(map(view.frequency, terms)) else (target,)
        hits = view.retrieve("words", Asked(terms=dict.fromkeys(terms, 1.0)), FOR_A_TOKEN)
        mine = [one for one in view.stored([hit.passage for hit in hits]) if one is not None]
        for one in mine:
            if one.document not in allowed:
                allowed[one.document] = _may(shelf, tenant, collection, one.document)
        mine = [one for one in mine if allowed[one.document]]
        if not mine:
            lacking.append(target)
        found |= {(one.document, one.number): one for one in mine}
    return list(found.values()), tuple(lacking)


def _may(shelf: DocumentShelf, tenant: str, collection: str, document: str) -> bool:
    try:
        return usable(shelf.get(tenant, collection, document))
    except NotFound:  # it was deleted, and the index has yet to hear of it
        return False


def of_passages(found: Iterable[Stored], ask: Callable[[Stored], str], aimed: Aims | None = None) -> list[Source]:
    """Give a source for each passage, its query from what stands above it, or from `ask` where that says too little.

    With `aimed` a heading without such a word says too little. What stands above several passages of a document is the first one's only.
    """
    seen: set[tuple[str, str]] = set()
    made: list[Source] = []
    for one in found:
        query = heading(one.title)
        if (one.document, query) in seen or (aimed is not None and not any(map(aimed, query.split()))):
            query = ""
        query = query or ask(one)
        seen.add((one.document, query))
        made.append(Source(document=one.document, query=query, text=one.text))
    return made


def of_queries(found: Iterable[JudgedQuery]) -> list[Source]:
    """Give a source for each query: with the document that answers it best."""
    return [
        Source(document=max(one.grades, key=lambda id: (one.grades[id], id)), query=" ".join(one.text.split()))
        for one in found
        if one.text.strip() and any(grade > 0 for grade in one.grades.values())
    ]


def heading(title: str) -> str:
    """Give what stands above a passage as a query: its last heading, with the one above where it says too little; else nothing.

    A query has 2 words at least that say something, and 6 at most.
    """
    parts = [_clean(one) for one in title.split(SEPARATOR)]
    for wanted in (parts[-1:], parts[-2:]):
        words = " ".join(wanted).split()
        if len(words) <= _LONGEST and len({word.casefold() for word in words if telling(word)}) >= 2:
            return " ".join(words)
    return ""


def _clean(text: str) -> str:
    bare = (word.strip(_EDGES) for word in _LINK.sub(r"\1", text).split())
    return " ".join(word for word in bare if word and any(map(str.isalnum, word)))
