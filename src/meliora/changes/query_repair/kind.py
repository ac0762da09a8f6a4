"""Repairs queries: by spelling, by expansion learned from what people used, or both; whichever answers best those that went unanswered.

What is learned is learned from half of the queries since the trouble began. The other half proves it, and all older ones must not suffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
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
HALVES: tuple[Half, ...] = ("fitted", "held")
FOLDS = 4
LEAST_GAIN = 0.005
"""NDCG@10 on the queries that are learned from, below which no repair is worth a change."""


class Learn(Protocol):
    """Learns what new words mean."""

    def __call__(
        self,
        tenant: str,
        collection: str,
        pairs: Sequence[Pair],
        tokens: Sequence[str],
        since_us: int,
        until_us: int,
        *,
        beside: str | None = None,
    ) -> bytes | None:
        """Give a table, learned from what people used, for these words and those that no passage has; None: nothing is learned.

        `beside` is the table that serves: what it has for other words is kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a repair is made of."""

    change: Change
    collection: str
    config: SearchConfig
    tokens: tuple[str, ...]
    since_us: int
    pairs: Sequence[Pair]
    """Of the queries that may be learned from."""
    folds: Sequence[Sequence[JudgedQuery]]
    """The queries that repairs are chosen on, in parts: each is answered with a table that did not see it."""


class QueryRepair(SnapshotChange):
    """Chooses and learns repairs."""

    name = "query_repair"

    def __init__(self, plane: Plane, learn: Learn) -> None:
        super().__init__(plane)
        self._learn = learn

    def make(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give the repair that answers best what is learned from; None where none gains, or the finding sees no matter of words.

        Which repair it is, is chosen by cross-validation: each query is answered with a table that was learned from the others. The table
        that is kept saw all of them.
        """
        said = recommended(work.finding, self.name)
        if said is None:
            return None
        until = change.updated_us
        since = since_us(work.finding, until)
        used = [one for one in self._plane.evidence.used(change.tenant, collection, since, until) if one.again]
        fitted, held = (each_once([one for one in used if half(one.text, change.id) == part]) for part in HALVES)
        if min(len(fitted), len(held)) < WANTED:
            return None  # a proof would come to nothing yet: the gate asks again when there is more to prove it on
        pairs = self._plane.evidence.pairs(change.tenant, collection, since, until)
        seen = _Seen(
            change=change,
            collection=collection,
            config=serving.config,
            tokens=tuple(said.get("tokens") or ()),
            since_us=since,
            pairs=[one for one in pairs if half(one.query, change.id) == "fitted"],
            folds=[[one for one in fitted if _fold(one.text, change.id) == fold] for fold in range(FOLDS)],
        )
        work.progress(0.1, f"repairs are tried on {len(fitted)} queries that went unanswered")
        gain, methods = self._chosen(seen, str(said.get("method")))
        if gain < LEAST_GAIN:
            return None
        work.progress(0.6, "the chosen repair is made of all that may be learned from")
        table = self._table(seen, None) if "expansion" in methods else None
        if table is None and "expansion" in methods:
            return None
        name = None if table is None else self._plane.shelf.keep(change.tenant, "expansion", table)
        notes = {
            "methods": list(methods),
            "fitted_queries": len(fitted),
            "gain_fitted": round(gain, 5),
            "since_us": since,
        }
        config = _with(serving.config, methods, name)
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

    def _chosen(self, seen: _Seen, first: str) -> tuple[float, tuple[Method, ...]]:
        """Give the best repair with its gain: the finding's method where two are as good, both together where that is worth it."""
        queries = [one for fold in seen.folds for one in fold]
        now = self._scores(seen, seen.config, None, queries)
        tables = [self._table(seen, fold) for fold in range(FOLDS)]
        can = {"spelling": seen.config.spelling is None, "expansion": any(table is not None for table in tables)}
        order: list[Method] = sorted(METHODS, key=lambda one: one != first)
        tried: list[tuple[Method, ...]] = [(method,) for method in order if can[method]]
        if len(tried) > 1:
            tried.append(METHODS)
        found: list[tuple[float, tuple[Method, ...]]] = []
        for methods in tried:
            after = 0.0
            for fold, table in zip(seen.folds, tables, strict=True) if "expansion" in methods else ((queries, None),):
                name = None if table is None else sha256(table).hexdigest()
                after += self._scores(seen, _with(seen.config, methods, name), table, fold)
            found.append(((after - now) / len(queries), methods))
        return max(found, key=lambda one: one[0] - LEAST_GAIN * (len(one[1]) - 1), default=(0.0, ()))

    def _table(self, seen: _Seen, without: int | None) -> bytes | None:
        """Learn a table, from all that may be learned from but one fold."""
        change = seen.change
        pairs = [one for one in seen.pairs if _fold(one.query, change.id) != without]
        beside = None if seen.config.expansion is None else seen.config.expansion.table
        return self._learn(
            change.tenant, seen.collection, pairs, seen.tokens, seen.since_us, change.updated_us, beside=beside
        )

    def _scores(self, seen: _Seen, config: SearchConfig, table: bytes | None, queries: Sequence[JudgedQuery]) -> float:
        """Sum up NDCG over queries, a table that is only tried at hand."""
        unkept = {} if table is None else {sha256(table).hexdigest(): table}
        answering = self._plane.evidence.answering(seen.change.tenant, seen.collection, config, unkept=unkept)
        return sum(ndcg(list(answering(one.text))[:DEPTH], one.grades, DEPTH) for one in queries)


def since_us(finding: Mapping[str, Any] | None, until: int) -> int:
    """Give since when queries count as those that the trouble is about: as the finding says, else of the last week."""
    said = finding or {}
    moment = (said.get("moment") or {}).get("since_us")
    window = (said.get("now") or {}).get("since_us")
    return int(moment or window or max(0, until - 7 * DAY_US))


def _with(config: SearchConfig, methods: Sequence[Method], table: str | None) -> SearchConfig:
    """Give a configuration with repairs; without a table what it has of one stays."""
    if "spelling" in methods:
        config = msgspec.structs.replace(config, spelling=Spelling())
    if "expansion" in methods and table is not None:
        config = msgspec.structs.replace(config, expansion=Expansion(table=table))
    return config


def _fold(query: str, salt: str) -> int:
    """Split what is learned from once more, the same words always into the same part."""
    digest = sha256(f"{salt}/choice\0{normal(query)}".encode("utf-8", "surrogatepass")).digest()
    return digest[0] % FOLDS
