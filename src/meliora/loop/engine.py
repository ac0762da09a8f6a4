"""Takes the edges that are due, one attempt at a time, under a lease; the lifecycle's rules are in `steps`.

An attempt that fails is repeated with growing pauses. What fails again and again pauses; a delivery is rolled back; a rollback is
shouted about. What can never come through is rejected at once. The kill switch leaves only what restores baselines.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
import structlog

from meliora.errors import Conflict, Forbidden, InvalidRequest, NotFound, StoreUnavailable
from meliora.loop.change import Change
from meliora.loop.house import Happened, House
from meliora.loop.shelf import Due, EdgeWish
from meliora.loop.states import State
from meliora.loop.steps import STEPS
from meliora.loop.steps.deliver import failed, roll_back
from meliora.loop.steps.outcome import Outcome, Wait, pause, reject
from meliora.loop.steps.trial import stop
from meliora.loop.work import Fence, Superseded, Work

log = structlog.get_logger(__name__)

LONGEST_RETRY = 600.0
PERMANENT = (InvalidRequest, NotFound, Forbidden, Conflict)
"""Errors that another attempt would come to again."""
UNTOUCHED = frozenset({State.OBSERVED, State.DIAGNOSED, State.PROPOSED, State.PROVING, State.PROVED})
"""Where a change holds nothing yet, so that it may end at once."""


class Engine:
    """Move changes along. Several may run on one store, in threads or processes."""

    def __init__(self, house: House) -> None:
        self._house = house

    def step(self, limit: int = 20) -> bool:
        """Take what is due, at most `limit` changes; tell whether there was anything. Raises `StoreError`."""
        moved = False
        for due in self.due(limit):
            moved = self.take(due) or moved
        return moved

    def due(self, limit: int = 20) -> Sequence[Due]:
        """Give what is due; under the kill switch only what restores. Raises `StoreError`."""
        return self._house.shelf.due(limit, restoring_only=self._house.governance.halted())

    def take(self, due: Due) -> bool:
        """Take one change up; False where somebody else has it."""
        house = self._house
        change = house.shelf.claim(due, house.owner, round(house.rules.lease_seconds * 1e6))
        if change is None:
            return False
        fence = Fence(change.tenant, change.id, change.attempt)
        try:
            with self._kept(fence):
                outcome = self._outcome(change, fence)
                self._commit(change, fence, outcome)
        except Superseded as error:
            log.warning("an attempt was superseded; nothing of it was written", change=change.id, error=str(error))
        return True

    def _outcome(self, change: Change, fence: Fence) -> Outcome:
        step = STEPS.get(change.state)
        if step is None:
            return Wait(None, change.reason)
        try:
            return _recovered(change, step(self._house, change, self._work(change, fence)))
        except (Superseded, StoreUnavailable):
            raise
        except PERMANENT as error:
            if (
                change.state not in UNTOUCHED or change.kind not in self._house.kinds
            ):  # a newer worker may know the kind
                return self._failed(change, fence, error)
            log.warning("an edge cannot be taken", change=change.id, state=change.state, error=str(error))
            evidence = {"error": str(error), "code": error.code}
            return reject(self._house, f"{change.state} cannot go on: {error}", evidence)
        except Exception as error:  # noqa: BLE001 -- a kind is foreign code, and its failure is the change's, not the worker's
            return self._failed(change, fence, error)

    def _failed(self, change: Change, fence: Fence, error: Exception) -> Outcome:
        log.error(
            "an attempt at an edge failed", change=change.id, state=change.state, attempt=fence.attempt, exc_info=error
        )
        return self._failure(change, f"{type(error).__name__}: {error}")

    def _commit(self, change: Change, fence: Fence, outcome: Outcome) -> None:
        shelf = self._house.shelf
        if isinstance(outcome, Wait):
            shelf.put_off(fence, outcome.seconds, progress=outcome.progress, reason=outcome.reason)
            return
        wish = outcome.wish
        try:
            moved = shelf.take(fence, wish, outcome.also)
        except Superseded:
            raise
        except Conflict as error:
            shelf.put_off(fence, self._house.rules.wait_seconds, reason=str(error))
            return
        log.info("a change took an edge", change=change.id, kind=change.kind, source=change.state, target=moved.state)
        self._tell(change, moved, wish)

    def _failure(self, change: Change, error: str) -> Outcome:
        rules = self._house.rules
        failures = change.progress.get("failures", 0) + 1
        if failures < rules.failures:
            seconds = min(LONGEST_RETRY, rules.retry_seconds * 2 ** (failures - 1))
            return Wait(seconds, f"attempt {failures} failed, and is repeated: {error}", {"failures": failures})
        evidence = {"failures": failures, "error": error}
        if change.state is State.DELIVERING:
            return roll_back(self._house, f"it could not be delivered: {error}", evidence)
        if change.state is State.ROLLING_BACK:
            return failed(self._house, f"the baseline could not be restored: {error}", evidence)
        if change.state is State.STOPPING:
            return Wait(LONGEST_RETRY, f"the trial's end could not be read back: {error}", {"failures": failures})
        if change.state is State.TRYING:
            return stop(self._house, change, f"the trial could not be judged: {error}", evidence)
        return pause(self._house, f"failed {failures} times: {error}", evidence, None, change.progress)

    def _work(self, change: Change, fence: Fence) -> Work:
        house = self._house
        lease_us = round(house.rules.lease_seconds * 1e6)

        def tell(share: float | None, sentence: str, checkpoint: dict[str, Any] | None) -> None:
            said: dict[str, Any] = {"share": share, "sentence": sentence}
            if checkpoint is not None:
                said["checkpoint"] = checkpoint
            house.shelf.renew(fence, lease_us, said)

        return Work(
            fence=fence,
            key=f"{change.id}/{change.state}",
            seed=seed_of(change),
            now_us=house.shelf.now_us,
            tell=tell,
            checkpoint=change.progress.get("checkpoint", {}),
            finding=None if change.finding is None else house.finding(change.tenant, change.finding),
        )

    @contextmanager
    def _kept(self, fence: Fence) -> Iterator[None]:
        """Renew the lease while the attempt runs; a process that stands still loses it."""
        house, done = self._house, threading.Event()
        lease = house.rules.lease_seconds

        def renew() -> None:
            while not done.wait(lease / 3):
                try:
                    house.shelf.renew(fence, round(lease * 1e6))
                except Superseded:
                    return
                except StoreUnavailable as error:
                    log.warning("a lease could not be renewed", change=fence.change, error=str(error))

        keeper = threading.Thread(target=renew, name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()

    def _tell(self, before: Change, change: Change, wish: EdgeWish) -> None:
        what = _TOLD.get((before.state, change.state)) or _TOLD.get((None, change.state))
        if what is not None:
            self._house.tell(Happened(change=change, what=what, sentence=wish.reason or change.summary))


_TOLD: dict[tuple[State | None, State], Any] = {
    (None, State.REJECTED): "rejected",
    (None, State.PAUSED): "paused",
    (State.DELIVERING, State.WATCHING): "delivered",
    (None, State.KEPT): "kept",
    (None, State.ROLLED_BACK): "rolled_back",
    (None, State.ROLLBACK_FAILED): "rollback_failed",
}


def _recovered(change: Change, outcome: Outcome) -> Outcome:
    """Forget earlier failures once an attempt has come through."""
    if not change.progress.get("failures"):
        return outcome
    if isinstance(outcome, Wait):
        return replace(outcome, progress={**outcome.progress, "failures": 0})
    progress = change.progress if outcome.wish.progress is None else outcome.wish.progress
    return replace(outcome, wish=msgspec.structs.replace(outcome.wish, progress={**progress, "failures": 0}))


def seed_of(change: Change) -> int:
    """Give the seed of all that is drawn at a change's edge: the same in every attempt and replay."""
    return int.from_bytes(sha256(f"{change.id}/{change.state}".encode()).digest()[:8], "big")
