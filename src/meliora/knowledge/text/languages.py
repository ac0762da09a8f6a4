"""Which language a text is in, told by its script and its commonest words. Short or mixed texts are not guessed at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from meliora.knowledge.text.folding import fold
from meliora.knowledge.text.stopwords import stop_words

UNKNOWN = "und"
"""A language whose stems and common words are not known (ISO 639-2)."""
SAMPLE = 3_000
"""Characters that are looked at."""

_WORD = re.compile(r"[^\W\d_]+")
_SPACED = {code: " " for code in range(128) if not chr(code).isalpha()}
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_NOT_RUSSIAN = re.compile("[іїєґўђјљњћџѓќѕ]")
_SCRIPTS = re.compile("[\u0370-\u03ff\u0530-\u1fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""Scripts of languages that are not told apart: Greek, Hebrew, Arabic, Indic, East Asian."""


def language_of(text: str, otherwise: str = "en") -> str:
    """Give the language of a text in two letters; `UNKNOWN` where it is surely none that is known; `otherwise` where it cannot be told.

    Told needs three common words of the language, a fifth more than of `otherwise` and of the next one.
    """
    sample = text[:SAMPLE]
    if not sample.isascii():
        script = _script(sample)
        if script:
            return script
    if sample.isascii():
        words = sample.lower().translate(_SPACED).split()
        found = _votes(words)
    else:
        words = _WORD.findall(sample.lower())
        found = _votes(map(fold, words))
    if not found:
        return UNKNOWN if _foreign(sample, words) else otherwise
    (best, most), second = found[0], found[1][1] if len(found) > 1 else 0
    if most >= 3 and best != otherwise and (second * 1.2 > most or dict(found).get(otherwise, 0) * 1.2 > most):
        return otherwise
    if most < 3 or most < len(words) / 8:
        return UNKNOWN if _foreign(sample, words) else otherwise
    return best


def _votes(words: Iterable[str]) -> list[tuple[str, int]]:
    votes: Counter[str] = Counter()
    for languages, times in Counter(filter(None, map(_profile().get, words))).items():
        for language in languages:
            votes[language] += times
    return votes.most_common()


def _foreign(sample: str, words: list[str]) -> bool:
    """Tell whether a text is long enough to have had common words, and is written with letters that English has not."""
    return len(words) >= 20 and sum(letter > "\x7f" and letter.isalpha() for letter in sample) > len(sample) / 50


def _script(sample: str) -> str:
    letters = sum(map(str.isalpha, sample)) or 1
    lower = sample.lower()
    if len(_CYRILLIC.findall(sample)) * 2 > letters:
        # A few letters are foreign words; more of them are another language of the same script.
        return UNKNOWN if len(_NOT_RUSSIAN.findall(lower)) * 100 > letters else "ru"
    return UNKNOWN if len(_SCRIPTS.findall(sample)) * 2 > letters else ""


@lru_cache(1)
def _profile() -> dict[str, tuple[str, ...]]:
    """Give the languages of each common word, but of those that many languages have, which tell nothing."""
    found: dict[str, list[str]] = {}
    for language, words in stop_words().items():
        for word in words:
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items() if len(word) > 1 and len(languages) <= 4}
