"""What is written of a search: one record in the spool before the answer is given, masked as calls are."""

from __future__ import annotations

import threading
from hashlib import blake2b

import msgspec

from meliora.knowledge.answers import Answer
from meliora.knowledge.service import Searched
from meliora.knowledge.text.analysis import analyse
from meliora.runtime.shared import spool_dir
from meliora.settings import Settings
from meliora.telemetry.records import FORMAT, SearchDone
from meliora.telemetry.redaction import Redactor
from meliora.telemetry.spool import SpoolWriter

_encode = msgspec.json.Encoder().encode


class SearchRecorder:
    """Writes searches. Several threads may; a record that cannot be kept is counted by the spool, and stops no search."""

    def __init__(self, settings: Settings, secret: str, name: str, spool: SpoolWriter | None = None) -> None:
        """`secret` keys the hash of queries; `name` is this process's."""
        chosen = settings.recording
        self._content, self._most, self._name = chosen.content, chosen.content_bytes, name
        self._redactor = Redactor()
        self._keyed = blake2b(digest_size=16, key=bytes.fromhex(secret)[:64], person=b"search")
        self.spool = spool or SpoolWriter(
            spool_dir(settings), segment_bytes=chosen.segment_bytes, max_bytes=chosen.spool_max_bytes
        )
        self._lock = threading.Lock()

    def __call__(self, searched: Searched) -> None:
        """Write a search down."""
        payload = _encode(self.record(searched))
        with self._lock:
            self.spool.rest()
            self.spool.append(payload)

    def rest(self) -> None:
        """Close a segment that is old: where nobody searches any more, what is in it has to go, too. Call it now and then."""
        with self._lock:
            self.spool.rest()

    def close(self) -> None:
        """Close the segment, so that it is taken in and deleted. A later search opens another."""
        with self._lock:
            self.spool.close()

    def record(self, searched: Searched) -> SearchDone:
        """Give the record of a search."""
        answer, arm, who = searched.answer, searched.arm, searched.who
        return SearchDone(
            id=searched.id,
            tenant=who.tenant,
            key_id=who.key,
            gateway=self._name,
            collection=searched.collection,
            started_us=searched.at_us,
            ended_us=searched.ended_us,
            outcome="ok" if answer is not None else "error",
            error_code=searched.error,
            user=who.user,
            session=who.session,
            feature=searched.feature,
            snapshot=0 if answer is None else answer.snapshot,
            generation="" if answer is None else answer.generation,
            query_hash=self._hash(searched.query),
            shown=() if answer is None else tuple(one.document for one in answer.results),
            stages_us={} if answer is None else answer.stages_us,
            skipped={} if answer is None else answer.skipped,
            trial=None if arm is None else arm.trial,
            trial_phase=None if arm is None else arm.phase,
            trial_stage=None if arm is None else arm.stage,
            arm=None if arm is None else arm.name,
            trial_unit=None if arm is None else arm.unit,
            v=FORMAT,
            **self._words(searched.query, answer),
        )

    def _words(self, query: str, answer: Answer | None) -> dict:
        if self._content == "off":
            return {"content": "off"}
        text, masked = query[: self._most], 0
        if self._content == "redacted":
            text, masked = self._redactor.mask(text)
        if answer is None:
            return {"content": self._content, "query": text}
        if not masked and len(text) == len(query):
            terms, written = answer.terms, answer.written
        else:
            # What was masked in the text must not stand among its words.
            analysed = analyse(text)
            terms, written = analysed.terms, analysed.written
        known = frozenset(terms)
        unknown = tuple(term for term in answer.unknown if term in known)
        return {"content": self._content, "query": text, "terms": terms, "written": written, "unknown": unknown}

    def _hash(self, query: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(" ".join(query.casefold().split()).encode("utf-8", "surrogatepass"))
        return keyed.hexdigest()
