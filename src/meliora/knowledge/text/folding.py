"""A word as it is compared: one form for each letter, no case, no accents, nothing that cannot be seen."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

LONGEST = 64
"""Letters of a word that are compared; the rest is cut."""

JOINERS = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef"
"""Characters that take no room: a word is the same with and without them. The inside of a class of a pattern."""
MARKS = "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
"""Accents and vowel signs that stand by themselves, which `\\w` leaves out."""
INDIC = "\u0900-\u0963\u0966-\u0df3"
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17d3\u2e80-\u2fdf\u3005-\u3007\u3031-\u3035\u303b\u3041-\u3096"
    "\u3099-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Letters of scripts that set no space between words, or join much to them."""

_OTHERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ё": "е"}
_DROPPED = {"ـ"}


def plain(word: str) -> str:
    """Give a word in its one form (Unicode NFKC), without case and unseen characters, at most `LONGEST` letters; accents stay."""
    if word.isascii():
        return word.lower()[:LONGEST]
    # Compatibility forms grow (one letter of Arabic becomes eighteen), so a word is cut before and after.
    formed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word[: LONGEST * 4]).casefold())
    return "".join(filter(_shown, formed))[:LONGEST]


def fold(word: str) -> str:
    """Give a word without its accents: Latin, Greek, and the points of Arabic and Hebrew. `й` is a letter of its own, and stays."""
    return word if word.isascii() else "".join(map(_bare, word))[:LONGEST]


@lru_cache(4096)
def _shown(letter: str) -> bool:
    return letter.isalnum() or (unicodedata.category(letter)[0] == "M" and not "\ufe00" <= letter <= "\ufe0f")


@lru_cache(4096)
def _bare(letter: str) -> str:
    if letter in _OTHERS:
        return _OTHERS[letter]
    if letter in _DROPPED or "\u0300" <= letter <= "\u036f" or "\u0591" <= letter <= "\u05c7":
        return ""
    if "\u064b" <= letter <= "\u065f" or letter == "\u0670":
        return ""
    if letter < "\u0400" or "\u1e00" <= letter <= "\u1fff":
        return "".join(one for one in unicodedata.normalize("NFD", letter) if not unicodedata.combining(one))
    return letter
