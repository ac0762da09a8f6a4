"""What must hold of changes, holds, arms, pointers, the audit and the plane, whatever was killed: each finding names the change.

Read in one transaction while nothing moves; `ended` also asks that everything came to an end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from benchmarks.loop.plane import FIRST, Line, Plane
from meliora.loop.states import ENDED, State, holds, lawful
from meliora.store.engine import reading
from meliora.store.store import Store
from meliora.store.tables import change_edges, change_holds, changes, cycles, routing_snapshots, trials

DELIVERED = frozenset({State.DELIVERING, State.WATCHING, State.KEPT, State.ROLLING_BACK, State.ROLLBACK_FAILED})


@dataclass(frozen=True)
class Seen:
    """Everything as it stood at one moment."""

    changes: Mapping[str, Any]
    edges: Mapping[str, Sequence[Any]]
    holds: Sequence[Any]
    trials: Sequence[Any]
    cycles: Sequence[Any]
    snapshots: Sequence[Any]


def seen(store: Store) -> Seen:
    """Read it all."""
    edge = change_edges.c
    columns = (edge.change, edge.seq, edge.source, edge.target, edge.attempt)
    of_edges: dict[str, list[Any]] = defaultdict(list)
    with reading(store.engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = {row.id: row for row in connection.execute(sa.select(changes))}
        for row in connection.execute(sa.select(*columns).order_by(edge.change, edge.seq)):
            of_edges[row.change].append(row)
        snapshot = routing_snapshots.c
        named = (snapshot.tenant, snapshot.number, snapshot.state, snapshot.made_by)
        return Seen(
            rows,
            of_edges,
            connection.execute(sa.select(change_holds)).all(),
            connection.execute(sa.select(trials)).all(),
            connection.execute(sa.select(cycles)).all(),
            connection.execute(sa.select(*named)).all(),
        )


def violations(store: Store, plane: Plane, *, ended: bool, audit: bool = True) -> list[str]:
    """Give what does not hold, once each; without `audit` its chain is left out."""
    found = seen(store)
    all_of_it = [
        *_paths(found),
        *_held(found),
        *_arms(found),
        *_pointers(found),
        *(fault for target in plane.targets() for fault in _served(found, target, plane.history(target))),
        *_unfinished(found, plane, ended=ended),
    ]
    if audit and not (verified := store.audit.verify()).whole:
        all_of_it.append(f"audit: the chain is not whole: {verified}")
    noted = Counter(entry.subject for entry in store.audit.export(None) if entry.action.startswith("change."))
    all_of_it += [
        f"{id}: {noted[id]} audit entries of {len(edges)} edges"
        for id, edges in found.edges.items()
        if noted[id] != len(edges)
    ]
    return list(dict.fromkeys(all_of_it))


def _paths(found: Seen) -> Iterator[str]:
    """Each change's edges form one lawful path to where it stands, each edge taken by a later attempt than the one before."""
    for id, row in found.changes.items():
        at, paused_from, attempt = State.OBSERVED, None, -1
        for number, edge in enumerate(found.edges.get(id, ()), 1):
            source, target = State(edge.source), State(edge.target)
            if edge.seq != number:
                yield f"{id}: edge {edge.seq} stands where {number} was to"
            if source is not at:
                yield f"{id}: edge {number} leads from {source}, and it stood at {at}"
            if number > 1 and not lawful(source, target, paused_from):
                yield f"{id}: edge {number} from {source} to {target} is not lawful"
            if edge.attempt <= attempt:
                yield f"{id}: edges {number - 1} and {number} were taken by attempt {attempt} and {edge.attempt}"
            stood = paused_from if source is State.PAUSED else source
            paused_from = stood if target is State.PAUSED else None
            at, attempt = target, edge.attempt
        if row.state != str(at) or (row.paused_from or None) != (None if paused_from is None else str(paused_from)):
            yield f"{id}: it is {row.state} (from {row.paused_from}), and its edges lead to {at} (from {paused_from})"


def _standing(row: Any) -> tuple[State, State | None]:
    return State(row.state), None if row.paused_from is None else State(row.paused_from)


def _held(found: Seen) -> Iterator[str]:
    """Who holds a surface is exactly who has to."""
    have = {(row.tenant, row.surface): row.change for row in found.holds}
    want = {id for id, row in found.changes.items() if holds(*_standing(row))}
    for id in set(have.values()) ^ want:
        yield f"{id}: it {'should hold' if id in want else 'holds'} its surface, and {'does not' if id in want else 'should not'}"
    for (tenant, surface), id in have.items():
        row = found.changes[id]
        if (row.tenant, row.surface) != (tenant, surface):
            yield f"{id}: it holds {surface} of {tenant}"


def _arms(found: Seen) -> Iterator[str]:
    """An arm is live only while its change is tried or watched, the watch's or the trial's as it should be; empty while it is paused."""
    live = [row for row in found.trials if row.live]
    for surface, count in Counter((row.tenant, row.surface) for row in live).items():
        if count > 1:
            yield f"{surface}: {count} live trials"
    by_change = {row.change: row for row in live}
    for row in live:
        state, paused_from = _standing(found.changes[row.change])
        stands = paused_from or state
        phase = {
            State.TRYING: "trial",
            State.WATCHING: "watch",
            State.ROLLING_BACK: "watch",
            State.ROLLBACK_FAILED: "watch",
        }
        if phase.get(stands) != row.phase:
            yield f"{row.change}: its {row.phase} is live, and it is {state} (from {paused_from})"
        if state is State.PAUSED and row.phase == "trial" and row.share != 0:
            yield f"{row.change}: it is paused, and {row.share:g} of its units are in its arm"
    for id, row in found.changes.items():
        if row.state == "trying" and id not in by_change:
            yield f"{id}: it is tried without an arm"


def _pointers(found: Seen) -> Iterator[str]:
    """One snapshot serves a tenant: the first, or that of a change that was delivered and not taken back."""
    serving = [row for row in found.snapshots if row.state == "serving"]
    for tenant, count in Counter(row.tenant for row in serving).items():
        if count > 1:
            yield f"{tenant}: {count} snapshots serve"
    for row in serving:
        if row.made_by in found.changes:
            yield from _lawfully_live(found, row.made_by, f"snapshot {row.number}")
    for tenant in {row.tenant for row in found.snapshots} - {row.tenant for row in serving}:
        yield f"{tenant}: no snapshot serves"
    mine = {row.made_by: row.number for row in found.snapshots}
    for id, row in found.changes.items():
        if (
            row.state == "rolled_back"
            and row.kind == "pointer"
            and str(mine.get(id)) in {str(s.number) for s in serving if s.tenant == row.tenant}
        ):
            yield f"{id}: it is rolled back, and serves"


def _lawfully_live(found: Seen, id: str, what: str) -> Iterator[str]:
    row = found.changes.get(id)
    if row is None:
        yield f"{id}: {what} serves, and there is no such change"
        return
    state, paused_from = _standing(row)
    if (paused_from or state) not in DELIVERED:
        yield f"{id}: {what} serves, and it is {state} (from {paused_from})"
    if not any(edge.target == "delivering" for edge in found.edges[id]):
        yield f"{id}: {what} serves, and it was never delivered"


def _served(found: Seen, target: str, history: Sequence[Line]) -> Iterator[str]:
    """A plane's history fits the edges: each effect once, each by its change, each back to what was there."""
    effects = [line for line in history if line.effect]
    for key, count in Counter(line.key for line in effects).items():
        if count > 1:
            yield f"{key.split('/')[0]}: {count} effects under {key}"
    for (what, version), count in Counter(
        (line.what, line.after) for line in effects if line.what == "deliver"
    ).items():
        if count > 1:
            yield f"{version.removeprefix('v-')}: {what} took effect {count} times"
    now = FIRST
    for line in effects:
        row = found.changes.get(line.change)
        if row is None:
            yield f"{line.change}: an effect of a change that is not there"
            continue
        if line.before != now:
            yield f"{line.change}: an effect on {line.before} while {now} served"
        expected = row.candidate if line.what == "deliver" else row.baseline
        if line.after != expected:
            yield f"{line.change}: {line.what} put {line.after} in service, not {expected}"
        targets = {edge.target for edge in found.edges[line.change]}
        if {"deliver": "delivering", "undo": "rolling_back"}[line.what] not in targets:
            yield f"{line.change}: {line.what} without its edge"
        now = line.after
    if now != FIRST:
        yield from _lawfully_live(found, now.removeprefix("v-"), f"{now} at {target}")


def _unfinished(found: Seen, plane: Plane, *, ended: bool) -> Iterator[str]:
    """No delivery and no rollback is lost: what is kept was delivered, what is rolled back was restored."""
    effects: dict[str, list[str]] = defaultdict(list)
    for target in plane.targets():
        for line in plane.history(target):
            if line.effect:
                effects[line.change].append(line.what)
    for id, row in found.changes.items():
        state = State(row.state)
        if row.kind == "outside" and state is State.KEPT and effects[id] != ["deliver"]:
            yield f"{id}: it is kept, and its effects are {effects[id]}"
        if row.kind == "outside" and state is State.ROLLED_BACK and effects[id] not in ([], ["deliver", "undo"]):
            yield f"{id}: it is rolled back, and its effects are {effects[id]}"
        if row.kind == "outside" and state is State.REJECTED and effects[id]:
            yield f"{id}: it is rejected, and its effects are {effects[id]}"
        if ended and state not in ENDED:
            yield (
                f"{id}: it never ended: {state} (from {row.paused_from}) by attempt {row.attempt}, due {row.due_us}, "
                f"leased until {row.lease_until_us}: {row.reason}"
            )
    by_cycle: dict[str, list[Any]] = defaultdict(list)
    for row in found.changes.values():
        if row.cycle is not None:
            by_cycle[row.cycle].append(row)
    for cycle in found.cycles:
        own = sorted(by_cycle[cycle.id], key=lambda row: (row.created_us, row.id))
        if Counter(row.kind for row in own) - Counter(cycle.kinds):
            yield f"{cycle.id}: its changes are {[row.kind for row in own]}"
        if ended and cycle.closed_us is None:
            yield f"{cycle.id}: it was never closed"
