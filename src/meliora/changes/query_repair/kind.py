"""Repairs queries: by spelling, by expansion learned from what people used, or both; whichever answers best those that went unanswered.

What serves afterwards was learned from all of them, and is held against the other judged queries. That it answers the unanswered ones
better is proved by tables that did not see them (`crossed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from meliora.changes.comparing import LEAST, MOST, WANTED, each_once, held_against, proof, scored
from meliora.changes.query_repair.crossed import METHODS, PARTS, Methods, Parting, Tried
from meliora.changes.searching import DAY_US, Made, Plane, SnapshotChange, Wanted, recommended
from meliora.knowledge.config import Expansion, SearchConfig, Snapshot, Spelling
from meliora.knowledge.forgetting import read_until
from meliora.knowledge.quality.evidence import JudgedQuery, Pair, normal
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof
from meliora.loop.work import Work

ENOUGH = 2 * WANTED
"""Queries that went unanswered, below which a proof would come to nothing yet."""
Learning = Callable[[Sequence[Pair]], bytes | None]
"""Gives a table learned from what people used; None: nothing is learned."""


class Learn(Protocol):
    """Learns what new words mean."""

    def __call__(
        self,
        tenant: str,
        collection: str,
        tokens: Sequence[str],
        since_us: int,
        until_us: int,
        *,
        beside: str | None = None,
    ) -> Learning:
        """Read what is needed once, for tables of these words and those that no passage has.

        `beside` is the table that serves: what it has for other words is kept.
        """
        ...


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair is made for."""

    tenant: str
    collection: str
    tokens: tuple[str, ...]
    first: str
    """The method that the finding names, if any."""
    since_us: int
    until_us: int
    salt: str
    """Which parts queries fall into goes by it."""


class QueryRepair(SnapshotChange):
    """Chooses and learns repairs."""

    name = "query_repair"

    def __init__(self, plane: Plane, learn: Learn) -> None:
        super().__init__(plane)
        self._learn = learn

    def make(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give the repair that answers best what went unanswered; None where none gains, or the finding sees no matter of words."""
        if recommended(work.finding, self.name) is None:
            return None
        until = change.updated_us
        asked = _asked(change, work, collection, since_us(work.finding, until), until)
        queries = self._unanswered(asked)
        if len(queries) < ENOUGH:
            return None  # the gate asks again when there is more to prove it on
        pairs = self._pairs(asked)
        learning = self._learning(asked, serving.config)
        work.progress(0.1, f"repairs are tried on {len(queries)} queries that went unanswered")
        gain, methods = self._tried(asked, serving.config, queries, pairs, learning).chosen()
        if not methods:
            return None
        work.progress(0.6, "the chosen repair is made of all that may be learned from")
        table = learning(pairs) if "expansion" in methods else None
        if table is None and "expansion" in methods:
            return None
        name = None if table is None else self._plane.shelf.keep(change.tenant, "expansion", table)
        notes = {
            "methods": list(methods),
            "unanswered": len(queries),
            "gain": round(gain, 5),
            "since_us": asked.since_us,
            "until_us": until,
        }
        config = _with(serving.config, methods, name)
        return Made(config, f"{' and '.join(methods)} for the queries of {collection}", notes)

    def compare(self, change: Change, work: Work, wanted: Wanted, configs: tuple[SearchConfig, SearchConfig]) -> Proof:
        """Hold repairs made in the same way against what they did not see, and the candidate against judged (or older) queries.

        A snapshot that somebody named is held against the unanswered queries as it is: those since it was learned.
        """
        evidence, notes = self._plane.evidence, wanted.notes
        until = int(notes.get("until_us") or change.updated_us)
        since = int(notes.get("since_us") or since_us(work.finding, until))
        asked = _asked(change, work, wanted.collection, since, until)
        queries = self._unanswered(asked)
        before, after = (evidence.answering(asked.tenant, asked.collection, config) for config in configs)
        if "until_us" in notes:
            pairs, learning = self._pairs(asked), self._learning(asked, configs[0])
            found = self._tried(asked, configs[0], queries, pairs, learning).proved(tuple(notes["methods"]), work.seed)
            method = f"cross-validated in {PARTS} parts: each query with what was learned without it"
        else:
            learned = self._learned_until(asked.tenant, configs[1])
            queries = self._unanswered(msgspec.structs.replace(asked, since_us=max(since, learned)))
            found = held_against(before, after, queries, work.seed)
            method = "the same queries with and without the repair"
        others = self._others(asked, {normal(one.text) for one in queries})
        rest = held_against(before, after, others, work.seed)
        data = {
            "collection": asked.collection,
            "since_us": since,
            "unanswered": len(queries),
            "others": len(others),
        }
        return proof(found, rest, baseline=change.baseline, method=method, data=data, seed=work.seed)

    def _unanswered(self, asked: _Asked) -> list[JudgedQuery]:
        """Give the queries since the trouble began that went unanswered until they were put in other words, the newest first."""
        used = self._plane.evidence.used(asked.tenant, asked.collection, asked.since_us, asked.until_us)
        return each_once([one for one in used if one.again])[:MOST]

    def _learned_until(self, tenant: str, config: SearchConfig) -> int:
        """Give until when searches were read for a configuration's table; 0 where it does not say."""
        if config.expansion is None:
            return 0
        return read_until("expansion", self._plane.shelf.artifact(tenant, config.expansion.table)) or 0

    def _others(self, asked: _Asked, learned: set[str]) -> list[JudgedQuery]:
        """Give the queries that must not suffer."""
        evidence = self._plane.evidence
        judged = [one for one in evidence.judged(asked.tenant, asked.collection) if normal(one.text) not in learned]
        if len(judged) >= LEAST:
            return judged
        # What was used at once was picked from the order that serves, and speaks against any other: it stands in for judgments only.
        long_ago = max(0, asked.since_us - round(self._plane.days * DAY_US))
        older = evidence.used(asked.tenant, asked.collection, long_ago, asked.since_us)
        return [*judged, *(one for one in older if normal(one.text) not in learned)]

    def _pairs(self, asked: _Asked) -> Sequence[Pair]:
        return self._plane.evidence.pairs(asked.tenant, asked.collection, asked.since_us, asked.until_us)

    def _learning(self, asked: _Asked, config: SearchConfig) -> Learning:
        beside = None if config.expansion is None else config.expansion.table
        return self._learn(asked.tenant, asked.collection, asked.tokens, asked.since_us, asked.until_us, beside=beside)

    def _tried(
        self,
        asked: _Asked,
        config: SearchConfig,
        queries: Sequence[JudgedQuery],
        pairs: Sequence[Pair],
        learning: Learning,
    ) -> Tried:
        """Answer each query by what serves and by each repair that is possible, the finding's method first."""
        part = Parting(pairs, asked.salt)
        parts = [part(one.text) for one in queries]
        tables = {out: learning([one for one in pairs if part(one.query) != out]) for out in sorted(set(parts))}
        can = {"spelling": config.spelling is None, "expansion": any(one is not None for one in tables.values())}
        tried: list[Methods] = [(how,) for how in sorted(METHODS, key=lambda one: one != asked.first) if can[how]]
        if len(tried) > 1:
            tried.append(METHODS)
        now = self._scores(asked, config, None, queries)
        by: dict[Methods, Sequence[float]] = {}
        for methods in tried:
            if "expansion" not in methods:
                by[methods] = self._scores(asked, _with(config, methods, None), None, queries)
                continue
            scores = dict[int, float]()
            for out, table in tables.items():
                own = [at for at, one in enumerate(parts) if one == out]
                name = None if table is None else sha256(table).hexdigest()
                found = self._scores(asked, _with(config, methods, name), table, [queries[at] for at in own])
                scores.update(zip(own, found, strict=True))
            by[methods] = [scores[at] for at in range(len(queries))]
        return Tried(now, by)

    def _scores(
        self, asked: _Asked, config: SearchConfig, table: bytes | None, queries: Sequence[JudgedQuery]
    ) -> list[float]:
        """Give the NDCG@10 of queries, a table that is only tried at hand."""
        unkept = {} if table is None else {sha256(table).hexdigest(): table}
        answering = self._plane.evidence.answering(asked.tenant, asked.collection, config, unkept=unkept)
        return [scored(answering, one) for one in queries]


def since_us(finding: Mapping[str, Any] | None, until: int) -> int:
    """Give since when queries count as those that the trouble is about: as the finding says, else of the last week."""
    said = finding or {}
    moment = (said.get("moment") or {}).get("since_us")
    window = (said.get("now") or {}).get("since_us")
    return int(moment or window or max(0, until - 7 * DAY_US))


def _asked(change: Change, work: Work, collection: str, since: int, until: int) -> _Asked:
    said = recommended(work.finding, QueryRepair.name) or {}
    return _Asked(
        tenant=change.tenant,
        collection=collection,
        tokens=tuple(said.get("tokens") or ()),
        first=str(said.get("method")),
        since_us=since,
        until_us=until,
        salt=change.id,
    )


def _with(config: SearchConfig, methods: Sequence[str], table: str | None) -> SearchConfig:
    """Give a configuration with repairs; without a table what it has of one stays."""
    if "spelling" in methods:
        config = msgspec.structs.replace(config, spelling=Spelling())
    if "expansion" in methods and table is not None:
        config = msgspec.structs.replace(config, expansion=Expansion(table=table))
    return config
