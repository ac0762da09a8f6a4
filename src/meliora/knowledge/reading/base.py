"""What reading gives, and what it may cost."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.knowledge.documents import Document, Scalar

MEGABYTE = 1_000_000


class Refused(msgspec.Struct, frozen=True):
    """Something that could not be read, and why."""

    source: str
    reason: str
    hint: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What reading may cost."""

    file_bytes: int = 20 * MEGABYTE
    files: int = 100_000
    depth: int = 32
    """Folders in folders."""
    pdf_pages: int = 2_000
    pdf_seconds: float = 30.0


Read = Document | Refused


def too_large(source: str, size: int, limits: Limits) -> Refused:
    """Refuse a file for its size, naming the limit."""
    return Refused(
        source,
        f"it has {size:,} bytes; a file may have {limits.file_bytes:,}",
        "Split it, or raise knowledge.document_bytes.",
    )


def metadata_of(fields: dict[str, Any]) -> dict[str, Scalar | tuple[Scalar, ...]]:
    """Give what can be metadata: scalars and lists of them, and what is nested in objects by dotted names, three deep."""
    found: dict[str, Scalar | tuple[Scalar, ...]] = {}
    _gather(fields, "", found, 3)
    return found


def _gather(fields: dict[str, Any], above: str, found: dict[str, Any], deep: int) -> None:
    for name, value in fields.items():
        if isinstance(value, (str, int, float, bool)):
            found[above + str(name)] = value
        elif isinstance(value, list) and all(isinstance(one, (str, int, float, bool)) for one in value):
            found[above + str(name)] = tuple(value)
        elif isinstance(value, dict) and deep > 1:
            _gather(value, f"{above}{name}.", found, deep - 1)
