"""A small judged collection: documents of made words in topics, and queries with their answers known."""

from __future__ import annotations

import random

from benchmarks.search.sets import Judged

_FIRST = [
    one + vowel
    for one in ("b", "br", "d", "f", "g", "gl", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v")
    for vowel in "aeiou"
]
_LAST = ("n", "r", "l", "m", "t", "nd", "rk", "st")


def synthetic(seed: int, documents: int = 400, queries: int = 120) -> Judged:
    """Make a collection. A query has words of one document, and those of its family answer it, too."""
    rng = random.Random(seed)
    words: list[str] = []
    while len(words) < 700:
        word = "".join(rng.choice(_FIRST) for _ in range(rng.randrange(2, 4))) + rng.choice(_LAST)
        if word not in words:
            words.append(word)
    common, own = words[:200], words[200:400]
    families = [rng.sample(own, 10) for _ in range(documents // 4)]
    texts: dict[str, tuple[str, str]] = {}
    for at in range(documents):
        family = families[at % len(families)]
        text = [rng.choice(family) for _ in range(20)] + [rng.choice(common) for _ in range(50)]
        text += [rng.choice(own) for _ in range(15)]
        rng.shuffle(text)
        texts[f"d{at}"] = (" ".join(rng.sample(family, 2)), " ".join(text))
    asked, grades = {}, {}
    for at in range(queries):
        number = rng.randrange(len(families))
        asked[f"q{at:03}"] = " ".join([*rng.sample(families[number], 2), rng.choice(common)])
        grades[f"q{at:03}"] = {f"d{one}": 1.0 for one in range(number, documents, len(families))}
    return Judged("made", texts, asked, grades, 0)
