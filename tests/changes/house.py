"""A deployment in which models answer, outcomes are on record, and kinds of change do their work: everything real but the traffic."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from meliora.loop.change import Change
from meliora.loop.engine import seed_of
from meliora.loop.kind import ChangeKind, Later, Proposal
from meliora.loop.states import State
from meliora.loop.work import Fence, Work
from meliora.routing.learned.policy import Policy
from meliora.routing.learned.snapshot import encode
from meliora.routing.learning.records import Reward, Settled
from meliora.store import Store
from meliora.store.engine import connect, database_url
from meliora.telemetry.ingest import Batch
from meliora.telemetry.records import CallFinished, RoutedCandidate, RoutingTrace, Usage
from meliora.testing.clock import FrozenClock
from meliora.testing.contract import Faults, Fences, change_of
from meliora.testing.policies import planted
from tests.server.house import empty_database

FILLER = ("quickly thanks", "with kind regards", "whenever suits", "before monday", "urgently indeed")
KNOWN = {"small": (0.7, 0.001), "large": (0.9, 0.01)}
"""What the policy that serves foresees: large is better, and ten times as dear."""


@dataclass
class Deployment:
    """One store, one clock."""

    store: Store
    clock: FrozenClock
    random: random.Random
    faults: Faults = field(default_factory=Faults)
    fences: Fences = field(default_factory=Fences)
    _at: int = 0

    def add_policy(self, models: Mapping[str, Any] = KNOWN, **over: Any) -> int:
        """Keep a policy as a candidate; give its number."""
        policy = planted(models, curve=((0.05, 0.9), (0.1, 1.0)))
        return self.keep(policy, **over)

    def keep(self, policy: Policy, kind: Any = "fit", **over: Any) -> int:
        return self.store.routing_snapshots.add(
            "default", lambda number: encode(replace(policy, number=number)), kind=kind, made_by="test", **over
        ).number

    def serve(self, number: int) -> int:
        """Put a policy in service as a person does."""
        self.store.routing_snapshots.promote("default", number)
        return number

    def learn(self) -> int:
        """Publish what learning made of the policy that serves; give its number."""
        serving = self.store.routing_snapshots.serving("default")
        assert serving is not None
        policy = planted(KNOWN)
        made = self.store.routing_snapshots.publish(
            "default",
            serving.number,
            lambda number: encode(replace(policy, number=number)),
            learned_seq=0,
            evidence={},
            keep=3,
        )
        assert made is not None
        return made.number

    def serving(self) -> int | None:
        found = self.store.routing_snapshots.serving("default")
        return None if found is None else found.number

    def decided(self, rewards: Mapping[str, float], count: int, *, prompt: str = "hello there", **over: Any) -> None:
        """Record calls that a policy gave to models by chance, and what each answer was worth (with noise) and cost."""
        phi = planted(KNOWN).predict(prompt).phi.astype("<f2").tobytes()
        models = list(rewards)
        chance = 1 / len(models)
        candidates = tuple(RoutedCandidate(model, chance, chance, 0.5, None) for model in models)
        calls, worth = [], []
        for _ in range(count):
            self.clock.advance(1)
            model = self.random.choice(models)
            trace = RoutingTrace(1, "planted", phi, candidates, model)
            calls.append(self.call(model=model, routing=trace, cost_micros=_cost(model), **over))
            worth.append(min(1.0, max(0.0, rewards[model] + self.random.uniform(-0.1, 0.1))))
        self.ingest(calls)
        self.reward([call.id for call in calls], worth)

    def asked(
        self, rewards: Mapping[str, Mapping[str, float]], count: int, *, people: int = 12, rest: str = ""
    ) -> None:
        """Record calls with their prompts: `rewards` by a word of the prompt, then by model."""
        words = list(rewards)
        calls, worth = [], []
        phi = planted(KNOWN).predict("hello there").phi.astype("<f2").tobytes()
        for _ in range(count):
            self.clock.advance(1)
            word = self.random.choice(words)
            models = list(rewards[word])
            chance = 1 / len(models)
            candidates = tuple(RoutedCandidate(model, chance, chance, 0.5, None) for model in models)
            model = self.random.choice(models)
            user = f"user-{self.random.randrange(people)}"
            text = f"Hello, my {word} number {self.random.randrange(10**6)} {rest} {self.random.choice(FILLER)}"
            body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
            calls.append(
                self.call(
                    model=model,
                    routing=RoutingTrace(1, "planted", phi, candidates, model),
                    cost_micros=_cost(model),
                    user=user,
                    content="redacted",
                    request_text=msgspec.json.encode(body).decode(),
                )
            )
            value = rewards[word][model] + self.random.uniform(-0.1, 0.1)
            worth.append(min(1.0, max(0.0, value)))
        self.ingest(calls)
        self.reward([call.id for call in calls], worth)

    def call(self, **over: Any) -> CallFinished:
        """Make the record of a call that just ended well."""
        now = self.clock.now_us()
        values: dict[str, Any] = {
            "id": self.store.call_ids.new(),
            "tenant": "default",
            "key_id": "key_1",
            "gateway": "g",
            "started_us": now - 400_000,
            "ended_us": now,
            "dialect": "chat",
            "model_asked": "auto",
            "outcome": "ok",
            "status": 200,
            "model": "small",
            "task": "chat",
            "cost_micros": 1000,
            "usage": Usage(input=100, output=50),
        }
        return CallFinished(**values | over)

    def ingest(self, calls: Sequence[CallFinished]) -> None:
        start, self._at = self._at, self._at + 1
        self.store.sink.take(Batch("seg", start, self._at, [], list(calls)))

    def reward(self, ids: Sequence[str], worth: Sequence[float]) -> None:
        settled = [
            Settled(call, "default", 0, Reward(value, 1.0, "feedback")) for call, value in zip(ids, worth, strict=True)
        ]
        assert self.store.outcomes.settle(settled) == len(settled)

    def change(self, kind: str, **fields: Any) -> Change:
        """Give a change that is diagnosed now."""
        now = self.clock.now_us()
        return change_of(kind, "target", "gateway", updated_us=now, created_us=now, **fields)

    def work(self, change: Change, fence: Fence | None = None, finding: dict[str, Any] | None = None) -> Work:
        """Give the work of the next attempt."""
        return Work(
            fence=fence or self.fences.take(change),
            key=f"{change.id}/{change.state}",
            seed=seed_of(change),
            now_us=self.clock.now_us,
            tell=lambda share, sentence, checkpoint: None,
            finding=finding,
        )

    def proposed(self, kind: ChangeKind, change: Change, finding: dict[str, Any] | None = None) -> Change:
        """Let a kind make a candidate, and give the change with it."""
        made = kind.propose(change, self.work(change, finding=finding))
        assert made is not None and not isinstance(made, Later), made
        return with_proposal(change, made)


def with_proposal(change: Change, made: Proposal) -> Change:
    """Note a proposal in its change, as the loop does."""
    return msgspec.structs.replace(
        change,
        state=State.PROVING,
        target=made.target,
        payload=msgspec.json.decode(msgspec.json.encode(made.payload)),
        candidate=made.candidate,
        baseline=made.baseline,
        summary=made.summary,
    )


def _cost(model: str) -> int:
    return {"small": 1000, "large": 10_000}.get(model, 5000)


Furnish = Callable[[Deployment], object]


class Deployments:
    """Makes deployments, and closes all of them at the end."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._furnished: dict[Furnish, tuple[Path, int]] = {}

    def __call__(self, furnish: Furnish | None = None) -> Deployment:
        """Give a new one; what `furnish` does to one is done once and copied."""
        if furnish is None:
            return self._made(empty_database())
        if furnish not in self._furnished:
            first = self._made(empty_database())
            furnish(first)
            with first.store.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
            self._furnished[furnish] = Path(str(first.store.engine.url.database)), first.clock.now_us()
        database, now = self._furnished[furnish]
        made = self._made(database)
        made.clock.advance((now - made.clock.now_us()) / 1e6)
        return made

    def _made(self, database: Path) -> Deployment:
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix="meliora-", ignore_cleanup_errors=True)))
        shutil.copy(database, folder / "meliora.db")
        clock, drawn = FrozenClock(), random.Random(11)
        engine = connect(database_url("", folder))
        store = self._open.enter_context(Store(engine, clock_us=clock.now_us, randbytes=drawn.randbytes))
        return Deployment(store, clock, random.Random(5))

    def close(self) -> None:
        self._open.close()
