"""Where the documents that should answer searches come from, and what became of them.

What should answer a search is told by the judgments, else by what other searches with the same query used, never by what it used
itself: else every search that found nothing would be of no source, and a source would be accused of any loss.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from meliora.knowledge.indexes import Audit
from meliora.knowledge.quality.evidence import JudgedQuery, normal
from meliora.runtime.knowledge.evidence import GOOD
from meliora.store.knowledge.figures import Origin
from meliora.store.knowledge.searches import Search


def query_of(one: Search) -> str:
    """Give what is the same for equal queries; empty where not known."""
    return one.query_hash or (normal(one.query) if one.query else "")


def used_of(one: Search) -> list[str]:
    """Give the documents of which something good was said."""
    return [said.document for said in one.feedback if said.document and said.value >= GOOD]


def answers(searches: Sequence[Search], judged: Sequence[JudgedQuery]) -> dict[str, str]:
    """Give, by search, the document that should answer it; without those of which that is not known."""
    best = {
        normal(one.text): max(one.grades, key=lambda id: (one.grades[id], id))
        for one in judged
        if any(grade > 0 for grade in one.grades.values())
    }
    uses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in searches:
        uses[query_of(one)].update(set(used_of(one)))
    found: dict[str, str] = {}
    for one in searches:
        known = best.get(normal(one.query)) if one.query else None
        query = query_of(one)
        others = uses[query] - Counter(set(used_of(one))) if query and known is None else Counter()
        told = known or max(others, key=lambda id: (others[id], id), default=None)
        if told is not None:
            found[one.id] = told
    return found


def told(documents: Collection[str], origins: Mapping[str, Origin], audit: Audit) -> dict[str, dict[str, str]]:
    """Give source, category and state of documents. Of one that belongs to a person neither source nor category: a finding names nobody."""
    faults = dict.fromkeys(audit.stale, "stale in the index") | dict.fromkeys(audit.missing, "missing in the index")
    found: dict[str, dict[str, str]] = {}
    for id in documents:
        origin = origins.get(id)
        if origin is None:
            found[id] = {"source": place_of(id, nameless=True), "category": "", "state": "deleted"}
        else:
            owned = {"source": "", "category": ""}
            named = owned if origin.owned else {"source": place_of(origin.source), "category": origin.category}
            found[id] = named | {"state": faults.get(id, origin.state)}
    return found


def place_of(source: str, *, nameless: bool = False) -> str:
    """Give the host of an address, the folder of a file, and other sources as they are; of a `nameless` one, an id, nothing then."""
    if "://" in source:
        try:
            return urlsplit(source).hostname or ""
        except ValueError:
            return ""
    folder = str(PurePosixPath(source).parent)
    return ("" if nameless else source) if folder in (".", "/") else folder
