"""Scorers at work on recorded answers, each asked once about each answer in its sample; judges held against people's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import msgspec
import structlog

from meliora.errors import MelioraError
from meliora.routing.learning.labels import Calibration, calibrated
from meliora.routing.learning.records import Unscored
from meliora.routing.learning.scorers import Sample, Score, Scorer
from meliora.settings.learning import Scorer as ScorerSettings

log = structlog.get_logger(__name__)

BATCH = 20
"""Answers that a scorer is asked about before other tasks get their turn."""
HORIZON_US = 86_400_000_000
"""Answers older than a day are not scored: a scorer that is new begins with today's."""


class ScoreBook(Protocol):
    """Scores as the store keeps them. All methods raise `StoreError`."""

    def unscored(
        self, tenant: str, scorer: str, *, tasks: Sequence[str], since_us: int, limit: int
    ) -> Sequence[Unscored]:
        """Give answers that came whole, of calls that a policy looked at, newest first."""
        ...

    def score(self, tenant: str, call_id: str, scorer: str, value: float | None, reason: str | None = None) -> None:
        """Keep a score, or why there is none."""
        ...

    def labelled(self, tenant: str, scorer: str, limit: int) -> Sequence[tuple[float, float]]:
        """Give pairs of score and person's word on the same answers, the latest."""
        ...


@dataclass(slots=True)
class Scoring:
    """The scorers of a deployment. `read` gives prompt and answer of what was recorded, None where they cannot be made out."""

    book: ScoreBook
    tenants: Callable[[], Sequence[str]]
    scorers: Sequence[tuple[ScorerSettings, Scorer]]
    read: Callable[[Unscored], Sample | None]
    now_us: Callable[[], int]
    _troubles: dict[str, str] = field(default_factory=dict)

    def step(self) -> bool:
        """Score what waits; tell whether there is more. Raises the first `MelioraError` of a scorer, after all were asked."""
        more, trouble = False, None
        for tenant in self.tenants():
            for settings, scorer in self.scorers:
                if settings.tenant not in ("", tenant):
                    continue
                try:
                    more = self._step(tenant, settings, scorer) or more
                except MelioraError as error:
                    trouble = trouble or error
        if trouble is not None:
            raise trouble
        return more

    def _step(self, tenant: str, settings: ScorerSettings, scorer: Scorer) -> bool:
        since = self.now_us() - HORIZON_US
        found = self.book.unscored(tenant, settings.name, tasks=settings.tasks, since_us=since, limit=BATCH)
        for answer in found:
            score = self._score(settings, scorer, answer)
            self.book.score(tenant, answer.call_id, settings.name, score.value, score.reason or None)
            if score.value is None and score.reason not in _EXPECTED_REASONS:
                log.warning(
                    "an answer could not be scored", scorer=settings.name, call=answer.call_id, why=score.reason
                )
        return len(found) == BATCH

    def _score(self, settings: ScorerSettings, scorer: Scorer, answer: Unscored) -> Score:
        if not sampled(settings, answer.call_id):
            return Score(None, _LEFT_OUT)
        if answer.truncated or answer.response_text is None:
            return Score(None, _NOT_KEPT)
        sample = self.read(answer)
        return Score(None, _NOT_KEPT) if sample is None else scorer.score(sample)


_LEFT_OUT = "not in the sample"
_NOT_KEPT = "its content was not kept whole"
_EXPECTED_REASONS = (_LEFT_OUT, _NOT_KEPT)


def sampled(settings: ScorerSettings, call_id: str) -> bool:
    """Say whether an answer is in a scorer's sample: always the same of one answer."""
    digest = blake2b(f"{settings.name}\0{call_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < settings.sample * 2**64


class ScorerStatus(msgspec.Struct, frozen=True):
    """A scorer and how far it is believed."""

    name: str
    kind: str
    labels: int
    """Answers that it and a person judged both."""
    needed: int | None
    """How many of those a judge takes to be calibrated; null for what is no judge."""
    calibrated: bool | None
    """Null for what is no judge: its word is taken as it is."""
    error_before: float | None
    error_after: float | None
    """Mean squared distance to people's words, as it speaks and calibrated (on answers left out of the fit)."""


def standing(book: ScoreBook, tenant: str, scorers: Sequence[ScorerSettings]) -> tuple[ScorerStatus, ...]:
    """Say of each scorer of a tenant how far it is believed."""
    found = []
    for scorer in scorers:
        if scorer.tenant not in ("", tenant):
            continue
        pairs = book.labelled(tenant, scorer.name, _MOST_LABELS)
        judge = scorer.kind == "judge"
        made = calibrated([s for s, _ in pairs], [label for _, label in pairs], scorer.labels) if judge else None
        found.append(
            ScorerStatus(
                scorer.name,
                scorer.kind,
                len(pairs),
                scorer.labels if judge else None,
                made is not None if judge else None,
                None if made is None else round(made.error_before, 4),
                None if made is None else round(made.error_after, 4),
            )
        )
    return tuple(found)


def calibrations(
    book: ScoreBook, tenants: Sequence[str], judges: Sequence[ScorerSettings]
) -> dict[tuple[str, str], Calibration]:
    """Hold each judge against people's words, tenant by tenant; those with too few are left out."""
    found = {}
    for tenant in tenants:
        for judge in judges:
            pairs = book.labelled(tenant, judge.name, _MOST_LABELS)
            made = calibrated([score for score, _ in pairs], [label for _, label in pairs], judge.labels)
            if made is not None:
                found[tenant, judge.name] = made
    return found


_MOST_LABELS = 5000
