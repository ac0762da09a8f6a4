"""A query made of a document's own words: those that are frequent in it and rare in the collection, in the order of the text."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

from meliora.knowledge.text.analysis import analyse

POOL = 12
"""Words of which a query takes some."""
_MOST = 20_000
"""Letters of a document that are read."""


def query_from_document(
    text: str, rng: random.Random, having: Callable[[str], int], documents: int, length: int = 5
) -> str:
    """Make a query of up to `length` words by tf-idf. `having` gives how many documents have a term; empty where there are no words."""
    found = analyse(text[:_MOST])
    counts = Counter(found.terms)
    written = dict(zip(reversed(found.terms), reversed(found.written), strict=True))
    score = {
        term: (1 + math.log(count)) * math.log((documents + 1) / (having(term) + 0.5))
        for term, count in counts.items()
        if len(term) > 2 or term.isdecimal()
    }
    best = sorted(score, key=lambda term: (-score[term], term))[:POOL]
    chosen = set(best if len(best) <= length else [*best[:2], *rng.sample(best[2:], max(0, length - 2))][:length])
    return " ".join(written[term] for term in dict.fromkeys(found.terms) if term in chosen)
