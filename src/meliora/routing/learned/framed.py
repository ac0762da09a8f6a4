"""Named arrays as bytes: a header, raw little-endian numbers, a checksum. Refuses what is torn or altered; no pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.errors import MelioraError

_CHECK = 32
_MOST = 64 * 1024 * 1024
_KINDS = {"<f2", "<f4", "<f8"}


class BadSnapshot(MelioraError):
    """Refuse a routing snapshot; the policy before it serves on."""

    code: ClassVar[str] = "bad_snapshot"


class Form(msgspec.Struct, frozen=True):
    """How an array lies in the bytes; the forms stand in the header, in the order of the arrays."""

    name: str
    kind: str
    shape: tuple[int, ...]


def form(name: str, array: NDArray[np.floating], stored: Mapping[str, str]) -> Form:
    """Give an array's form: double precision as it is, all else in single, or as `stored` says."""
    return Form(name, stored.get(name, "<f8" if array.dtype == np.float64 else "<f4"), array.shape)


def frame(
    magic: bytes, header: msgspec.Struct, forms: Sequence[Form], arrays: Mapping[str, NDArray[np.floating]]
) -> bytes:
    """Give header and arrays as bytes."""
    head = msgspec.msgpack.encode(header)
    parts = [np.ascontiguousarray(arrays[one.name], np.dtype(one.kind)).tobytes() for one in forms]
    body = magic + len(head).to_bytes(4, "little") + head + b"".join(parts)
    return body + hashlib.sha256(body).digest()


def header_of(blob: bytes, magic: bytes, what: str) -> tuple[bytes, int]:
    """Give the header's bytes, and where the arrays begin. Raises `BadSnapshot` where the whole is not as it was written."""
    if not blob.startswith(magic):
        raise BadSnapshot(f"this is no {what} of this release", hint="Make it again with this release.")
    if len(blob) > _MOST or hashlib.sha256(blob[:-_CHECK]).digest() != blob[-_CHECK:]:
        raise BadSnapshot(f"the {what} is torn or was altered", hint="Fetch it again, or roll back.")
    start = len(magic) + 4
    end = start + int.from_bytes(blob[len(magic) : start], "little")
    return blob[start:end], end


def arrays_at(
    blob: bytes, at: int, forms: Sequence[Form], what: str, may_be_nan: Container[str] = ()
) -> dict[str, NDArray[np.floating]]:
    """Give the arrays, read-only, in single precision or double. Raises `BadSnapshot`, which says what is wrong with which."""
    found = {}
    for array in forms:
        if array.kind not in _KINDS or any(size < 0 for size in array.shape):
            raise BadSnapshot(f"{array.name} of the {what} has the unknown form {array.kind}{array.shape}")
        size = int(np.prod(array.shape, dtype=np.int64)) * int(array.kind[2])
        if at + size > len(blob) - _CHECK:
            raise BadSnapshot(f"{array.name} of the {what} is cut off")
        values = np.frombuffer(blob, np.dtype(array.kind), size // int(array.kind[2]), at).reshape(array.shape)
        found[array.name] = values.astype(np.float64 if array.kind == "<f8" else np.float32)
        found[array.name].flags.writeable = False
        if array.name not in may_be_nan and not np.isfinite(values).all():
            raise BadSnapshot(f"{array.name} of the {what} has numbers that are not finite")
        at += size
    return found
