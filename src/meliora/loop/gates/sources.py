"""Where figures come from inside: recorded calls, pushed measurements, functions of the user's, and, in `dev` only, a simulation."""

from __future__ import annotations

import importlib
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog

from meliora.errors import InvalidRequest
from meliora.loop.change import Environment
from meliora.loop.gates.figures import CallCell, Figures, Observation
from meliora.loop.gates.gate import DIMENSIONS, Gate, Slice
from meliora.loop.gates.metrics import SourceKind
from meliora.loop.gates.reading import Cell, NoData, Reading, Source, Span, sampled, spread_of
from meliora.telemetry.processes import ALIVE_US, Values, workers

log = structlog.get_logger(__name__)

STALE_US = 900_000_000
"""Calls that are not counted for longer than this make what is counted no ground to judge on."""
MOST_UNPRICED = 0.5
"""Share of the calls of unknown cost from which a mean cost says nothing."""
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Sources:
    """Read each gate from where it says. One that is of a kind that is not set up here has no data."""

    def __init__(self, by_kind: Mapping[SourceKind, Source]) -> None:
        self._by_kind = by_kind

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Read it."""
        source = self._by_kind.get(gate.kind)
        if source is None:
            return NoData(f"{gate.kind} is not set up")
        return source.read(tenant, gate, now_us)


class Recorded:
    """Reads recorded calls and feedback: from the roll-ups, or, for a feature, from the calls themselves."""

    def __init__(self, figures: Figures, values: Values) -> None:
        self._figures = figures
        self._values = values
        self._last: tuple[tuple[str, Slice, Span, int], Sequence[CallCell]] | None = None

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Read it. Where calls wait to be counted, what is counted is not the present, and there is no data."""
        found = gate.of()
        if found.name == "budget_share":
            share = self._figures.budget_share(tenant, now_us)
            return NoData("no key has a budget") if share is None else Reading("gauge", share, gate.minimum, now_us)
        if found.name == "ingest_lag":
            return self._lag(gate, now_us)
        span = Span.of(gate, now_us)
        if found.name == "satisfaction":
            return self._satisfaction(tenant, gate, span)
        if found.name == "search_success":
            return self._searches(tenant, gate.where, span)
        behind = self._figures.behind_us(tenant)
        if behind is not None and behind < min(span.until_us, now_us - STALE_US):
            return NoData("calls are waiting to be counted; what is counted is not the present")
        calls = self._calls(tenant, gate.where, span, now_us)
        if found.name == "cost_per_1k" and (missing := _unpriced(calls, span)):
            return NoData(missing)
        return sampled(found.form, [_cell(found.name, cell) for cell in calls], span, found.quantile)

    def _calls(self, tenant: str, where: Slice, span: Span, now_us: int) -> Sequence[CallCell]:
        """Read the calls; several gates of a tick look at the same ones."""
        key = (tenant, where, span, now_us)
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        found = self._figures.calls(tenant, where, span)
        self._last = (key, found)
        return found

    def _satisfaction(self, tenant: str, gate: Gate, span: Span) -> Reading | NoData:
        """Say 0..1 as 1..5."""
        cells = []
        for part in self._figures.words(tenant, gate.where, span):
            values = np.asarray(list(part.counts), dtype=float)
            counts = np.asarray(list(part.counts.values()), dtype=float)
            cells.append(Cell(part.start_us, int(counts.sum()), values=1 + 4 * values, counts=counts))
        return sampled("mean", cells, span)

    def _searches(self, tenant: str, where: Slice, span: Span) -> Reading | NoData:
        """Give how far up people found what they used, 0 to 1. Where nobody ever says what was used, there is no data."""
        if where.model or where.endpoint or where.task:
            return NoData("searches are told apart by feature alone")
        parts = self._figures.searches(tenant, where, span)
        if not any(value for part in parts for value in part.counts):
            return NoData("nobody has said of any search that its answer was used")
        cells = []
        for part in parts:
            values = np.asarray(list(part.counts), dtype=float)
            counts = np.asarray(list(part.counts.values()), dtype=float)
            cells.append(Cell(part.start_us, int(counts.sum()), values=values, counts=counts))
        return sampled("mean", cells, span)

    def _lag(self, gate: Gate, now_us: int) -> Reading | NoData:
        """Give the longest silence, in seconds, of any worker that takes a spool in; one that fails is not heard."""
        beats = workers(self._values, now_us)
        if not beats:
            return NoData("no worker has shown a sign of life")
        freshest = max(beats, key=lambda beat: beat.seen_us)
        # A machine that was taken down with an empty spool holds nothing back.
        lag = max(now_us - beat.seen_us for beat in beats if beat is freshest or beat.spool_bytes != 0) / 1e6
        failing = next((beat.error for beat in beats if beat.error is not None and "ingest" in beat.error), None)
        if failing is not None and lag <= ALIVE_US / 1e6:
            return NoData(f"a worker cannot take in: {failing}"[:500])
        return Reading("gauge", max(0.0, lag), gate.minimum, now_us)


class Pushed:
    """Reads what `record_metric` kept: single values, or one for each frozen query (`context.query`)."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Read it. A gauge is its latest value; of several values of one query the latest counts."""
        if any(getattr(gate.where, name) for name in DIMENSIONS):
            return NoData("pushed measurements are not told apart by slices")
        found = gate.of()
        name = gate.query or found.name
        window = now_us - round(gate.window_seconds * 1e6)
        if found.form in ("gauge", "paired"):
            held = self._figures.observations(tenant, name, window, now_us + 1)
            if not held:
                return NoData(f"{name} was not pushed in the window")
            if found.form == "gauge":
                return Reading("gauge", held[-1].value, len(held), held[-1].at_us)
            return _per_query(name, held)
        span = Span.of(gate, now_us)
        held = self._figures.observations(tenant, name, span.since_us, span.until_us)
        if found.form == "rate" and any(one.value not in (0, 1) for one in held):
            return NoData(f"{name} is a rate: push 0 or 1 for each request")
        if found.form == "mean" and any(one.value < 0 for one in held):
            return NoData(f"{name} was pushed with values below 0")
        return sampled(found.form, _grouped(held, span), span, found.quantile)


class Function:
    """Asks functions of the user's, `module:function`, called with tenant, window start and end in microseconds, and the slice."""

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Call it. What it raises, None, and what is no finite number are no data, with the reason."""
        try:
            function = resolve(gate.query)
            since = now_us - round(gate.window_seconds * 1e6)
            given: Any = function(tenant=tenant, since_us=since, until_us=now_us, slice=_plain(gate.where))
        except Exception as error:  # noqa: BLE001 -- the user's code may raise anything; it is told, and is no data
            log.warning("a gate's function failed", gate=gate.name, error=repr(error))
            return NoData(f"{gate.query}: {type(error).__name__}: {error}"[:500])
        value, n = given if isinstance(given, tuple) and len(given) == 2 else (given, gate.minimum)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return NoData(f"{gate.query} gave no finite number")
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            return NoData(f"{gate.query} gave no number of observations")
        return Reading("gauge", float(value), n, now_us)


class Simulated:
    """Makes up healthy signals, so that the loop can be watched without traffic. Refuses to work outside `dev`."""

    def __init__(self, environment: Environment, seed: int) -> None:
        if environment != "dev":
            raise InvalidRequest(f"Signals are not simulated in {environment}.", hint="Only dev may simulate.")
        self._seed = seed

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Give a value near what is healthy, the same for the same gate and moment."""
        source = random.Random(f"{self._seed}:{tenant}:{gate.name}:{now_us}")
        value = gate.of().healthy * source.uniform(0.97, 1.03)
        return Reading("gauge", value, max(gate.minimum, 1000), now_us)


def resolve(path: str) -> Callable[..., Any]:
    """Import `module:function`. Raises `InvalidRequest`."""
    if not _PATH.fullmatch(path):
        raise InvalidRequest(f"{path!r} is not module:function.", hint="Write e.g. shop.signals:queue_length.")
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(f"{path} cannot be imported: {error}.", hint="Write module:function.") from error
    if not callable(found):
        raise InvalidRequest(f"{path} is no function.", hint="Write module:function.")
    return found


def _cell(name: str, part: CallCell) -> Cell:
    """Say a part of the calls in the metric's unit. A cancelled call neither failed nor succeeded; a cached one cost nothing."""
    if name == "error_rate":
        return Cell(part.start_us, max(0, part.calls - part.cancelled), part.errors)
    if name == "cost_per_1k":
        values, counts = spread_of(part.cost, 1e3)  # micro-dollars a call are thousandths of dollars a thousand
        if part.cached:
            values, counts = np.append(values, 0.0), np.append(counts, float(part.cached))
        return Cell(part.start_us, int(counts.sum()), values=values, counts=counts)
    values, counts = spread_of(part.latency, 1e3)
    return Cell(part.start_us, int(counts.sum()), values=values, counts=counts)


def _unpriced(calls: Sequence[CallCell], span: Span) -> str:
    window = [part for part in calls if part.start_us >= span.window_us]
    total, unknown = sum(part.calls for part in window), sum(part.unpriced for part in window)
    if total and unknown > MOST_UNPRICED * total:
        return f"of {total} calls the cost of {unknown} is unknown"
    return ""


def _grouped(held: Sequence[Observation], span: Span) -> list[Cell]:
    parts: dict[int, list[float]] = {}
    for one in held:
        parts.setdefault(one.at_us - one.at_us % span.width_us, []).append(one.value)
    return [
        Cell(start, len(values), int(sum(values)), np.asarray(values, dtype=float), np.ones(len(values)))
        for start, values in parts.items()
    ]


def _per_query(name: str, held: Sequence[Observation]) -> Reading | NoData:
    values = {one.query: one.value for one in held if one.query is not None}
    if not values:
        return NoData(f"{name} was pushed without context.query: quality is compared query by query")
    figures = np.asarray(list(values.values()))
    mean = float(figures.mean())
    reach = 1.96 * float(figures.std(ddof=1)) / math.sqrt(len(figures)) if len(figures) > 1 else math.inf
    return Reading(
        "paired", mean, len(figures), held[-1].at_us, mean - reach, mean + reach, per_query=dict(sorted(values.items()))
    )


def _plain(where: Slice) -> dict[str, str]:
    return {name: value for name in DIMENSIONS if (value := getattr(where, name)) is not None}
