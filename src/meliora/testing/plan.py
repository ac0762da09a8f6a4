"""Which call gets which fault. Deterministic: the same calls in the same order always meet the same faults."""

from __future__ import annotations

import fnmatch
import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from meliora.gateway.simulated.upstream import Send
from meliora.gateway.upstream import UpstreamAnswer, UpstreamRequest
from meliora.testing import inprocess
from meliora.testing.faults import Fault


@dataclass(frozen=True)
class FaultRule:
    """A fault for the calls that match. `path` and `model` are globs; calls are counted per rule, those that match alone."""

    fault: Fault
    path: str = "*"
    model: str = "*"
    skip: int = 0
    """How many matching calls go well first."""
    times: int | None = None
    """How many are spoiled; None for all that follow."""
    share: float = 1.0
    """Share of them that are, chosen by the plan's seed and the call's number."""


class FaultPlan:
    """A script, one entry a call (None: all goes well), and rules for the calls after its end. Safe to use from threads."""

    def __init__(
        self,
        script: Sequence[Fault | None] = (),
        rules: Sequence[FaultRule] = (),
        seed: int = 0,
        patience: inprocess.Patience | None = None,
    ) -> None:
        self._script = list(script)
        self._rules = list(rules)
        self._seed = seed
        self._patience = patience or inprocess.Patience()
        self._calls = 0
        self._matched: Counter[int] = Counter()
        self._used: Counter[int] = Counter()
        self._lock = threading.Lock()
        self.injected: list[tuple[int, Fault]] = []
        """Number of the call (from 0) and its fault, in order."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault that may come."""
        scripted = [fault for fault in self._script if fault is not None]
        return (*scripted, *(rule.fault for rule in self._rules))

    def next(self, path: str, model: str | None) -> Fault | None:
        """Give the fault of the next call, None for one that goes well. The first rule that applies decides."""
        with self._lock:
            number, self._calls = self._calls, self._calls + 1
            fault = self._script[number] if number < len(self._script) else self._by_rule(path, model or "", number)
            if fault is not None:
                self.injected.append((number, fault))
            return fault

    async def around(self, request: UpstreamRequest, send: Send) -> UpstreamAnswer:
        """Be the `faults` of a `SimulatedUpstream`, or stand before any other upstream's `send`."""
        fault = self.next(request.path, model_in(request.body))
        return await inprocess.spoil(fault, request, send, self._patience)

    def _by_rule(self, path: str, model: str, number: int) -> Fault | None:
        bare = path.partition("?")[0]
        for index, rule in enumerate(self._rules):
            if not (fnmatch.fnmatchcase(bare, rule.path) and fnmatch.fnmatchcase(model, rule.model)):
                continue
            self._matched[index] += 1
            if self._matched[index] <= rule.skip or (rule.times is not None and self._used[index] >= rule.times):
                continue
            if _drawn(self._seed, index, number) < rule.share:
                self._used[index] += 1
                return rule.fault
        return None


def model_in(body: bytes) -> str | None:
    """Give the model that a request's body names, None where it names none or is no JSON."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    model = decoded.get("model") if isinstance(decoded, dict) else None
    return model if isinstance(model, str) else None


def _drawn(seed: int, index: int, number: int) -> float:
    made = hashlib.blake2b(f"{seed}:{index}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(made, "big") / 2**64
