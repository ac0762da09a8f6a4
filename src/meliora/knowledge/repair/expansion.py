"""A learned table: for a word of queries the words of documents that answer it. Kept as bytes, named by their hash."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.text.analysis import VERSION

FORMAT = "meliora expansion 1"
MOST_TERMS = 2000
"""Terms that one table translates."""
MOST_WORDS = 20
"""Words that one term is translated to."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What terms of a query are asked as besides themselves. Immutable; equal tables have equal bytes."""

    words: Mapping[str, Mapping[str, float]]
    """By term; weights above 0 and at most 1, in what a word of the query itself weighs."""
    analysis: str = VERSION
    """Version of the analysis that made the terms."""
    notes: Mapping[str, str] = {}
    """How it was learned."""
    people: Mapping[str, tuple[str, ...]] = {}
    """By term: keyed hashes of who asked with it; an empty one stands for people who are not known by name, and for more than
    `forgetting.MOST`. Who is erased takes the terms along that nobody else asked with."""
    until_us: int = 0
    """Searches that began earlier were read."""
    format: str = FORMAT

    def of(self, term: str) -> Mapping[str, float]:
        """Give the words that a term is translated to; empty for one that was not learned."""
        return self.words.get(term, {})

    def over(self, older: Table) -> Table:
        """Give this table with what an older one has for other terms, as far as there is room."""
        rest = {term: own for term, own in older.words.items() if term not in self.words}
        room = max(0, MOST_TERMS - len(self.words))
        kept = dict(sorted(rest.items())[:room])
        people = {term: who for term, who in older.people.items() if term in kept}
        return msgspec.structs.replace(self, words={**self.words, **kept}, people={**self.people, **people})

    def encode(self) -> bytes:
        """Give it as bytes."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def sha256(self) -> str:
        """Give the hash of its bytes: its name."""
        return sha256(self.encode()).hexdigest()

    @classmethod
    def decode(cls, body: bytes) -> Table:
        """Read a table. Raises `InvalidRequest` for what is none, one of another format or analysis, and weights that are none."""
        try:
            seen = msgspec.json.decode(body, type=_Kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"This is no expansion table: {error}.", hint="Learn it again.") from error
        if seen.format != FORMAT or seen.analysis != VERSION:
            raise InvalidRequest(
                f"The expansion table is of format {seen.format!r} and analysis {seen.analysis!r}; "
                f"this Meliora reads {FORMAT!r} and {VERSION!r}.",
                hint="Learn it again.",
            )
        try:
            table = msgspec.json.decode(body, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"This is no expansion table: {error}.", hint="Learn it again.") from error
        table.check()
        return table

    def check(self) -> None:
        """Raise `InvalidRequest` for a table that is too large, or with a weight that is not above 0 and at most 1."""
        if len(self.words) > MOST_TERMS or any(len(own) > MOST_WORDS for own in self.words.values()):
            raise InvalidRequest(f"An expansion table has at most {MOST_TERMS} terms with {MOST_WORDS} words each.")
        for term, own in self.words.items():
            for word, weight in own.items():
                if not 0 < weight <= 1:
                    raise InvalidRequest(f"The weight {weight} of {word[:80]!r} for {term[:80]!r} is not in (0, 1].")


class _Kind(msgspec.Struct):
    format: str
    analysis: str
