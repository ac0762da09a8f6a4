"""A page of results and the opaque cursor to the next one. Refuses a cursor that it did not make."""

from __future__ import annotations

import base64
from typing import Generic, TypeVar

import msgspec

from meliora.errors import InvalidRequest

T = TypeVar("T")
S = TypeVar("S", str, int)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some results in order. `next` goes into the following request; None at the end."""

    items: tuple[T, ...]
    next: str | None = None


def encode(first: int, second: str | int) -> str:
    """Give the cursor that stands behind the row with these two sort values."""
    return base64.urlsafe_b64encode(msgspec.json.encode((first, second))).decode().rstrip("=")


def decode(cursor: str, second: type[S]) -> tuple[int, S]:
    """Give the two sort values back, the latter of type `second`. Raises `InvalidRequest` for what `encode` did not make."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        first, other = msgspec.json.decode(raw, type=tuple[int, str | int])
    except (ValueError, msgspec.MsgspecError) as error:
        raise _foreign() from error
    if not isinstance(other, second) or abs(first) >> 63:
        raise _foreign()
    return first, other


def _foreign() -> InvalidRequest:
    return InvalidRequest("The cursor is not one of ours.", hint="Leave it out to start over.", field="cursor")
