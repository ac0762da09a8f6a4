"""Embeddings of a sample's prompts, asked of a model in batches, each written down before the next is asked.

Makes no call itself: how a model is asked is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.errors import Overloaded, RateLimited, UpstreamError
from meliora.routing.learned.features import cut
from meliora.routing.learning.calibrate import CHARS_PER_TOKEN, Entry, Journal, Quote, Step
from meliora.routing.learning.embedding import WIDTH, Floats, PromptVectors
from meliora.routing.learning.prompts import Prompt
from meliora.routing.learning.trunk import Corpus

BATCH = 64
"""Prompts a call."""

Embed = Callable[[int, Sequence[str]], Sequence[Sequence[float]]]
"""Gives the vectors of the texts of the batch of a number. Raises `MelioraError`."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of a sample by one model; `Vectors` once they are asked for.

    Batches are the same whenever they are made, and one is asked for whole, so that a batch that was answered but not written
    down is the same question again.
    """

    prompts: Sequence[Prompt]
    name: str
    """The model's."""
    journal: Journal
    embed: Embed
    width: int = WIDTH

    def missing(self) -> int:
        """Count the batches that are left."""
        return sum(1 for _ in self._left())

    def steps(self) -> Iterator[Step]:
        """Ask for what is left, batch by batch, and tell each. What fails for the moment is told and comes with the next run."""
        for number, batch in list(self._left()):
            try:
                vectors = self.embed(number, [cut(prompt.text) for prompt in batch])
            except (UpstreamError, RateLimited, Overloaded) as error:
                yield Step(self.name, False, str(error))
                continue
            found = [np.asarray(vector, "<f4").tobytes() for vector in vectors]
            pairs = zip(batch, found, strict=True)
            self.journal.add(*(Entry(prompt.id, self.name, embedding=vector) for prompt, vector in pairs))
            yield Step(self.name, False)

    def quote(self, price: float | None) -> Quote:
        """Estimate what is still to be paid at a price of input, US$ a million tokens; None: not known."""
        left = [prompt for _, batch in self._left() for prompt in batch]
        tokens = sum(len(cut(prompt.text)) for prompt in left) / CHARS_PER_TOKEN
        usd = 0.0 if not left else None if price is None else tokens * price / 1e6
        return Quote(self.name, self.missing(), usd)

    def directions(self, corpus: Corpus, prompts: Sequence[str], idf: Floats) -> NDArray[np.float32]:
        """Give the directions of what the journal has, as `PromptVectors` does."""
        known = {}
        for prompt in self.prompts:
            if (found := self.journal.embedding(prompt, self.name)) is not None:
                known[prompt.text] = np.frombuffer(found, "<f4")
        return PromptVectors(known, self.name, self.width).directions(corpus, prompts, idf)

    def _left(self) -> Iterator[tuple[int, Sequence[Prompt]]]:
        for number, start in enumerate(range(0, len(self.prompts), BATCH)):
            batch = self.prompts[start : start + BATCH]
            if any(self.journal.embedding(prompt, self.name) is None for prompt in batch):
                yield number, batch
