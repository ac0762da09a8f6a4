"""From a document to what an index keeps of its passages: the record that is shown, and what tantivy is given. Text is data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import msgspec

from meliora.knowledge.documents import Document, Kept, Mark, Passage, Scalar
from meliora.knowledge.filters import OWN, Filter, passes, values_of
from meliora.knowledge.index.base import Stored
from meliora.knowledge.text.analysis import Analysed, analyse, grams
from meliora.knowledge.text.remembered import Remembered

Chunk = Callable[[Document], Sequence[Passage]]
LONGEST = 100
"""Characters of a term; a longer one stands by its beginning and its hash."""
LONGEST_GRAMS = 64
"""Characters of a word that character n-grams are made of."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A passage as it is kept: all that `Stored` has, and what a later deletion needs."""

    document: str
    number: int
    title: str
    text: str
    start: int
    end: int
    terms: str
    """Joined by spaces."""
    title_terms: str
    source: str
    metadata: dict[str, str | int | float | bool | tuple[str | int | float | bool, ...]]
    marks: tuple[Mark, ...]
    updated_us: int
    hash: str
    category: str
    language: str
    user: str

    @property
    def all_terms(self) -> list[str]:
        """Give the terms of title and text."""
        return self.title_terms.split() + self.terms.split()

    def stored(self) -> Stored:
        """Give it as a view does."""
        return Stored(
            document=self.document,
            number=self.number,
            title=self.title,
            text=self.text,
            start=self.start,
            end=self.end,
            terms=tuple(self.terms.split(" ")) if self.terms else (),
            title_terms=tuple(self.title_terms.split(" ")) if self.title_terms else (),
            source=self.source,
            metadata=self.metadata,
            marks=self.marks,
            updated_us=self.updated_us,
        )

    def fields(self) -> Iterator[tuple[str, tuple[Scalar, ...]]]:
        """Give the fields that a filter may name, with their values."""
        own = self._own()
        for field in (*OWN, *(name for name in self.metadata if name not in OWN)):
            yield field, values_of(field, own, self.metadata)

    def passes(self, where: Filter) -> bool:
        """Tell whether a filter lets it through."""
        return passes(where, self._own(), self.metadata)

    def _own(self) -> dict[str, Scalar]:
        return {
            "id": self.document,
            "source": self.source,
            "category": self.category,
            "language": self.language,
            "user": self.user,
            "updated_us": self.updated_us,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage on its way into an index."""

    record: Record
    terms: Sequence[str]
    """Of title and text."""
    written: tuple[str, ...]
    """Words of title and text."""

    @property
    def name(self) -> str:
        """Give the passage's id."""
        return f"{self.record.document}#{self.record.number}"


def entries(kept: Kept, chunk: Chunk) -> list[Entry]:
    """Give the passages of a document; one without text where it has none, so that the index is known to hold it."""
    document = _clean(kept.document)
    passages = chunk(document) or (
        Passage(document=document.id, number=0, title=document.title, text="", start=0, end=0),
    )
    titles: dict[str, Analysed] = {}
    return [_entry(kept, document, one, titles) for one in passages]


def _entry(kept: Kept, document: Document, passage: Passage, titles: dict[str, Analysed]) -> Entry:
    if passage.title not in titles:
        titles[passage.title] = _analysed(passage.title, document.language)
    title, text = titles[passage.title], _analysed(passage.text, document.language)
    record = Record(
        document.id,
        passage.number,
        passage.title,
        passage.text,
        passage.start,
        passage.end,
        " ".join(text.terms),
        " ".join(title.terms),
        document.source,
        dict(document.metadata),
        kept.marks,
        kept.updated_us,
        kept.hash,
        document.category,
        document.language,
        document.user,
    )
    return Entry(record, title.terms + text.terms, title.written + text.written)


def _analysed(text: str, language: str) -> Analysed:
    found = analyse(text, language)
    return Analysed(all_safe(found.terms), all_safe(found.written))


def again(record: Record) -> Entry:
    """Analyse a kept passage again: what it had added is to be taken away."""
    written = (*analyse(record.title, record.language).written, *analyse(record.text, record.language).written)
    return Entry(record, record.all_terms, all_safe(written))


def all_safe(terms: tuple[str, ...]) -> tuple[str, ...]:
    """Give terms as the index holds them; as a rule they are so already."""
    whole = " ".join(terms)
    if terms and "\0" not in whole and len(whole.split()) == len(terms) and len(max(terms, key=len)) <= LONGEST:
        return terms
    return tuple(map(safe, terms))


@lru_cache(200_000)
def safe(term: str) -> str:
    """Give a term as the index holds it: without white space, and not longer than it takes."""
    if term.isalnum() and len(term) <= LONGEST:
        return term
    term = "_".join(_unicode(term).replace("\0", " ").split()) or "_"
    if len(term) > LONGEST:
        digest = blake2b(term.encode(), digest_size=8).hexdigest()
        term = f"{term[: LONGEST - 17]}~{digest}"
    return term


def grams_of(words: Iterable[str]) -> str:
    """Give the character n-grams of words, joined by spaces."""
    return " ".join(map(_grams().__getitem__, words))


@lru_cache(1)
def _grams() -> Remembered[str]:
    def of_word(word: str) -> str:
        found = grams((word[:LONGEST_GRAMS],))
        return " ".join(found if word.isalnum() else map(safe, found))

    return Remembered(of_word, 100_000, LONGEST)


def token(field: str, value: Scalar) -> str | None:
    """Give what stands in the index for a field's value, equal for what a filter holds for equal; None: equal to nothing."""
    if isinstance(value, bool):
        kind, said = "b", str(value)
    elif isinstance(value, str):
        kind, said = "s", _unicode(value)
    elif isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        kind, said = "n", str(value)
    else:
        kind, said = "n", str(int(value)) if value == int(value) else repr(value)
    whole = f"{_unicode(field)}\x1f{kind}{said}"
    return whole if len(whole) <= 2 * LONGEST else blake2b(whole.encode(), digest_size=16).hexdigest()


def tokens(fields: Iterable[tuple[str, tuple[Scalar, ...]]]) -> Iterator[str]:
    """Give the tokens of a passage's fields."""
    for field, values in fields:
        for value in values:
            said = token(field, value)
            if said is not None:
                yield said


def _clean(document: Document) -> Document:
    """Give a document without lone surrogates and numbers of more than 64 bits, which neither file nor engine takes."""
    try:
        msgspec.msgpack.encode(document)
    except (UnicodeEncodeError, OverflowError):
        fixed = {
            name: _unicode(getattr(document, name))
            for name in ("id", "text", "title", "source", "category", "language", "user")
        }
        return msgspec.structs.replace(document, metadata=_fixed(document.metadata), **fixed)
    return document


def _fixed(metadata: Mapping[str, Scalar | tuple[Scalar, ...]]) -> dict[str, Scalar | tuple[Scalar, ...]]:
    def one(value: Scalar) -> Scalar:
        if isinstance(value, str):
            return _unicode(value)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return float(value) if abs(value) < 10**300 else math.inf if value > 0 else -math.inf
        return value

    return {
        _unicode(name): tuple(map(one, value)) if isinstance(value, (tuple, list)) else one(value)
        for name, value in metadata.items()
    }


def _unicode(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
