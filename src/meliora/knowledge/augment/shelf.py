"""Data sets as they are kept: each once by its content, with whose words are in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from meliora.knowledge.augment.examples import Example
from meliora.knowledge.augment.manifest import Manifest


class DataSet(msgspec.Struct, frozen=True, kw_only=True):
    """A made data set, without its examples."""

    id: str
    collection: str
    made_us: int
    made_by: str
    methods: tuple[str, ...]
    target_tokens: tuple[str, ...]
    examples: int
    quality_score: float
    """Mean quality of the examples, 0 to 1."""
    diversity_score: float | None
    """0 to 1; None for a single example."""
    sha256: str
    """Of the examples as JSON lines."""
    used_for_training: bool = False
    used_by: str | None = None
    """The change that trained on it last."""
    manifest: dict[str, Any]
    """The fields of `Manifest`."""

    @property
    def described(self) -> Manifest:
        """Give the manifest."""
        return msgspec.convert(self.manifest, Manifest)


class ToKeepSet(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that was made and is to be kept."""

    collection: str
    made_by: str
    manifest: Manifest
    examples: tuple[Example, ...]
    searched_us: int | None = None
    """When the oldest search was made whose words it has: it is kept no longer than those; None: it has none."""
    users: tuple[str, ...] = ()
    """People whose searches it was made of: erasing one of them deletes it."""
    read_us: int = 0
    """When those searches were read: whoever was erased since must not come back by it."""


class DataSetShelf(Protocol):
    """Data sets by tenant."""

    def put(self, tenant: str, made: ToKeepSet) -> tuple[DataSet, bool]:
        """Keep a set, and say whether it is new; one of the same content stays as it is.

        Raises `NotFound` for an unknown collection, `Conflict` where a person whose words are in it was erased meanwhile.
        """
        ...

    def get(self, tenant: str, id: str) -> DataSet:
        """Give one. Raises `NotFound`."""
        ...

    def examples(self, tenant: str, id: str) -> tuple[Example, ...]:
        """Give the examples of one, in their order. Raises `NotFound`, `StoreError` where they are not what was kept."""
        ...

    def list(self, tenant: str, collection: str | None = None, *, limit: int = 100) -> Sequence[DataSet]:
        """Give them, the newest first."""
        ...

    def mark(self, tenant: str, id: str, by: str) -> None:
        """Note that something was trained on it. Raises `NotFound`."""
        ...

    def delete(self, tenant: str, id: str) -> None:
        """Delete one, with its examples. Raises `NotFound`."""
        ...
