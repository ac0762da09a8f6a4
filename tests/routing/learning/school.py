"""A store in which a policy serves, prompts that it decides, and words about the answers: what the learner works with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from meliora.routing.learned.policy import Policy
from meliora.routing.learned.snapshot import decode, encode
from meliora.routing.learning.fit import Fitting, fit
from meliora.routing.learning.trunk import Embedding
from meliora.runtime.learning import learner, rewarder
from meliora.settings.models import Settings
from meliora.store import Store
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.engine import connect, database_url
from meliora.telemetry.ingest import Batch
from meliora.telemetry.records import CallFinished, RoutedCandidate, RoutingTrace
from meliora.testing.clock import FrozenClock
from tests.routing.learned.planted import MODELS, outcomes
from tests.server.house import empty_database

EASY = "Please tell me of capital and colour and weather."
HARD = "Please tell me of theorem and proof and lemma."


@cache
def fitted() -> Policy:
    """Give a policy fitted on planted outcomes."""
    return fit(outcomes(120), fitting=Fitting(embedding=Embedding(width=4), folds=3))


@cache
def blob(number: int) -> bytes:
    """Give that policy as a snapshot."""
    return encode(replace(fitted(), number=number))


@cache
def served() -> Policy:
    """Give that policy as a gateway has it."""
    return decode(blob(1))


@dataclass
class School:
    """What a test works with; the policy of number 1 serves the tenant `default`."""

    store: Store
    clock: FrozenClock
    settings: Settings
    _at: int = field(default=0)

    def __post_init__(self) -> None:
        self.serve("default")
        self.restart()

    def serve(self, tenant: str) -> int:
        """Put a policy in service."""
        number = self.store.routing_snapshots.add(tenant, blob, kind="fit", made_by="test").number
        self.store.routing_snapshots.promote(tenant, number)
        return number

    def restart(self) -> None:
        """Begin with a worker that knows nothing."""
        self.rewarder = rewarder(self.settings, self.store)
        self.learner = learner(self.settings, self.store, self.clock)

    def decided(self, prompt: str = EASY, model: str = "small", **over: Any) -> str:
        """Ingest a call that the policy decided; give its id."""
        policy = served()
        prediction = policy.predict(prompt)
        candidates = tuple(
            RoutedCandidate(name, 1 / 3, 1 / 3, float(quality), None)
            for name, quality in zip(MODELS, prediction.quality, strict=True)
        )
        now = self.clock.now_us()
        trace = RoutingTrace(1, policy.trunk, prediction.phi.astype("<f2").tobytes(), candidates, model)
        values: dict[str, Any] = {
            "id": self.store.call_ids.new(),
            "tenant": "default",
            "key_id": "key_1",
            "gateway": "g",
            "started_us": now,
            "ended_us": now + 1000,
            "dialect": "chat",
            "model_asked": "auto",
            "outcome": "ok",
            "status": 200,
            "model": model,
            "user": "ann",
            "cost_micros": 100,
            "routing": trace,
        }
        record = CallFinished(**values | over)
        start, self._at = self._at, self._at + 1
        self.store.sink.take(Batch("school", start, self._at, [], [record]))
        return record.id

    def say(self, call_id: str, kind: str, tenant: str = "default") -> None:
        """Give feedback on an answer."""
        self.store.feedbacks.give(tenant, FeedbackGiven(feedback_type=kind, call_id=call_id))

    def work(self, seconds: float = 60.0) -> None:
        """Let time pass, and the worker do what it does."""
        self.clock.advance(seconds)
        while self.rewarder.step():
            pass
        while self.learner.step():
            pass

    def policy(self, tenant: str = "default") -> Policy:
        """Give what serves now."""
        serving = self.store.routing_snapshots.serving(tenant)
        assert serving is not None
        return decode(self.store.routing_snapshots.blob(tenant, serving.number))

    def quality(self, model: str = "small", prompt: str = EASY) -> float:
        """Give what the serving policy expects of a model."""
        return float(self.policy().predict(prompt).quality[MODELS.index(model)])

    def mean(self) -> np.ndarray:
        """Give the coefficients of the serving policy."""
        return self.policy().quality.mean


@contextmanager
def school(settings: Settings | None = None) -> Iterator[School]:
    """Give an empty one."""
    clock = FrozenClock()
    with TemporaryDirectory(prefix="meliora-") as directory:
        shutil.copy(empty_database(), directory)
        with Store(connect(database_url("", Path(directory))), clock_us=clock.now_us) as store:
            yield School(store, clock, settings or Settings())
