"""A small made collection whose words mean something: topics, and documents that speak of one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from meliora.knowledge.index.local import LocalView

from meliora.knowledge.answers import Place
from meliora.knowledge.config import LEGS
from meliora.knowledge.index.base import Asked, Stored
from meliora.knowledge.ranking.batch import Candidate, Statistics
from meliora.knowledge.ranking.features import features
from meliora.knowledge.ranking.train import Example


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


def fused(view: LocalView, asked: Asked, limit: int = 50) -> list[Candidate]:
    """Give candidates as a search does."""
    places: dict[str, list[Place]] = {}
    for leg in LEGS:
        for rank, hit in enumerate(view.retrieve(leg, asked, 100), start=1):
            places.setdefault(hit.passage, []).append(Place(leg, rank, hit.score, 1 / (60 + rank)))
    total = {name: sum(place.contribution for place in own) for name, own in places.items()}
    best = sorted(total, key=lambda name: (-total[name], name))[:limit]
    kept = zip(best, view.stored(best), strict=True)
    return [Candidate(one, tuple(places[name]), total[name]) for name, one in kept if one is not None]


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
    statistics = Statistics(view)
    examples = []
    for number in range(60):
        topic = int(rng.integers(20))
        words = [*rng.choice(topics[topic], 2, replace=False), *rng.choice(common, 2, replace=False)]
        asked = Asked(terms=dict.fromkeys(map(str, words), 1.0))
        candidates = fused(view, asked)
        examples.append(
            Example(
                query=f"q{number}",
                table=features(asked, candidates, statistics),
                documents=tuple(one.stored.document for one in candidates),
                grades={f"d{at:03}": 2 for at in np.flatnonzero(subject == topic)},
            )
        )
    return view, examples
