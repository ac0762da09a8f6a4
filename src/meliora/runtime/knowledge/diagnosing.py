"""Why searches got worse: the searches of a gate's window beside those before, the words of the index, and an audit of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from meliora.diagnosis.finding import Breach, Finding
from meliora.diagnosis.kinds import ActingKind
from meliora.diagnosis.records import Window
from meliora.diagnosis.search.diagnose import diagnose_search
from meliora.diagnosis.search.finding import SearchFinding
from meliora.diagnosis.search.records import Repair
from meliora.diagnosis.search.seen import CorpusSeen, SearchSeen, Seen
from meliora.knowledge.config import Spelling
from meliora.knowledge.index.base import View
from meliora.knowledge.indexes import Audit, Indexes
from meliora.knowledge.repair.spelling import Speller
from meliora.knowledge.text.analysis import analyse
from meliora.runtime.knowledge.evidence import GOOD, StoredEvidence, searched
from meliora.runtime.knowledge.learning import asked_by, support_of
from meliora.runtime.knowledge.origins import answers, query_of, told, used_of
from meliora.runtime.knowledge.parts import Loading
from meliora.runtime.knowledge.reranked import features_seen
from meliora.store.knowledge.figures import Moved
from meliora.store.knowledge.searches import Search
from meliora.store.store import Store
from meliora.telemetry.retention import DAY_US, DELETIONS_DAYS

MATURE_US = 300_000_000
"""A search about which nobody said anything counts as unanswered after this, where people do say something."""
SAYING = 0.05
"""Share of the searches before of which somebody said something, from which saying nothing tells something."""
LOOKED_US = 7 * 86_400_000_000
"""Searches of which it is told what they are weak at, and as many before."""
OWN = "search_success"
"""The metric that is the mean of what is made of searches here, so that one may stand for the other."""
METRICS = (OWN, "ndcg@10", "recall@20", "vector_store_errors")
"""Metrics whose breach is looked into here."""
NAMED = 200
"""Characters of a query that a finding names."""


class SearchDiagnosis:
    """Diagnoses the collection of a tenant whose searches fell most."""

    def __init__(self, store: Store, indexes: Indexes) -> None:
        self._store, self._indexes = store, indexes
        self._load = Loading(store.knowledge_snapshots)
        self._evidence = StoredEvidence(store, indexes)

    def __call__(self, breach: Breach, *, id: str, at_us: int) -> Finding | None:
        """Give the finding; None where the tenant has no collection that is searched."""
        found = [
            (collection, self._of(breach.tenant, collection, (breach.before, breach.now), (breach.metric, id, at_us)))
            for collection in (one.name for one in self._store.knowledge_documents.collections(breach.tenant))
        ]
        looked = [(collection, one) for collection, one in found if sum(one.looked_at) or one.recommended]
        if not looked:
            return None
        collection, worst = max(looked, key=lambda one: _lost(one[1]))
        return _told(breach, collection, worst)

    def weak(self, tenant: str, collection: str, at_us: int) -> tuple[str, ...]:
        """Give the words that the searches of the last days are weak at beside those before, then new words that no passage has."""
        since, between = max(0, at_us - 2 * LOOKED_US), max(0, at_us - LOOKED_US)
        windows = Window(since, between), Window(between, at_us)
        found = self._of(tenant, collection, windows, (OWN, "", at_us))
        return tuple(dict.fromkeys([*(one.term for one in found.weak if one.believed), *found.unknown.new]))

    def _of(
        self, tenant: str, collection: str, windows: tuple[Window, Window], said: tuple[str, str, int]
    ) -> SearchFinding:
        """Look into the windows before and now; `said` are the metric, the finding's id and the time."""
        before_window, now_window = windows
        metric, id, at_us = said
        view = self._indexes.view(tenant, collection)
        rows = (self._searches(tenant, collection, before_window), self._searches(tenant, collection, now_window))
        says = _says(rows[0]) or _says(rows[1])
        audit = self._indexes.audit(tenant, collection, view)
        lost = frozenset((*audit.missing, *audit.stale))
        origins = self._origins(tenant, collection, (*rows[0], *rows[1]), audit)
        before, now = (tuple(_seen(one, says, at_us, lost, origins) for one in some) for some in rows)
        between = before_window.until_us
        moved = self._store.knowledge_figures.moved(tenant, collection, between, now_window.until_us)
        config = self._store.knowledge_snapshots.serving(tenant, collection).config
        seen = Seen(
            before=before,
            now=now,
            window_before=before_window,
            window_now=now_window,
            corpus_now=_corpus(audit, moved, between >= at_us - DELETIONS_DAYS * DAY_US),
            features=features_seen(rows, view, config, lambda: self._load(tenant, config, view)),
        )
        found = diagnose_search(seen, _Words(view), id=id, at_us=at_us, trigger=metric)
        read = [searched(one) for some in rows for one in some]
        people = asked_by(found.named, read, self._store.secret, tenant)
        asked = {query: [one for one in read if _named(one.query) == query] for query in found.asked - people.keys()}
        people |= {query: support_of(some, self._store.secret, tenant) for query, some in asked.items()}
        return msgspec.structs.replace(found, people=people)

    def _origins(
        self, tenant: str, collection: str, searches: Sequence[Search], audit: Audit
    ) -> dict[str, dict[str, str]]:
        """Give, by search, what is known of the document that should answer it."""
        found = answers(searches, self._evidence.judged(tenant, collection))
        documents = frozenset(found.values())
        known = told(documents, self._store.knowledge_figures.origins(tenant, collection, documents), audit)
        return {search: known[document] for search, document in found.items()}

    def _searches(self, tenant: str, collection: str, window: Window) -> Sequence[Search]:
        return self._store.searches.window(tenant, collection, window.since_us, window.until_us)


class _Words:
    """Implements `diagnosis.search.seen.Vocabulary`."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._speller = Speller(view.written(), Spelling())

    def frequency(self, term: str) -> int:
        return self._view.frequency(term)

    def meant(self, word: str) -> frozenset[str]:
        return frozenset(term for known, _ in self._speller.repair(word) for term in analyse(known).terms)


def _seen(
    one: Search, says: bool, now_us: int, lost: frozenset[str], origins: Mapping[str, dict[str, str]]
) -> SearchSeen:
    used = used_of(one)
    return SearchSeen(
        id=one.id,
        at_us=one.at_us,
        terms=one.terms or (),
        worded=one.terms is not None,
        written=one.written or (),
        query=query_of(one),
        text=_named(one.query),
        answer=origins.get(one.id, {}),
        attributes=_attributes(one),
        results=len(one.shown),
        gain=gain(one, says, now_us),
        relevant_lost=sum(document in lost for document in used) / len(used) if used else None,
        stages_us=one.stages_us,
    )


def _named(query: str | None) -> str | None:
    return query[:NAMED] if query else None


def _attributes(one: Search) -> dict[str, str]:
    """Give where a search came from and how long it is. Who asked is no attribute: a finding names no person."""
    told = {"key": one.key_id, "feature": one.feature or ""}
    if one.terms is None:
        return told
    words = len(one.written or one.terms)
    return told | {"words": next((name for name, most in _LENGTHS if words <= most), "8 or more")}


_LENGTHS = (("1", 1), ("2 or 3", 3), ("4 to 7", 7))


def gain(one: Search, says: bool, now_us: int) -> float | None:
    """Give how good an answer was: discounted by the place of the first result that somebody used; None where that is not known."""
    if one.outcome == "error":
        return 0.0
    places = [
        said.value / math.log2(1 + (said.position or 1))
        for said in one.feedback
        if said.document is not None and said.value >= GOOD
    ]
    whole = [said.value for said in one.feedback if said.document is None and said.kind != "reformulated"]
    if places or whole:
        return max([*places, *whole[-1:]])
    if one.feedback:
        return 0.0
    return 0.0 if says and now_us - one.ended_us >= MATURE_US else None


def _says(searches: Sequence[Search]) -> bool:
    return bool(searches) and sum(bool(one.feedback) for one in searches) >= SAYING * len(searches)


def _corpus(audit: Audit, moved: Moved, noted: bool) -> CorpusSeen:
    """Give the counts. Deletions older than they are `noted` are not known; no document is quarantined yet, so none is counted."""
    return CorpusSeen(
        documents=audit.documents,
        added=moved.added,
        deleted=moved.deleted if noted else None,
        missing=len(audit.missing),
        stale=len(audit.stale),
        extra=len(audit.extra),
        lag=audit.behind,
    )


def _lost(finding: SearchFinding) -> float:
    if finding.gain_now is None or finding.gain_before is None:
        return float(bool(finding.recommended)) * 1e-6
    return finding.gain_before - finding.gain_now


def _told(breach: Breach, collection: str, found: SearchFinding) -> Finding:
    value, baseline = breach.value, breach.baseline
    if value is None:
        # A look that no gate asked for has no reading: what the searches themselves show stands in its place.
        value, baseline = found.gain_now, found.gain_before
    elif baseline is None and breach.metric == OWN:
        baseline = found.gain_before
    return Finding(
        id=found.id,
        tenant=breach.tenant,
        at_us=found.at_us,
        metric=breach.metric,
        gate=breach.gate,
        environment=breach.environment,
        measured=breach.measured,
        unit=breach.unit,
        value=value,
        low=breach.low,
        high=breach.high,
        baseline=baseline,
        direction=breach.direction,
        now=Window(breach.now.since_us, breach.now.until_us),
        before=Window(breach.before.since_us, breach.before.until_us),
        looked_at=found.looked_at,
        partial=False,
        observed=found.gain_now,
        expected=found.gain_before,
        slices=() if found.explanation is None else found.explanation.slices,
        moment=found.moment,
        around=(),
        kinds=tuple(_acting(one) for one in found.recommended),
        sentence=sentence(breach.metric, value, baseline, collection, found),
        collection=collection,
        search=found,
        recommended=found.recommended,
    )


def _acting(one: Repair) -> ActingKind:
    return ActingKind(name=one.kind, reason=one.reason)


def sentence(metric: str, value: float | None, baseline: float | None, collection: str, found: SearchFinding) -> str:
    """Tell the finding as an engineer would. The words of searches are counted, not named: it goes into evidence that is never erased."""
    where = f"{metric} of {collection}"
    said = f"{where} was not read" if value is None else f"{where} is {value:.3g}"
    if baseline is not None:
        said += f", it was {baseline:.3g}"
    if not found.recommended:
        return f"{said}. No cause was found beyond chance in {found.looked_at[1]} searches."
    first = found.recommended[0]
    named = f" ({len(first.tokens)} words)" if first.tokens else ""
    return f"{said}. {first.reason[0].upper()}{first.reason[1:]}{named}: {first.method or first.kind} first."
