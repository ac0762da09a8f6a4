"""Notices that a model has changed under its name: a two-sided CUSUM for each model and task, on standardised surprises.

An alarm says how large the change looks and since how many outcomes; what to do about it is the learner's to decide.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Watch:
    """When to raise an alarm (Page, Biometrika 41, 1954). Units are standard deviations of one outcome.

    With these defaults a model that does not change gives an alarm about once in 12,000 outcomes (Siegmund, Sequential
    Analysis, 1985, II.5), and a fall by 20 points of a model with yes-or-no rewards is seen after about 70.
    """

    allowance: float = 0.22
    """Half of the smallest change that matters: 0.22 standard deviations are 10 points at a success rate of 0.7."""
    threshold: float = 15.0
    share: float = 0.6
    """Of the threshold: the most that one key's outcomes can add while other keys are heard too."""
    settling: int = 50
    """How many outcomes the usual surprise of a stream counts as, set at nought, before its own outcomes tell better."""

    def __post_init__(self) -> None:
        if not (self.allowance > 0 and self.threshold > 0 and 0 < self.share <= 1 and self.settling >= 0):
            raise ValueError(
                f"a drift alarm needs an allowance and a threshold over 0 and a share in (0, 1], not {self}"
            )


@dataclass(frozen=True, slots=True)
class Alarm:
    """A model's rewards have shifted on a task."""

    model: str
    task: str
    shift: float
    """Mean surprise since the change seems to have begun, in standard deviations; negative where the model got worse."""
    outcomes: int
    """How many outcomes have come since then."""


@dataclass(slots=True)
class _Side:
    sign: float
    total: float = 0.0
    surprise: float = 0.0
    count: int = 0
    keys: dict[Hashable, float] = field(default_factory=dict)
    """What each key has added to `total`, where it has added anything."""

    def add(self, surprise: float, key: Hashable, several: bool, watch: Watch) -> None:
        step = self.sign * surprise - watch.allowance
        held = self.keys.get(key, 0.0)
        if several:
            step = min(step, watch.share * watch.threshold - held)
        if self.total + step <= 0:
            self.clear()
            return
        self.total += step
        self.surprise += surprise
        self.count += 1
        self.keys[key] = held + step

    def clear(self) -> None:
        self.total, self.surprise, self.count = 0.0, 0.0, 0
        self.keys.clear()


@dataclass(slots=True)
class _Stream:
    usual: float = 0.0
    count: int = 0
    down: _Side = field(default_factory=lambda: _Side(-1.0))
    up: _Side = field(default_factory=lambda: _Side(1.0))


class DriftWatch:
    """Keeps a CUSUM for each model and task. A model that is always predicted a little wrong is no drift: each stream's usual
    surprise is taken off."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch or Watch()
        self._streams: dict[tuple[str, str], _Stream] = {}

    def see(self, model: str, task: str, surprise: float, key: Hashable = "", *, several: bool = False) -> Alarm | None:
        """Take one surprise: reward less its prediction, over its standard deviation, cut at 3. Give the alarm it raises, if any.

        `several`: whether keys other than this one are heard in this tenant, so that one alone shall not raise the alarm.
        A stream that has raised one starts afresh. Raises `ValueError` for a surprise that is not finite.
        """
        if not math.isfinite(surprise):
            raise ValueError(f"a surprise is a finite number, not {surprise}")
        stream = self._streams.setdefault((model, task), _Stream())
        fresh = min(3.0, max(-3.0, surprise)) - stream.usual
        for side in (stream.down, stream.up):
            side.add(fresh, key, several, self.watch)
            if side.total >= self.watch.threshold:
                alarm = Alarm(model, task, side.surprise / side.count, side.count)
                self.forget(model)
                return alarm
        stream.count += 1
        stream.usual += fresh / (stream.count + self.watch.settling)
        return None

    def forget(self, model: str) -> None:
        """Start afresh with every task of a model."""
        for held in [held for held in self._streams if held[0] == model]:
            del self._streams[held]
