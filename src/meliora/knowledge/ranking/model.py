"""The reranker and its file: one line of JSON that says what it is, then LightGBM's trees as text. Named by its SHA-256.

A file of another format, other features or another text analysis is refused: its scores would be numbers without meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np

from meliora.errors import Conflict, InvalidRequest
from meliora.knowledge.ranking.batch import Array
from meliora.knowledge.ranking.boosting import lightgbm
from meliora.knowledge.ranking.features import NAMES, schema
from meliora.knowledge.text.analysis import VERSION as ANALYSIS

FORMAT = "meliora.reranker/1"
LARGEST = 64 * 1024 * 1024
"""Bytes of a file; one as trained here has under 1 MB."""
BACKGROUND = 100
"""Rows of features that a file keeps."""
_FUSED = NAMES.index("fused")
_AGAIN = "Train it again with this version."


class Boosting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a reranker is grown."""

    rounds: int = 120
    leaves: int = 6
    rate: float = 0.05
    least: int = 60
    """Candidates of the smallest leaf."""
    features: float = 0.3
    """Share of the features that a tree sees."""
    queries: float = 0.7
    """Share of the queries that it sees."""
    shrinkage: float = 10.0
    """L2 penalty of a leaf's value."""
    bags: int = 3
    """Models that vote."""
    blend: float = 0.5
    """Weight of the fused score (feature `fused`) that the trees start from, and that is added to their vote."""


CHOSEN = Boosting()
"""As measured by `benchmarks/search/ltr.py`."""


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reranker was trained from."""

    judgments: tuple[str, ...] = ()
    """Ids of judgment sets."""
    queries: int
    skipped: int
    """Queries whose candidates were all relevant or all not."""
    rows: int
    relevant: int
    seed: int
    boosting: Boosting
    people: tuple[str, ...] = ()
    """Keyed hashes of those whose searches were among the queries."""
    until_us: int = 0
    """Searches that began earlier were read."""
    erased: int = 0
    """How many of those people were erased since: the trees hold no words, but the next training is to replace them."""
    learned: tuple[str, ...] = ()
    """The queries that it learned from, as `quality.evidence.fingerprint` gives them: they prove nothing of it."""


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first line of the file says."""

    format: str
    schema: str
    """SHA-256 of the features that it takes (`features.schema`)."""
    features: tuple[str, ...]
    analysis: str
    """Version of the text analysis."""
    blend: float
    training: Training
    figures: dict[str, float]
    """What was measured of it when it was trained."""
    sizes: tuple[int, ...]
    """Bytes of each model's trees."""
    trees: str
    """SHA-256 of all of them."""
    background: tuple[tuple[float, ...], ...] = ()
    """Rows of features that it was trained on, drawn by lot: what an explanation is held against."""


class Reranker:
    """Scores candidates. Safe to use from several threads."""

    def __init__(self, head: Head, trees: Sequence[bytes]) -> None:
        """Load the trees. Raises `MissingExtra`, `InvalidRequest` where LightGBM does not read them."""
        library = lightgbm()
        self.head = head
        self._trees = tuple(trees)
        try:
            self._models = [library.Booster(model_str=one.decode()) for one in trees]
        except (library.basic.LightGBMError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"The trees of a reranker cannot be read: {error}", hint=_AGAIN) from error
        if any(len(row) != len(NAMES) for row in head.background):
            raise InvalidRequest(f"The rows that a reranker keeps do not have {len(NAMES)} features.", hint=_AGAIN)
        self.background: Array = np.array(head.background, dtype=float).reshape(-1, len(NAMES))
        """[rows, features]; of a file of earlier times, no rows."""
        if any(model.num_feature() != len(NAMES) for model in self._models):
            raise InvalidRequest(
                f"The trees of a reranker do not take the {len(NAMES)} features it names.", hint=_AGAIN
            )

    def write(self) -> bytes:
        """Give its file."""
        return b"\n".join([msgspec.json.encode(self.head), b"".join(self._trees)])

    @property
    def sha256(self) -> str:
        """Give the name of its file."""
        return sha256(self.write()).hexdigest()

    def score(self, table: Array) -> Array:
        """Give a score for each row of features; more is better, within one query only."""
        if not len(table):
            return np.zeros(0)
        votes = [model.predict(table, raw_score=True, num_threads=1) for model in self._models]
        return np.mean(votes, axis=0) + self.head.blend * table[:, _FUSED]

    def contributions(self, table: Array) -> list[dict[str, float]]:
        """Give what each feature added to each row's score, and the `bias`: they sum to it (TreeSHAP: Lundberg et al., 2020)."""
        if not len(table):
            return []
        shares = [model.predict(table, pred_contrib=True, num_threads=1) for model in self._models]
        mean = np.mean(shares, axis=0)
        mean[:, _FUSED] += self.head.blend * table[:, _FUSED]
        return [dict(zip((*NAMES, "bias"), row, strict=True)) for row in mean.tolist()]


def made(trees: Sequence[str], training: Training, figures: Mapping[str, float], rows: Array) -> Reranker:
    """Give a reranker of freshly trained trees, bound to the features and the text analysis of this version; `rows` grew them."""
    parts = [one.encode() for one in trees]
    head = Head(
        format=FORMAT,
        schema=schema(),
        features=NAMES,
        analysis=ANALYSIS,
        blend=training.boosting.blend,
        training=training,
        figures=dict(figures),
        sizes=tuple(map(len, parts)),
        trees=sha256(b"".join(parts)).hexdigest(),
        background=_background(rows, training.seed),
    )
    return Reranker(head, parts)


def read(data: bytes) -> Reranker:
    """Read a reranker's file.

    Raises `Conflict` for a file of another format, of other features or another text analysis, naming both; `InvalidRequest`
    for one that is none or is damaged; `MissingExtra`.
    """
    if len(data) > LARGEST:
        raise InvalidRequest(f"A reranker's file has {len(data)} bytes; {LARGEST} are allowed.")
    head, body = head_of(data)
    _same("text analysis", head.analysis, ANALYSIS)
    _same("features", head.schema, schema())
    if not head.sizes or min(head.sizes) < 1 or sum(head.sizes) != len(body) or sha256(body).hexdigest() != head.trees:
        raise InvalidRequest("The trees of a reranker's file are damaged or cut.", hint=_AGAIN)
    ends = np.cumsum(head.sizes).tolist()
    return Reranker(head, [body[end - size : end] for end, size in zip(ends, head.sizes, strict=True)])


def head_of(data: bytes) -> tuple[Head, bytes]:
    """Give what a reranker's file says of itself, and the rest of it. Raises `Conflict`, `InvalidRequest` as `read` does."""
    line, _, body = data.partition(b"\n")
    _same("format", _said_format(line), FORMAT)
    try:
        return msgspec.json.decode(line, type=Head), body
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"The head of a reranker's file is damaged: {error}", hint=_AGAIN) from error


def _said_format(line: bytes) -> str:
    try:
        said: Any = msgspec.json.decode(line)
    except msgspec.MsgspecError as error:
        raise InvalidRequest("This is no reranker's file: its first line is no JSON.") from error
    return str(said.get("format", "none"))[:80] if isinstance(said, dict) else "none"


def _same(what: str, said: str, own: str) -> None:
    if said != own:
        raise Conflict(f"A reranker's file is of {what} {said[:80]!r}, this version has {own!r}.", hint=_AGAIN)


def _background(rows: Array, seed: int) -> tuple[tuple[float, ...], ...]:
    drawn = np.random.default_rng(seed).permutation(len(rows))[:BACKGROUND]
    return tuple(map(tuple, rows[drawn].round(4).tolist()))
