"""The prior as a file, and the one that is shipped. Refuses what is torn, altered or of another version of the features."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.errors import StoreError
from meliora.routing.learned.features import FEATURES_VERSION, HAND, IDS
from meliora.routing.learned.framed import BadSnapshot, Form, arrays_at, form, frame, header_of
from meliora.routing.learned.policy import Curve, Trunk
from meliora.routing.learning.prior import Line, Prior

SHIPPED = Path(__file__).with_name("public.prior")
"""Computed from public outcomes by `scripts/prior.py`."""

MAGIC = b"MELPRI1\n"
_WHAT = "routing prior"
_STORED: dict[str, str] = dict.fromkeys(
    ("trunk.centre", "trunk.scale", "trunk.idf", "trunk.rows", "trunk.usual", "hard", "prompts"), "<f2"
)


class _Header(msgspec.Struct, frozen=True):
    features: int
    trunk: str
    numbers: dict[str, float]
    ability: dict[str, float]
    dependence: dict[str, float]
    notes: dict[str, str]
    arrays: tuple[Form, ...]


def encode(prior: Prior) -> bytes:
    """Give the prior as bytes, most of it rounded to half precision; of the trunk's table only the rows that are not empty."""
    trunk = prior.trunk
    columns = np.flatnonzero(trunk.table.any(axis=1))
    arrays: dict[str, NDArray[np.floating]] = {
        "trunk.centre": trunk.centre,
        "trunk.scale": trunk.scale,
        "trunk.idf": trunk.idf,
        "trunk.columns": columns.astype(np.float32),
        "trunk.rows": trunk.table[columns],
        "trunk.usual": trunk.usual,
        "hard": prior.hard,
        "prompts": prior.prompts,
        "tokens": prior.tokens,
        "curve.pay": prior.curve.pay,
        "curve.quality": prior.curve.quality,
        "curve.cost": prior.curve.cost,
    }
    forms = tuple(form(name, array, _STORED) for name, array in arrays.items())
    numbers = {"doubt": prior.doubt, "noise": prior.noise, "answer": prior.answer}
    header = _Header(
        FEATURES_VERSION,
        trunk.id,
        numbers,
        _plain(prior.ability),
        _plain(prior.dependence),
        dict(prior.notes),
        forms,
    )
    return frame(MAGIC, header, forms, arrays)


def decode(blob: bytes) -> Prior:
    """Give the prior. Raises `BadSnapshot`, which says what is wrong with the bytes."""
    head, at = header_of(blob, MAGIC, _WHAT)
    try:
        header = msgspec.msgpack.decode(head, type=_Header)
    except msgspec.DecodeError as error:
        raise BadSnapshot(f"the routing prior's header cannot be read: {error}") from error
    if header.features != FEATURES_VERSION:
        raise BadSnapshot(
            f"the routing prior reads features of version {header.features}, this code has {FEATURES_VERSION}",
            hint="Compute it again with this release: scripts/prior.py.",
        )
    found = arrays_at(blob, at, header.arrays, _WHAT)
    try:
        return _checked(_built(header, found))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadSnapshot(f"the parts of the routing prior do not fit together: {error}") from error


def load(path: Path = SHIPPED) -> Prior:
    """Read a prior from a file. Raises `BadSnapshot`, or `StoreError` where the file cannot be read."""
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise StoreError(f"The routing prior {path.name} cannot be read: {error.strerror or error}.") from error
    return decode(blob)


def _plain(line: Line) -> dict[str, float]:
    return {one.name: float(getattr(line, one.name)) for one in fields(line)}


def _built(header: _Header, found: dict[str, Any]) -> Prior:
    table = np.zeros((IDS, found["trunk.rows"].shape[1]), np.float32)
    table[found["trunk.columns"].astype(np.int64)] = found["trunk.rows"]
    numbers = header.numbers
    trunk = Trunk(
        header.trunk,
        found["trunk.centre"],
        found["trunk.scale"],
        found["trunk.idf"],
        table,
        usual=found["trunk.usual"],
    )
    return Prior(
        trunk=trunk,
        hard=found["hard"],
        ability=Line(**header.ability),
        dependence=Line(**header.dependence),
        doubt=numbers["doubt"],
        noise=numbers["noise"],
        prompts=found["prompts"],
        tokens=found["tokens"],
        answer=numbers["answer"],
        curve=Curve(found["curve.pay"], found["curve.quality"], found["curve.cost"]),
        notes=header.notes,
    )


def _checked(prior: Prior) -> Prior:
    trunk, size = prior.trunk, prior.trunk.size
    right = (
        trunk.centre.shape == trunk.scale.shape == (HAND,)
        and trunk.idf.shape == (IDS,)
        and prior.hard.shape == prior.prompts.shape[1:] == (size,)
        and prior.tokens.shape == prior.prompts.shape[:1]
        and len(prior.tokens) > 0
        and prior.curve.pay.shape == prior.curve.quality.shape == prior.curve.cost.shape
        and len(prior.curve.pay) > 0
        and trunk.usual.shape in {(0, 0), (trunk.size - 1, trunk.size - 1)}
        and prior.noise > 0
        and prior.doubt > 0
    )
    if not right:
        raise ValueError("an array has another shape than its neighbours")
    return prior
