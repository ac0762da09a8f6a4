"""A second look at the first results by a model that reads query and text together (Nogueira and Cho, 2019). Optional, and slow.

It never fails a search: where it is too slow, busy or broken, the order stays and the reason is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, Protocol

import msgspec

from meliora.errors import MissingExtra

FIRST = 10
"""Results that are looked at."""
LONGEST = 4000
"""Characters of a text that are read."""


class CrossEncoder(Protocol):
    """Scores texts for a query."""

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Give a number for each text; more is better."""
        ...


class SentenceTransformers:
    """A cross-encoder of sentence-transformers, loaded at its first use."""

    def __init__(self, model: str) -> None:
        """`model` is a folder, or a name that the library finds; nothing is loaded yet."""
        self._name = model
        self._model: Any = None
        self._loading = Lock()

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Give the model's scores. Raises `MissingExtra`, and what the library raises where the model cannot be had."""
        with self._loading:
            if self._model is None:
                self._model = self._load()
        return [float(score) for score in self._model.predict([(query, text) for text in texts])]

    def _load(self) -> Any:
        try:
            from sentence_transformers import (  # pyright: ignore[reportMissingImports]
                CrossEncoder as Model,  # pyright: ignore[reportUnknownVariableType]
            )
        except ImportError as error:
            raise MissingExtra(
                "A cross-encoder needs sentence-transformers.", hint="pip install 'meliora[cross-encoder]'"
            ) from error
        return Model(self._name)


class Looked(msgspec.Struct, frozen=True):
    """What a second look came to."""

    order: tuple[int, ...]
    """Places of the texts as they were given, best first."""
    scores: tuple[float, ...] = ()
    """Of the texts that were looked at, as they were given; empty where nothing was."""
    skipped: str = ""
    """Why the order stayed; empty: it was done."""


class SecondLook:
    """Asks a cross-encoder within a time, one query at once."""

    def __init__(self, encoder: CrossEncoder, seconds: float = 1.0) -> None:
        """`seconds` is how long an answer is waited for."""
        self._encoder, self._seconds = encoder, seconds
        self._asking = Lock()
        self._asked: Future[Sequence[float]] | None = None

    def __call__(self, query: str, texts: Sequence[str]) -> Looked:
        """Order the first `FIRST` texts anew; the rest stay behind them. Raises nothing that the encoder raises."""
        first = [text[:LONGEST] for text in texts[:FIRST]]
        stays = tuple(range(len(texts)))
        if not first:
            return Looked(stays)
        with self._asking:
            if self._asked is not None and not self._asked.done():
                return Looked(stays, skipped="the cross-encoder is busy with an earlier query")
            asked = self._asked = Future()
            # A thread that the end of the process does not wait for: what it asks may hang.
            Thread(target=self._ask, args=(asked, query, first), name="cross-encoder", daemon=True).start()
        try:
            scores = tuple(map(float, asked.result(self._seconds)))
        except TimeoutError:
            return Looked(stays, skipped=f"the cross-encoder took longer than {self._seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a library of any kind: whatever it raises, the search goes on and says so
            return Looked(stays, skipped=f"the cross-encoder failed: {type(error).__name__}: {error}"[:300])
        if len(scores) != len(first) or not all(map(math.isfinite, scores)):
            return Looked(
                stays, skipped=f"the cross-encoder gave {len(scores)} scores for {len(first)} texts, or no numbers"
            )
        best = sorted(range(len(first)), key=lambda at: (-scores[at], at))
        return Looked((*best, *stays[len(first) :]), scores)

    def _ask(self, asked: Future[Sequence[float]], query: str, texts: Sequence[str]) -> None:
        try:
            asked.set_result(self._encoder.score(query, texts))
        except BaseException as error:  # noqa: BLE001 - given to who asked, as a future does
            asked.set_exception(error)
