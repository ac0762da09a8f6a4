"""Repairs queries: by spelling, by expansion learned from what people used, or both; whichever answers best those that went unanswered.

What is learned is learned from half of the queries since the trouble began. The other half proves it, and all older ones must not suffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from meliora.changes.comparing import DEPTH, LEAST, WANTED, each_once, held_against, proof
from meliora.changes.searching import DAY_US, Made, Plane, SnapshotChange, Wanted, recommended
from meliora.knowledge.config import Expansion, SearchConfig, Snapshot, Spelling
from meliora.knowledge.quality.evidence import Half, JudgedQuery, Pair, half, normal
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof
from meliora.loop.work import Work
from meliora.stats.ranking import ndcg

Method = Literal["spelling", "expansion"]
METHODS: tuple[Method, ...] = ("spelling", "expansion")
LEAST_GAIN = 0.005
"""NDCG@10 on the queries that are learned from, below which no repair is worth a change."""


class Learn(Protocol):
    """Learns what new words mean."""

    def __call__(
        self, tenant: str, collection: str, pairs: Sequence[Pair], tokens: Sequence[str], since_us: int, until_us: int
    ) -> bytes | None:
        """Give a table, learned from what people used, for these words and those that no passage has; None: nothing is learned."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a repair is made of."""

    change: Change
    collection: str
    config: SearchConfig
    tokens: tuple[str, ...]
    since_us: int


class QueryRepair(SnapshotChange):
    """Chooses and learns repairs."""

    name = "query_repair"

    def __init__(self, plane: Plane, learn: Learn) -> None:
        super().__init__(plane)
        self._learn = learn

    def make(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give the repair that answers best what is learned from; None where none gains, or the finding sees no matter of words.

        Which repair it is, is chosen on queries that the tables to choose from did not see; the table that is kept saw those, too.
        """
        said = recommended(work.finding, self.name)
        if said is None:
            return None
        until = change.updated_us
        since = since_us(work.finding, until)
        used = self._plane.evidence.used(change.tenant, collection, since, until)
        fitted = [one for one in used if one.again and half(one.text, change.id) == "fitted"]
        held = [one for one in used if one.again and half(one.text, change.id) == "held"]
        if len(fitted) < WANTED or len(each_once(held)) < WANTED:
            return None  # a proof would come to nothing yet: the gate asks again when there is more to prove it on
        seen = _Seen(change, collection, serving.config, tuple(said.get("tokens") or ()), since)
        choosing = [one for one in fitted if _inner(one.text, change.id) == "held"]
        work.progress(0.1, f"repairs are tried on {len(choosing)} queries that went unanswered")
        now = self._mean(change, collection, serving.config, choosing)
        scored = [
            (self._mean(change, collection, config, choosing) - now, methods)
            for methods, config in self._tried(seen, str(said.get("method")))
        ]
        gain, methods = max(scored, key=_first, default=(0.0, ()))
        if gain < LEAST_GAIN:
            return None
        config = self._whole(seen, methods, work)
        if config is None:
            return None
        notes = {
            "methods": list(methods),
            "fitted_queries": len(fitted),
            "gain_fitted": round(gain, 5),
            "since_us": since,
        }
        return Made(config, f"{' and '.join(methods)} for the queries of {collection}", notes)

    def compare(self, change: Change, work: Work, wanted: Wanted, configs: tuple[SearchConfig, SearchConfig]) -> Proof:
        """Hold both against the queries since the trouble began that nothing was learned from, and against judged (or older) ones."""
        evidence, until = self._plane.evidence, change.updated_us
        since = int(wanted.notes.get("since_us") or since_us(work.finding, until))
        tenant, collection = change.tenant, wanted.collection
        used = evidence.used(tenant, collection, since, until)
        held = [one for one in used if one.again and half(one.text, change.id) == "held"]
        older = evidence.used(tenant, collection, max(0, since - round(self._plane.days * DAY_US)), since)
        learned = {normal(one.text) for one in used if half(one.text, change.id) == "fitted"}
        judged = [one for one in evidence.judged(tenant, collection) if normal(one.text) not in learned]
        # What was used at once was picked from the order that serves, and speaks against any other: it stands in for judgments only.
        others = (
            judged if len(judged) >= LEAST else [*judged, *(one for one in older if normal(one.text) not in learned)]
        )
        before, after = (evidence.answering(tenant, collection, config) for config in configs)
        found = held_against(before, after, held, work.seed)
        rest = held_against(before, after, others, work.seed)
        data = {"collection": collection, "since_us": since, "held": len(held), "others": len(others)}
        method = "the same queries with and without the repair"
        return proof(found, rest, baseline=change.baseline, method=method, data=data, seed=work.seed)

    def _tried(self, seen: _Seen, first: str) -> list[tuple[tuple[Method, ...], SearchConfig]]:
        """Give the configurations to choose from: the finding's method first, so that it wins a tie; both together last."""
        order = [method for method in METHODS if method == first] + [method for method in METHODS if method != first]
        parts: dict[Method, dict[str, Any]] = {}
        for method in order:
            if method == "spelling" and seen.config.spelling is None:
                parts[method] = {"spelling": Spelling()}
            if method == "expansion":
                table = self._table(seen, all_of_them=False)
                if table is not None:
                    parts[method] = {"expansion": Expansion(table=table)}
        tried: list[tuple[tuple[Method, ...], SearchConfig]] = [
            ((method,), msgspec.structs.replace(seen.config, **part)) for method, part in parts.items()
        ]
        if len(parts) > 1:
            both = {name: value for part in parts.values() for name, value in part.items()}
            tried.append((tuple(parts), msgspec.structs.replace(seen.config, **both)))
        return tried

    def _whole(self, seen: _Seen, methods: tuple[Method, ...], work: Work) -> SearchConfig | None:
        """Give the chosen configuration, its table learned from all that may be learned from."""
        parts: dict[str, Any] = {}
        if "spelling" in methods:
            parts["spelling"] = Spelling()
        if "expansion" in methods:
            work.progress(0.6, "an expansion is learned from what people used")
            table = self._table(seen, all_of_them=True)
            if table is None:
                return None
            parts["expansion"] = Expansion(table=table)
        return msgspec.structs.replace(seen.config, **parts)

    def _table(self, seen: _Seen, *, all_of_them: bool) -> str | None:
        """Learn a table and keep it; the same bytes are kept once, however often this is asked."""
        change, until = seen.change, seen.change.updated_us
        pairs = self._plane.evidence.pairs(change.tenant, seen.collection, seen.since_us, until)
        fitted = [
            one
            for one in pairs
            if half(one.query, change.id) == "fitted" and (all_of_them or _inner(one.query, change.id) == "fitted")
        ]
        table = self._learn(change.tenant, seen.collection, fitted, seen.tokens, seen.since_us, until)
        return None if table is None else self._plane.shelf.keep(change.tenant, "expansion", table)

    def _mean(self, change: Change, collection: str, config: SearchConfig, queries: Sequence[JudgedQuery]) -> float:
        answering = self._plane.evidence.answering(change.tenant, collection, config)
        scores = [ndcg(list(answering(one.text))[:DEPTH], one.grades, DEPTH) for one in queries]
        return sum(scores) / len(scores) if scores else 0.0


def since_us(finding: Mapping[str, Any] | None, until: int) -> int:
    """Give since when queries count as those that the trouble is about: as the finding says, else of the last week."""
    said = finding or {}
    moment = (said.get("moment") or {}).get("since_us")
    window = (said.get("now") or {}).get("since_us")
    return int(moment or window or max(0, until - 7 * DAY_US))


def _inner(query: str, salt: str) -> Half:
    """Split what is learned from once more: tables to choose from are learned from the one part, and chosen on the other."""
    return half(query, f"{salt}/choice")


def _first(scored: tuple[float, Any]) -> float:
    return scored[0]
