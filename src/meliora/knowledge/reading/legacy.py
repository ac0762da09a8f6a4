"""Encodings from before UTF-8: as a source declares them, else told by which letters they would give. Latin ones are not told apart."""

from __future__ import annotations

import re
import string

_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{2,30})|^\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([\w.:-]{2,30})""",
    re.IGNORECASE,
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,30})", re.IGNORECASE)
_KNOWN = re.compile(
    r"(?:x-)?(?:iso|windows|cp|koi8|shift|s-?jis|ms|euc|gb|big5|mac|tis|ks|utf-?(?:16|32))", re.IGNORECASE
)
_HEAD = 2_048
"""Bytes within which a document declares its encoding."""

_HIGH_SHARE = 0.4
"""Share of its letters from which on a text is not written in Latin ones."""
_SAMPLE = 20_000
_BEYOND, _LETTERS = bytes(range(128, 256)), string.ascii_letters.encode()

_CYRILLIC = ("cp1251", "koi8-r", "cp866", "iso8859-5")
_COMMON = frozenset("оеаинтсрвл")
"""The ten commonest letters of Russian: three of five that are written."""
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_HAN = re.compile("[\u4e00-\u9fff]")


def declared(data: bytes, content_type: str = "") -> str:
    """Give the encoding that an answer's type names, else the document itself; empty where none does, or none that is known here."""
    told = _CHARSET.search(content_type)
    if told is None:
        found = _DECLARED.search(data[:_HEAD])
        name = (found[1] or found[2]).decode("ascii", "replace") if found else ""
    else:
        name = told[1]
    return name if _KNOWN.match(name) else ""


def is_foreign(data: bytes) -> bool:
    """Tell whether most of a text's letters lie beyond ASCII, as they do in no Latin encoding."""
    sample = data[:_SAMPLE]
    high, letters = (len(sample) - len(sample.translate(None, of)) for of in (_BEYOND, _LETTERS))
    return high >= 8 and high > (high + letters) * _HIGH_SHARE


def guessed(data: bytes) -> str | None:
    """Give a text of which `is_foreign` holds, in Russian, Japanese, Korean or Chinese; None where it is told to be none of them."""
    sample = data[:_SAMPLE]
    for encoding, letters, share in (
        ("cp932", _KANA, 0.2),
        ("euc-jp", _KANA, 0.2),
        ("cp949", _HANGUL, 0.85),
    ):
        if _share(sample, encoding, letters) >= share:
            return data.decode(encoding, "replace")
    best = max(_CYRILLIC, key=lambda encoding: _russian(sample, encoding))
    if _russian(sample, best) >= 0.55:
        return data.decode(best, "replace")
    if _share(sample, "gb18030", _HAN) >= 0.6:
        return data.decode("gb18030", "replace")
    return None


def _share(sample: bytes, encoding: str, letters: re.Pattern[str]) -> float:
    """Give the share that some letters have in what is not ASCII; 0 where the bytes are not of the encoding."""
    text = sample.decode(encoding, "replace")
    # The sample may end within a letter.
    if "\ufffd" in text[:-2]:
        return 0.0
    foreign = sum(letter > "\x7f" for letter in text)
    return len(letters.findall(text)) / foreign if foreign else 0.0


def _russian(sample: bytes, encoding: str) -> float:
    """Give the share of the commonest small letters in what is not ASCII: another encoding swaps letters, or great ones and small."""
    text = sample.decode(encoding, "replace")
    foreign = sum(letter > "\x7f" for letter in text)
    return sum(letter in _COMMON for letter in text) / foreign if foreign else 0.0
