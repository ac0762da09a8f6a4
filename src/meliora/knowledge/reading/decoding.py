"""From bytes to text: by the mark at the beginning, as UTF-8, as declared, else as what its letters tell. Bytes of pictures are no text."""

from __future__ import annotations

import codecs

from meliora.knowledge.reading import legacy

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ODD = bytes({*range(9), 11, *range(14, 27), *range(28, 32)})


def decode(data: bytes, declared: str = "") -> str | None:
    """Give the text of bytes; None where they are no text, or of an encoding that cannot be told.

    `declared` is what is said to be their encoding, and counts where they are not UTF-8. Single bytes of no encoding become `U+FFFD`,
    which is marked as garbled later.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, "replace")
    sample = data[:65_536]
    if b"\0" in sample:
        return _wide(data, sample)
    if b"\x1b$" in sample and (escaped := _as_declared(data, "iso2022_jp")) is not None:
        return escaped
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if declared and (told := _as_declared(data, declared)) is not None:
            return told
        if is_binary(sample):
            return None
        # Much that is right before or after one broken byte speaks for UTF-8.
        broken = data.decode("utf-8", "replace")
        right = sum(letter > "\x7f" for letter in broken) - broken.count("\ufffd")
        if right > broken.count("\ufffd") or error.start >= len(data) - 3:
            return broken
        return legacy.guessed(data) if legacy.is_foreign(data) else data.decode("cp1252", "replace")
    return None if is_binary(sample) else text


def _as_declared(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, ValueError):
        return None  # not what it says it is


def _wide(data: bytes, sample: bytes) -> str | None:
    """Read UTF-16 without a mark, which has a zero in every second byte of Latin text; else the bytes are no text."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) / 2
    if odd > half * 0.6 and even < half * 0.05:
        return data.decode("utf-16-le", "replace")
    if even > half * 0.6 and odd < half * 0.05:
        return data.decode("utf-16-be", "replace")
    return None


def is_binary(data: bytes) -> bool:
    """Tell whether bytes have what no text has."""
    sample = data[:65_536]
    return b"\0" in sample or len(sample) - len(sample.translate(None, _ODD)) > len(sample) * 0.02
