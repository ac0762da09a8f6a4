"""One tick over all gates of a tenant: read what is due, judge it together, remember, and tell what newly broke or mended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from meliora.errors import Conflict, NotFound
from meliora.loop.change import Environment
from meliora.loop.gates.gate import Baseline, Gate, Slice, check, check_all, named
from meliora.loop.gates.judge import Opinion, Verdict, look, settle
from meliora.loop.gates.metrics import canonical, nearest
from meliora.loop.gates.reading import NoData, Reading, Source
from meliora.loop.gates.standing import Standing, advance, due


class GateReading(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation, as it is kept."""

    gate: str
    at_us: int
    state: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    bound: float | None = None
    reason: str = ""


class GateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A gate as it is kept for a tenant."""

    name: str
    definition: Gate
    baseline: Baseline | None = None
    standing: Standing = Standing()
    last: GateReading | None = None
    """The last evaluation."""
    threshold: float | None = None
    """A bound that somebody set in place of the settings'."""
    threshold_by: str | None = None


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one evaluation came to."""

    gate: Gate
    standing: Standing
    reading: GateReading
    previous: Verdict
    newly_failed: bool = False
    newly_passed: bool = False


class GateRows(Protocol):
    """Keeps gates, their standing and their readings."""

    def rows(self, tenant: str) -> Sequence[GateRow]:
        """Give all that are kept, by name."""
        ...

    def record(self, tenant: str, gate: Gate, before: Standing, after: Standing, reading: GateReading) -> bool:
        """Keep an evaluation; False, and nothing kept, where another has evaluated the gate since `before`."""
        ...

    def freeze(self, tenant: str, gate: Gate, baseline: Baseline, by: str) -> None:
        """Keep a baseline in the place of the one before, tell the audit, and begin anew with what is remembered of the gate."""
        ...

    def bound(self, tenant: str, gate: Gate, threshold: float | None, by: str) -> None:
        """Keep a bound in place of the settings', or forget it, and begin anew with what is remembered of the gate."""
        ...


class GateBoard:
    """All gates of an environment. Any number of processes may tick: of two that evaluate at once, one is heard."""

    def __init__(
        self,
        gates: Sequence[Gate],
        environment: Environment,
        source: Source,
        rows: GateRows,
        new_id: Callable[[], str],
    ) -> None:
        self.gates = check_all(gates, environment)
        self.environment: Environment = environment
        self._source = source
        self._rows = rows
        self._new_id = new_id
        self._family = sum(_is_sampled(gate) for gate in self.gates)

    def tick(self, tenant: str, now_us: int) -> tuple[GateResult, ...]:
        """Evaluate the gates that are due and give what came out, in the order of the gates; empty where none is due."""
        rows = self.status(tenant)
        waiting = [(row.definition, row) for row in rows if due(row.standing, row.definition, now_us)]
        if not waiting:
            return ()
        readings = [self._source.read(tenant, gate, now_us) for gate, _ in waiting]
        opinions = settle(
            [
                look(gate, reading, row.baseline, row.standing.since_us)
                for (gate, row), reading in zip(waiting, readings, strict=True)
            ],
            self._family,
        )
        results = []
        for (gate, row), reading, opinion in zip(waiting, readings, opinions, strict=True):
            result = _result(gate, row.standing, reading, opinion, now_us)
            if self._rows.record(tenant, gate, row.standing, result.standing, result.reading):
                results.append(result)
        return tuple(results)

    def status(self, tenant: str) -> tuple[GateRow, ...]:
        """Give each gate with its standing and baseline; one that was never evaluated has no data."""
        kept = {row.name: row for row in self._rows.rows(tenant)}
        return tuple(_row(gate, kept.get(gate.name)) for gate in self.gates)

    def overall(self, tenant: str) -> Literal["passing", "near", "failing", "no_data"]:
        """Give the worst of all; `no_data` only where nothing is known of any."""
        rows = self.status(tenant)
        states = {row.standing.state for row in rows}
        if any(row.standing.failing for row in rows):
            return "failing"
        return "near" if "near" in states else "passing" if "pass" in states else "no_data"

    def next_tick_us(self, tenant: str) -> int | None:
        """Give when the next gate is evaluated; 0 for at once, None where there is no gate."""
        rows = self.status(tenant)
        return min(
            ((row.standing.evaluated_us or 0) + round(row.definition.every_seconds * 1e6) for row in rows),
            default=None,
        )

    def set_threshold(self, tenant: str, name: str, threshold: float | None, by: str) -> GateRow:
        """Set the bound of the gate of this name, or of the one on this metric; None: what the settings say holds again.

        A metric goes by its aliases too. Where a gate on its value and one on its change stand side by side, the former is meant.
        Raises `InvalidRequest` for a bound that cannot be judged by, `NotFound` for a name that is none or several, with the nearest.
        """
        gate = self._meant(name)
        check(_bounded(gate, threshold), self.environment)
        self._rows.bound(tenant, gate, threshold, by)
        return next(row for row in self.status(tenant) if row.name == gate.name)

    def freeze(self, tenant: str, name: str, now_us: int, by: str) -> Baseline:
        """Freeze what a gate's metric is now as the baseline it is compared with, under a new id; `by` is who did, for the audit.

        Raises `InvalidRequest` for an unknown gate, `Conflict` where there are too few figures to stand for anything.
        """
        gate = named(self.gates, name)
        reading = self._source.read(tenant, gate, now_us)
        if isinstance(reading, NoData):
            raise Conflict(f"There is no baseline to freeze for {name!r}: {reading.reason}.")
        if reading.n < gate.minimum:
            raise Conflict(f"{name!r} has {reading.n} observations, and {gate.minimum} make a baseline.")
        baseline = Baseline(
            id=self._new_id(),
            metric=gate.metric,
            value=reading.value,
            n=reading.n,
            since_us=now_us - round(gate.window_seconds * 1e6),
            until_us=reading.at_us,
            per_query=reading.per_query,
        )
        self._rows.freeze(tenant, gate, baseline, by)
        return baseline

    def last(self, tenant: str) -> dict[str, float | None]:
        """Give the last value of each metric that a gate is on over all calls, by name; None where there was no data."""
        readings = [
            (row, row.last) for row in self.status(tenant) if row.last is not None and row.definition.where == Slice()
        ]
        readings.sort(key=lambda one: one[1].at_us)
        known = {row.definition.metric: last.value for row, last in readings}
        return {gate.metric: known.get(gate.metric) for gate in self.gates}

    def _meant(self, name: str) -> Gate:
        known = {gate.name: gate for gate in self.gates}
        if name in known:
            return known[name]
        on_metric = [gate for gate in self.gates if gate.metric == canonical(name)]
        absolute = [gate for gate in on_metric if gate.threshold is not None]
        for meant in (on_metric, absolute):
            if len(meant) == 1:
                return meant[0]
        if on_metric:
            hint = f"Name one: {', '.join(gate.name for gate in on_metric)}."
            raise NotFound(f"{len(on_metric)} gates are on {name!r}.", hint=hint)
        raise NotFound(f"There is no gate {name!r}.", hint=nearest(name, {*known, *(g.metric for g in self.gates)}))

    def gate(self, name: str) -> Gate:
        """Give a gate. Raises `NotFound`."""
        found = next((gate for gate in self.gates if gate.name == name), None)
        if found is None:
            raise NotFound(f"There is no gate {name!r}.")
        return found


def _row(gate: Gate, kept: GateRow | None) -> GateRow:
    if kept is None:
        return GateRow(name=gate.name, definition=gate)
    gate = _bounded(gate, kept.threshold)
    if kept.definition == gate:
        return kept
    baseline = kept.baseline if kept.definition.metric == gate.metric and kept.definition.where == gate.where else None
    # The mark of the last evaluation stays: it is what a second worker is told apart by.
    fresh = Standing(evaluated_us=kept.standing.evaluated_us)
    return msgspec.structs.replace(kept, definition=gate, baseline=baseline, standing=fresh, last=None)


def _bounded(gate: Gate, threshold: float | None) -> Gate:
    return gate if threshold is None else msgspec.structs.replace(gate, threshold=threshold, change=None)


def _result(gate: Gate, before: Standing, reading: Reading | NoData, opinion: Opinion, now_us: int) -> GateResult:
    after = advance(before, gate, opinion, now_us)
    kept = GateReading(gate=gate.name, at_us=now_us, state=after.state, n=reading.n, bound=opinion.bound)
    if isinstance(reading, Reading):
        kept = msgspec.structs.replace(kept, value=reading.value, low=reading.low, high=reading.high)
    return GateResult(
        gate=gate,
        standing=after,
        reading=msgspec.structs.replace(kept, reason=opinion.reason),
        previous=before.state,
        newly_failed=after.failing and not before.failing,
        newly_passed=before.failing and not after.failing,
    )


def _is_sampled(gate: Gate) -> bool:
    return gate.kind in ("telemetry", "pushed") and gate.of().form != "gauge"
