"""A made collection of any size: words by Zipf's law, documents of about 130 words, queries that take words of a document."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from meliora.knowledge.documents import Changed, Document, Kept, Passage

WORDS = 90_000
COMMON = "the of and a to in is for that on with as by at from are this it be an or was which not".split()  # noqa: SIM905
LETTERS = ("bcdfghjklmnprstvwz", "aeiou")
BLOCK = 5_000
MEAN = 130


class Made:
    """Documents and queries of a seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng(seed)
        lengths = rng.integers(3, 11, WORDS)
        drawn = rng.integers(0, 90, (WORDS, 10))
        made = (
            "".join(LETTERS[at % 2][drawn[word, at] % len(LETTERS[at % 2])] for at in range(lengths[word]))
            for word in range(WORDS)
        )
        self.vocabulary = list(dict.fromkeys([*COMMON, *made]))
        shares = 1 / (np.arange(len(self.vocabulary)) + 2.7)
        self._until = np.cumsum(shares / shares.sum())

    def texts(self, count: int) -> Iterator[str]:
        """Give so many texts; the first are the same however many are asked for."""
        for block in range(-(-count // BLOCK)):
            rng = np.random.default_rng((self._seed, block))
            lengths = np.clip(rng.lognormal(np.log(MEAN) - 0.18, 0.6, BLOCK), 20, 700).astype(int)
            words = np.searchsorted(self._until, rng.random(lengths.sum())).tolist()
            at = 0
            for length in lengths[: min(BLOCK, count - block * BLOCK)].tolist():
                yield " ".join([self.vocabulary[word] for word in words[at : at + length]])
                at += length

    def queries(self, count: int) -> list[str]:
        """Give queries of 3 to 12 words, those of one document together."""
        rng = np.random.default_rng((self._seed, 10**6))
        found = []
        for text in self.texts(count):
            words = [word for word in text.split() if word not in COMMON]
            length = int(rng.integers(3, 13))
            first = int(rng.integers(max(len(words) - length, 1)))
            found.append(" ".join(words[first : first + length]))
        return found

    def changes(self, count: int) -> Iterator[Changed]:
        """Give the documents as an index takes them."""
        for at, text in enumerate(self.texts(count), start=1):
            document = Document(id=f"d{at}", title=text[:40], text=text, metadata={"part": at % 10})
            yield Changed(seq=at, id=document.id, kept=Kept(document=document, seq=at, hash=f"h{at}"))


def whole(document: Document) -> list[Passage]:
    """Leave a document in one passage: each has about the length of one."""
    return [
        Passage(
            document=document.id, number=0, title=document.title, text=document.text, start=0, end=len(document.text)
        )
    ]
