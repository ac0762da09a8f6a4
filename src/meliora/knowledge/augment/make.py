"""Makes a data set: methods in turn over the sources, near-duplicates of the test set and of each other refused, the rest scored."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.augment import asked, edits
from meliora.knowledge.augment.aims import aims
from meliora.knowledge.augment.examples import ASKING, Ask, Example, Method, Neighbours, Source
from meliora.knowledge.augment.quality import ForbiddenQueries, diversity, quality, words
from meliora.knowledge.augment.salient import query_from_document
from meliora.knowledge.text.analysis import analyse

OF_TEXT: frozenset[Method] = frozenset({"query_from_document", "query_generation"})
"""Methods that read a document; the others alter a query."""
ROUNDS = 5
"""Times that the sources are gone through to come to a wished number."""


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
    """By reason: `test_set`, `unchanged`, `twice`, `quality`, `no target`, `budget`, `no usable answer` of a model, or a method without
    its means."""
    calls: int
    diversity: float | None


def make(
    sources: Sequence[Source],
    methods: Sequence[Method],
    test: ForbiddenQueries,
    means: Means,
    *,
    seed: int,
    targets: Sequence[str] = (),
    least: float = 0.5,
    most: int | None = None,
) -> Made:
    """Make examples; equal for equal arguments and answers. `targets` are words to aim at, `least` the quality that is kept.

    With `most` it goes on, in rounds of other draws, until there are so many or a round adds none. Each source is used by one method
    before any is used by a second.

    Raises `InvalidRequest` for a budget below 0, and what `ask` raises.
    """
    if means.calls < 0:
        raise InvalidRequest(f"A budget of {means.calls} calls is none.", field="calls")
    maker = _Maker(means, targets, seed)
    refused: dict[str, int] = {}
    examples: dict[tuple[str, str], Example] = {}
    for number in range(1 if most is None else ROUNDS):
        before = len(examples)
        for source, method in _turns(sources, methods):
            made, reason = maker(source, method, number)
            reasons = [reason] if reason else []
            for example in made:
                if len(examples) == most:
                    break
                key = (_content(example.query), example.document)
                reasons.append(maker.beside(example) or _why_not(example, key, examples, test, least))
                if not reasons[-1]:
                    examples[key] = example
            for one in filter(None, reasons):
                refused[one] = refused.get(one, 0) + 1
            if len(examples) == most:
                break
        if len(examples) in (before, most):
            break
    kept = tuple(examples.values())
    different = diversity([one.query for one in kept])
    return Made(examples=kept, refused=refused, calls=maker.budget.made, diversity=different)


def _turns(sources: Sequence[Source], methods: Sequence[Method]) -> Iterator[tuple[Source, Method]]:
    for shift in range(len(methods)):
        for at, source in enumerate(sources):
            yield source, methods[(at + shift) % len(methods)]


def _why_not(
    example: Example, key: tuple[str, str], known: dict[tuple[str, str], Example], test: ForbiddenQueries, least: float
) -> str:
    if test.has(example.query):
        return "test_set"
    if key[0] == _content(example.made_of) or not key[0]:
        return "unchanged"
    if key in known:
        return "twice"
    return "quality" if example.quality < least else ""


def _content(query: str) -> str:
    """Give what a search sees of a query: its words in no order, without stop words; all of them where it has no others."""
    return " ".join(sorted(analyse(query).terms or words(query)))


class _Maker:
    def __init__(self, means: Means, targets: Sequence[str], seed: int) -> None:
        self._means, self._targets, self._seed = means, targets, seed
        self._aimed = aims(targets)
        self.budget = asked.Budget(means.calls)

    def __call__(self, source: Source, method: Method, number: int = 0) -> tuple[list[Example], str]:
        """Make examples of a source by a method in a round of a number, or say why there are none."""
        made_of = source.text if method in OF_TEXT else source.query
        if not made_of:
            return [], "" if source.query or source.text else "nothing to make it of"
        lacking = self._lacking(method)
        if lacking:
            return [], lacking
        drawn = f"{self._seed}\0{number}\0{method}\0{source.document}\0{made_of[:1000]}"
        digest = sha256(drawn.encode("utf-8", "replace")).digest()
        queries = self._queries(made_of, method, random.Random(int.from_bytes(digest[:8], "big")))
        if not queries and method in ASKING:
            return [], "no usable answer"
        plain = [Example(query=one, document=source.document, made_of=made_of, method=method) for one in queries]
        return [msgspec.structs.replace(one, quality=quality(one, self._means.found)) for one in plain], ""

    def beside(self, example: Example) -> str:
        """Say that an example is about none of the words aimed at, where it is: neither has one, nor did what was edited have one."""
        texts = (example.query,) if example.method in OF_TEXT else (example.query, example.made_of)
        if not self._targets or any(self._aimed(word) for text in texts for word in words(text)):
            return ""
        return "no target"

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
            return [query_from_document(text, rng, means.having, means.documents, targets=self._targets)]
        if means.ask is None:
            return []
        if method == "query_generation":
            return asked.query_generation(text, means.ask, self.budget, self._targets)
        ask = asked.paraphrase if method == "paraphrase" else asked.back_translation
        return ask(text, means.ask, self.budget)
