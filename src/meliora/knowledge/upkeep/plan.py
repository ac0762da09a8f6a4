"""What would be archived, and why: data, under the hash of what it says. Planning changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from meliora.knowledge.documents import Kept
from meliora.knowledge.upkeep.redundancy import Redundancy
from meliora.knowledge.upkeep.relevance import Relevance
from meliora.knowledge.upkeep.staleness import PRUNED_FROM, all_stale

Reason = Literal["stale", "redundant", "useless"]


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be archived."""

    least: float = PRUNED_FROM
    """Confidence."""
    protected: tuple[str, ...] = ("history",)
    """Categories of which nothing is archived."""
    stale_days: Mapping[str, float] = {}
    """Days by category, in place of those that it has by itself."""
    useless: float = 0.02
    """Relevance below which a document is useless; 0 archives none for that."""
    evidence: float = 50.0
    """Weight of showings that must stand behind such a relevance."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A document that would be archived."""

    id: str
    hash: str
    """Of the document as it was planned: one that was changed since is left alone."""
    reason: Reason
    said: str
    confidence: float
    kept_instead: str | None = None


class Pruning(msgspec.Struct, frozen=True, kw_only=True):
    """Documents to be archived, by id."""

    collection: str
    entries: tuple[Entry, ...]
    protected: int = 0
    """Documents that would have been, were their category not protected."""

    @property
    def sha256(self) -> str:
        """Give the hash of all it says."""
        return sha256(msgspec.json.encode(self)).hexdigest()


def plan(
    collection: str,
    kept: Sequence[Kept],
    now_us: int,
    *,
    redundancy: Redundancy | None = None,
    relevances: Mapping[str, Relevance] | None = None,
    rules: Rules | None = None,
    returned: Mapping[str, int] | None = None,
) -> Pruning:
    """Plan what to archive. A document that stays in place of another is never archived by the same plan.

    `returned` are those that were taken back out of the archive, with when: such a one is left alone until it changes.

    Raises `ValueError` for a confidence outside [0, 1].
    """
    rules = rules or Rules()
    if not 0 <= rules.least <= 1:
        raise ValueError(f"a confidence lies in [0, 1], not {rules.least}")
    live = {one.document.id: one for one in kept if one.state == "live"}
    back = {name for name, at in (returned or {}).items() if name in live and live[name].updated_us <= at}
    found: dict[str, Entry] = {}
    for entry in (
        *_redundant(live, redundancy),
        *_stale(live, now_us, rules),
        *_useless(live, relevances or {}, rules),
    ):
        if entry.confidence >= rules.least and entry.id not in back:
            found.setdefault(entry.id, entry)
    instead = {one.kept_instead for one in found.values()}
    guarded = {name for name in found if live[name].document.category in rules.protected}
    entries = (found[name] for name in sorted(found) if name not in guarded and name not in instead)
    return Pruning(collection=collection, entries=tuple(entries), protected=len(guarded))


def useless(relevance: Relevance, rules: Rules) -> bool:
    """Tell whether a document was shown often enough to know that it is of no use."""
    return relevance.weight >= rules.evidence and relevance.score < rules.useless


def _redundant(live: Mapping[str, Kept], redundancy: Redundancy | None) -> Iterable[Entry]:
    for pair in redundancy.pairs if redundancy is not None else ():
        if pair.archived in live and pair.kept in live:
            said = f"says the same as {pair.kept} (3-grams {pair.containment:.2f}, letters {pair.ratio:.2f})"
            yield _entry(live[pair.archived], "redundant", said, pair.ratio, pair.kept)


def _stale(live: Mapping[str, Kept], now_us: int, rules: Rules) -> Iterable[Entry]:
    for one in all_stale(live.values(), now_us, rules.stale_days):
        yield _entry(live[one.id], "stale", one.reason, one.confidence)


def _useless(live: Mapping[str, Kept], relevances: Mapping[str, Relevance], rules: Rules) -> Iterable[Entry]:
    for name, one in sorted(relevances.items()):
        if name in live and useless(one, rules):
            said = f"shown {one.evidence} times, relevance {one.score:.3f}"
            yield _entry(live[name], "useless", said, 1.0 - one.score / rules.useless * 0.5)


def _entry(kept: Kept, reason: Reason, said: str, confidence: float, instead: str | None = None) -> Entry:
    return Entry(
        id=kept.document.id, hash=kept.hash, reason=reason, said=said, confidence=confidence, kept_instead=instead
    )
