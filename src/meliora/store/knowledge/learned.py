"""What was learned from people's searches, without those who are erased: kept artifacts, the snapshots that take them, findings.

A snapshot keeps its number, since trials, watches and rollbacks go by it, and takes the artifact that remains. Whoever keeps something
learned and an erasure take turns: what was learned before an erasure and is kept after it is kept without the person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from meliora.diagnosis.finding import Finding
from meliora.diagnosis.search.finding import less, unnamed
from meliora.knowledge.forgetting import Remainder, known_only, parted, read_until, without
from meliora.store.rows import hold, insert_into
from meliora.store.tables import (
    changes,
    cycles,
    erasures,
    findings,
    knowledge_artifacts,
    knowledge_collections,
    knowledge_snapshots,
)

_A = knowledge_artifacts.c
_S = knowledge_snapshots.c
_F = findings.c
_LOCK = "lock:learned"
_KINDS = ("expansion", "reranker")
"""Artifacts that are learned from searches."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure took out of what was learned."""

    words: int = 0
    """That only the person asked with, in all expansions and findings."""
    expansions: int = 0
    rerankers: int = 0
    """That learned from the person too: they are marked, and the next training replaces them."""
    findings: int = 0
    cycles: tuple[str, ...] = ()
    """Whose artifacts tell of such a finding."""


def forget_learned(connection: sa.Connection, tenant: str, subject: str) -> Forgotten:
    """Take a person (keyed hash) out of what was learned of a tenant."""
    hold(connection, _LOCK)
    gone = frozenset((subject,))
    done = _artifacts(connection, tenant, lambda kind, data: without(kind, data, gone))
    named, words = _findings(connection, tenant, gone)
    return Forgotten(
        words=len(words | {word for _, one in done for word in one.words}),
        expansions=sum(kind == "expansion" for kind, _ in done),
        rerankers=sum(kind == "reranker" for kind, _ in done),
        findings=len(named),
        cycles=_cycles(connection, tenant, named),
    )


def forget_words(connection: sa.Connection, tenant: str, known: Callable[[str], bool]) -> int:
    """Let no expansion translate to a word that no document has any more; give how many words went."""
    hold(connection, _LOCK)
    done = _artifacts(connection, tenant, lambda kind, data: known_only(kind, data, known))
    return len({word for _, one in done for word in one.words})


def kept_without(connection: sa.Connection, tenant: str, kind: str, data: bytes) -> bytes:
    """Give an artifact that is about to be kept without the people who were erased since its searches were read."""
    if kind not in _KINDS:
        return data
    hold(connection, _LOCK)
    gone = _erased_since(connection, tenant, read_until(kind, data) or 0)
    left = without(kind, data, gone) if gone else None
    return data if left is None else left.data


def told_without(connection: sa.Connection, finding: Finding) -> Finding:
    """Give a finding that is about to be kept without the words of people who were erased since it was begun."""
    if finding.search is None or not finding.search.people:
        return finding
    hold(connection, _LOCK)
    return _without(finding, _erased_since(connection, finding.tenant, finding.at_us))[0]


def _erased_since(connection: sa.Connection, tenant: str, at_us: int) -> frozenset[str]:
    query = sa.select(erasures.c.subject).where(erasures.c.tenant == tenant, erasures.c.at >= at_us).distinct()
    return frozenset(connection.execute(query).scalars())


def _artifacts(
    connection: sa.Connection, tenant: str, change: Callable[[str, bytes], Remainder | None]
) -> list[tuple[str, Remainder]]:
    """Put what `change` gives in the place of the artifacts that it is given, here and in the snapshots that take them."""
    own = sa.and_(_A.tenant == tenant, _A.kind.in_(_KINDS))
    held = sa.select(knowledge_collections.c.name).where(knowledge_collections.c.tenant == tenant)
    connection.execute(
        held.order_by(knowledge_collections.c.name).with_for_update()
    ).all()  # no snapshot comes meanwhile
    names = connection.execute(sa.select(_A.sha256).where(own).order_by(_A.sha256)).scalars().all()
    done: list[tuple[str, Remainder]] = []
    for name in names:  # one at a time: all of them together may not fit into memory
        row = connection.execute(sa.select(knowledge_artifacts).where(own, _A.sha256 == name)).one()
        left = change(row.kind, bytes(row.data))
        if left is None:
            continue
        done.append((row.kind, left))
        digest = sha256(left.data).hexdigest()
        values = dict(row._mapping) | {"sha256": digest, "data": left.data}
        connection.execute(insert_into(connection, knowledge_artifacts).values(**values).on_conflict_do_nothing())
        _instead(connection, tenant, name, digest)
        connection.execute(sa.delete(knowledge_artifacts).where(own, _A.sha256 == name))
    return done


def _instead(connection: sa.Connection, tenant: str, old: str, new: str) -> None:
    """Let the snapshots that take an artifact take another."""
    taking = sa.select(knowledge_snapshots).where(_S.tenant == tenant, _S.config.contains(old, autoescape=True))
    for row in connection.execute(taking).all():
        text = row.config.replace(old, new)
        one = sa.and_(_S.tenant == tenant, _S.collection == row.collection, _S.number == row.number)
        values = {"config": text, "sha256": sha256(text.encode()).hexdigest()}
        connection.execute(sa.update(knowledge_snapshots).where(one).values(**values))


def _findings(connection: sa.Connection, tenant: str, gone: Collection[str]) -> tuple[list[str], set[str]]:
    """Take the words that only these people asked with out of findings; give the findings, and the words."""
    text = sa.cast(_F.body, sa.Text)
    having = sa.or_(*(text.contains(one, autoescape=True) for one in gone))
    rows = connection.execute(sa.select(_F.id, _F.body).where(_F.tenant == tenant, having)).all()
    named: list[str] = []
    words: set[str] = set()
    for id, body in rows:
        left, lone = _without(msgspec.convert(body, Finding), gone)
        one = sa.and_(_F.tenant == tenant, _F.id == id)
        connection.execute(sa.update(findings).where(one).values(body=msgspec.to_builtins(left)))
        if lone:
            named.append(id)
            words.update(lone)
    return named, words


def _without(finding: Finding, gone: Collection[str]) -> tuple[Finding, list[str]]:
    search = finding.search
    if search is None:
        return finding, []
    people, lone = parted(search.people, gone)
    told = finding.recommended
    return msgspec.structs.replace(
        finding,
        search=unnamed(search, lone, people),
        recommended=None if told is None else tuple(less(one, lone) for one in told),
    ), lone


def _cycles(connection: sa.Connection, tenant: str, named: Collection[str]) -> tuple[str, ...]:
    """Give the closed cycles that tell of findings."""
    told = sa.select(changes.c.cycle).where(changes.c.tenant == tenant, changes.c.finding.in_(named))
    own = sa.or_(cycles.c.finding.in_(named), cycles.c.id.in_(told))
    query = sa.select(cycles.c.id).where(cycles.c.tenant == tenant, cycles.c.closed_us.is_not(None), own)
    return tuple(connection.execute(query.order_by(cycles.c.id)).scalars()) if named else ()
