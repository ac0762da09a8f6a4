"""Makes a data set: methods in turn over the sources, near-duplicates of the test set and of each other refused, the rest scored."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.augment import asked, edits
from meliora.knowledge.augment.examples import ASKING, Ask, Example, Method, Neighbours, Source
from meliora.knowledge.augment.quality import ForbiddenQueries, diversity, quality, words
from meliora.knowledge.augment.salient import query_from_document


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What the methods work with; a method without its means is not used, and named."""

    ask: Ask | None = None
    calls: int = 0
    neighbours: Neighbours | None = None
    having: Callable[[str], int] | None = None
    """How many documents have a term, as analysed."""
    documents: int = 0
    found: Callable[[str], Sequence[str]] | None = None
    """What a search gives: document ids, best first."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A data set, and what did not get into it."""

    examples: tuple[Example, ...]
    refused: dict[str, int]
    """By reason: `test_set`, `unchanged`, `twice`, `quality`, `budget`, or a method without its means."""
    calls: int
    diversity: float | None


def make(
    sources: Iterable[Source],
    methods: Sequence[Method],
    test: ForbiddenQueries,
    means: Means,
    *,
    seed: int,
    targets: Sequence[str] = (),
    least: float = 0.5,
) -> Made:
    """Make examples; equal for equal arguments and answers. `targets` are words to aim at, `least` the quality that is kept.

    Raises `InvalidRequest` for a budget below 0, and what `ask` raises.
    """
    if means.calls < 0:
        raise InvalidRequest(f"A budget of {means.calls} calls is none.", field="calls")
    maker = _Maker(means, targets, seed)
    refused: dict[str, int] = {}
    examples: dict[tuple[str, str], Example] = {}
    for source in sources:
        for method in methods:
            made, reason = maker(source, method)
            reasons = [reason] if reason else []
            for example in made:
                key = (" ".join(words(example.query)), example.document)
                reasons.append(_why_not(example, key, examples, test, least))
                if not reasons[-1]:
                    examples[key] = example
            for one in filter(None, reasons):
                refused[one] = refused.get(one, 0) + 1
    kept = tuple(examples.values())
    different = diversity([one.query for one in kept])
    return Made(examples=kept, refused=refused, calls=maker.budget.made, diversity=different)


def _why_not(
    example: Example, key: tuple[str, str], known: dict[tuple[str, str], Example], test: ForbiddenQueries, least: float
) -> str:
    if test.has(example.query):
        return "test_set"
    if key[0] == " ".join(words(example.made_of)) or not key[0]:
        return "unchanged"
    if key in known:
        return "twice"
    return "quality" if example.quality < least else ""


class _Maker:
    def __init__(self, means: Means, targets: Sequence[str], seed: int) -> None:
        self._means, self._targets, self._seed = means, targets, seed
        self.budget = asked.Budget(means.calls)

    def __call__(self, source: Source, method: Method) -> tuple[list[Example], str]:
        """Make examples of a source by a method, or say why there are none."""
        of_text = method in ("query_from_document", "query_generation")
        made_of = source.text if of_text else source.query
        if not made_of:
            return [], "nothing to make it of"
        lacking = self._lacking(method)
        if lacking:
            return [], lacking
        digest = sha256(
            f"{self._seed}\0{method}\0{source.document}\0{source.query}".encode("utf-8", "replace")
        ).digest()
        queries = self._queries(made_of, method, random.Random(int.from_bytes(digest[:8], "big")))
        plain = [Example(query=one, document=source.document, made_of=made_of, method=method) for one in queries]
        return [msgspec.structs.replace(one, quality=quality(one, self._means.found)) for one in plain], ""

    def _lacking(self, method: Method) -> str:
        means = self._means
        if method in ASKING:
            if means.ask is None:
                return f"{method}: no model"
            return "budget" if self.budget.left < (2 if method == "back_translation" else 1) else ""
        if method == "synonyms" and means.neighbours is None:
            return f"{method}: no neighbours"
        return f"{method}: no counts" if method == "query_from_document" and means.having is None else ""

    def _queries(self, text: str, method: Method, rng: random.Random) -> list[str]:
        means = self._means
        if method == "typo":
            return [edits.typo(text, rng, self._targets)]
        if method == "eda":
            return [edits.eda(text, rng, self._targets)]
        if method == "synonyms" and means.neighbours is not None:
            return [edits.synonyms(text, rng, means.neighbours, self._targets)]
        if method == "query_from_document" and means.having is not None:
            return [query_from_document(text, rng, means.having, means.documents)]
        if means.ask is None:
            return []
        if method == "query_generation":
            return asked.query_generation(text, means.ask, self.budget, self._targets)
        ask = asked.paraphrase if method == "paraphrase" else asked.back_translation
        return ask(text, means.ask, self.budget)
