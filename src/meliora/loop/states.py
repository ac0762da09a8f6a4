"""The states of a change and the edges between them: the table that every write is held to. Holds no rules of when."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a change stands."""

    OBSERVED = "observed"
    """A gate failed, a schedule came, or somebody asked: the cause is to be found."""
    DIAGNOSED = "diagnosed"
    """The finding is there; a candidate is to be made of it."""
    PROPOSED = "proposed"
    """There is a candidate, and a frozen baseline."""
    PROVING = "proving"
    PROVED = "proved"
    """It won offline; it waits for its trial (or an approval, or the target to be free)."""
    TRYING = "trying"
    STOPPING = "stopping"
    """The trial ended against it: all traffic goes back to the baseline, and is seen to."""
    DELIVERING = "delivering"
    WATCHING = "watching"
    KEPT = "kept"
    REJECTED = "rejected"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    """The baseline could not be restored: it is shouted about until a person acts."""
    PAUSED = "paused"
    """Nothing happens: no data, inconclusive, or held by a person. It goes back to where it was."""


S = State

EDGES: dict[State, frozenset[State]] = {
    S.OBSERVED: frozenset({S.DIAGNOSED, S.REJECTED, S.PAUSED}),
    S.DIAGNOSED: frozenset({S.PROPOSED, S.REJECTED, S.PAUSED}),
    S.PROPOSED: frozenset({S.PROVING, S.REJECTED, S.PAUSED}),
    S.PROVING: frozenset({S.PROVED, S.REJECTED, S.PAUSED}),
    S.PROVED: frozenset({S.TRYING, S.DELIVERING, S.REJECTED, S.PAUSED}),
    S.TRYING: frozenset({S.TRYING, S.DELIVERING, S.STOPPING, S.PAUSED}),
    S.STOPPING: frozenset({S.REJECTED}),
    S.DELIVERING: frozenset({S.WATCHING, S.ROLLING_BACK}),
    S.WATCHING: frozenset({S.WATCHING, S.KEPT, S.ROLLING_BACK, S.PAUSED}),
    S.KEPT: frozenset({S.ROLLING_BACK}),
    S.ROLLING_BACK: frozenset({S.ROLLED_BACK, S.ROLLBACK_FAILED}),
    S.ROLLBACK_FAILED: frozenset({S.ROLLING_BACK}),
    S.PAUSED: frozenset(
        {
            S.OBSERVED,
            S.DIAGNOSED,
            S.PROPOSED,
            S.PROVING,
            S.PROVED,
            S.TRYING,
            S.WATCHING,
            S.STOPPING,
            S.ROLLING_BACK,
            S.REJECTED,
            S.PAUSED,
        }
    ),
    S.REJECTED: frozenset(),
    S.ROLLED_BACK: frozenset(),
}
"""From where to where. A state that leads to itself writes evidence on the way: a stage of a trial, a check of a watch."""

ENDED = frozenset({S.KEPT, S.REJECTED, S.ROLLED_BACK})
"""Nothing is due here; what is kept can still be rolled back by a person."""

HOLDING = frozenset({S.TRYING, S.STOPPING, S.DELIVERING, S.WATCHING, S.ROLLING_BACK, S.ROLLBACK_FAILED})
"""A change in one of these holds its target's surface: no other may touch it."""

RESTORING = frozenset({S.STOPPING, S.ROLLING_BACK})
"""What goes on under the kill switch: traffic back to the baseline."""


def lawful(source: State, target: State, paused_from: State | None = None) -> bool:
    """Tell whether an edge exists. Out of a pause leads back to where it was, or out by way of restoring the baseline."""
    if target not in EDGES[source]:
        return False
    if source is not State.PAUSED:
        return True
    if target is paused_from or target is State.PAUSED:
        return True
    if paused_from is State.TRYING:
        return target is State.STOPPING
    if paused_from is State.WATCHING:
        return target is State.ROLLING_BACK
    return target is State.REJECTED and paused_from not in HOLDING


def holds(state: State, paused_from: State | None = None) -> bool:
    """Tell whether a change in this state holds its target: a paused trial or watch does."""
    return (paused_from if state is State.PAUSED and paused_from else state) in HOLDING
