"""A small made collection whose words mean something: topics, and documents that speak of one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from meliora.knowledge.answers import Place
from meliora.knowledge.config import LEGS, Fusion
from meliora.knowledge.index.base import Asked, Stored
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.ranking.batch import Rarity
from meliora.knowledge.ranking.features import features
from meliora.knowledge.ranking.train import Example
from meliora.knowledge.search.fusion import Candidate, fuse
from meliora.knowledge.search.parts import Pool
from meliora.knowledge.text.analysis import Analysed


class Vectored(LocalView):
    """A local view whose vectors count words by their first letter."""

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        query = _letters(terms)
        rows = [_letters(Counter(one.terms)) if one is not None else np.zeros(26) for one in self.stored(passages)]
        return [float(row @ query) for row in rows]


def _letters(terms: Mapping[str, float]) -> np.ndarray:
    found = np.zeros(26)
    for term, weight in terms.items():
        found[(ord(term[0]) - 97) % 26] += weight
    norm = float(np.linalg.norm(found))
    return found / norm if norm else found


def pool_of(view: LocalView, terms: Mapping[str, float], only: Sequence[str] | None = None) -> Pool:
    """Give candidates as a search does; `only` gives these, in this order, found by words."""
    asked = Asked(terms=terms)
    if only is None:
        first = fuse({leg: view.retrieve(leg, asked, 100) for leg in LEGS}, Fusion())[:50]
    else:
        places = ((Place("words", at, 1.0, 1 / (60 + at)), name) for at, name in enumerate(only, start=1))
        first = [Candidate(f"{name}#0", place.contribution, (place,)) for place, name in places]
    kept = [one for one in view.stored([one.passage for one in first]) if one is not None]
    return Pool(view, Analysed(tuple(terms), tuple(terms)), asked, first, kept)


def stored(id: str, text: str, title: str = "") -> Stored:
    """Make a passage whose words are its terms."""
    return Stored(
        document=id,
        number=0,
        title=title,
        text=text,
        start=0,
        end=len(text),
        terms=tuple(text.split()),
        title_terms=tuple(title.split()),
    )


@pytest.fixture(scope="session")
def collection() -> tuple[Vectored, list[Example]]:
    """60 queries over 200 documents: relevant are those that speak of the query's topic, whatever words they share."""
    rng = np.random.default_rng(4)
    topics = [[f"{chr(97 + at)}{word}" for word in ("ab", "el", "or", "un", "ix", "ost")] for at in range(20)]
    common = [f"z{number}" for number in range(30)]
    subject = rng.integers(20, size=200)
    texts = [
        " ".join(
            rng.permutation(
                [*rng.choice(topics[topic], 5), *rng.choice(topics[int(rng.integers(20))], 2), *rng.choice(common, 6)]
            )
        )
        for topic in subject
    ]
    view = Vectored([stored(f"d{at:03}", text) for at, text in enumerate(texts)])
    rarity = Rarity()
    examples = []
    for number in range(60):
        topic = int(rng.integers(20))
        words = [*rng.choice(topics[topic], 2, replace=False), *rng.choice(common, 2, replace=False)]
        pool = pool_of(view, dict.fromkeys(map(str, words), 1.0))
        examples.append(
            Example(
                query=f"q{number}",
                table=features(pool, rarity),
                documents=tuple(one.document for one in pool.stored),
                grades={f"d{at:03}": 2 for at in np.flatnonzero(subject == topic)},
            )
        )
    return view, examples
