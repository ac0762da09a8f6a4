"""A gateway's traffic with a cause planted in it, or none: calls of two windows, as the store would group them.

Models stand on endpoints of providers, keys belong to tenants and features, long prompts to some tasks; base rates differ by all of
these, and one attribute in twelve of a call is unknown. Counts vary more than independent events do: each five minutes have a
luck of their own, and each endpoint in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from meliora.diagnosis.cube import UNKNOWN, Cube, sums
from meliora.diagnosis.records import Measured

Shape = Literal[
    "one model",
    "one endpoint",
    "endpoint and task",
    "tenant and long prompts",
    "two causes",
    "everywhere",
    "shifted traffic",
    "three attributes",
    "low counts",
]
SHAPES: tuple[Shape, ...] = (
    "one model",
    "one endpoint",
    "endpoint and task",
    "tenant and long prompts",
    "two causes",
    "everywhere",
    "shifted traffic",
    "three attributes",
    "low counts",
)
NAMES = ("model", "endpoint", "provider", "task", "tenant", "key", "feature", "prompt", "stream")
_CLASSES = ("upstream_timeout", "rate_limit", "server", "invalid_request", "quota")
_SLOTS = 12
"""Spans of five minutes a window now; the window before has eight times as many."""
_LONGER = 8
_CAP = 6200.0
"""Micro-dollars up to which a call's cost counts: about the dearest hundredth of what is drawn."""

Floats = NDArray[np.float64]
Condition = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One problem: what was planted, and what the store would show."""

    shape: str
    measured: Measured
    cube: Cube
    causes: tuple[Condition, ...]
    shifted: bool
    """The cause is more of such calls, not worse ones."""
    slots: tuple[Floats, Floats]
    """Hits and calls of each five minutes before."""


@dataclass(frozen=True)
class _World:
    sizes: dict[str, int]
    codes: dict[str, NDArray[np.int64]]
    """[calls] the value of each attribute."""
    now: NDArray[np.bool_]
    slot: NDArray[np.int64]


def quiet(rng: np.random.Generator, measured: Measured, calls: int) -> Case:
    """Make two windows that differ by chance alone; a mixture that drifts by a few percent is chance, too."""
    return _case("quiet", measured, _world(rng, calls), (), rng)


def planted(rng: np.random.Generator, shape: Shape, measured: Measured, calls: int) -> Case:
    """Make two windows between which something got worse, by three tenths up to two and a half times in all."""
    while True:
        many = int(rng.integers(300, 1200)) if shape == "low counts" else calls
        world = _world(rng, many, drawn_to=("endpoint", int(rng.integers(4))) if shape == "shifted traffic" else None)
        case = _case(shape, measured, world, _causes(rng, shape, world), rng)
        if _breached(case):
            return case


def _breached(case: Case) -> bool:
    """Tell whether a gate would see the change, three standard errors wide: otherwise nobody asks for its cause."""
    problem = case.cube.problem(case.measured)
    before, now = problem.hits.sum(axis=1)
    calls_before, calls_now = problem.exposure.sum(axis=1)
    ratio = calls_now / calls_before
    return bool(now - before * ratio > 3 * np.sqrt(before * ratio * (1 + ratio)))


def _world(rng: np.random.Generator, calls: int, drawn_to: tuple[str, int] | None = None) -> _World:
    total = calls * (1 + _LONGER)
    now = np.arange(total) < calls
    endpoints, tasks, keys = int(rng.integers(6, 12)), int(rng.integers(4, 8)), int(rng.integers(8, 25))
    models, tenants = max(3, endpoints - int(rng.integers(1, 4))), int(rng.integers(3, 7))
    by_endpoint, by_key, by_task = (
        rng.dirichlet(np.full(endpoints, 2.0)),
        rng.dirichlet(np.full(keys, 1.0)),
        rng.dirichlet(np.full(tasks, 3.0)),
    )
    drift = rng.normal(0, 0.05, endpoints)
    nows = by_endpoint * np.exp(drift)
    if drawn_to is not None:
        nows[drawn_to[1]] = max(nows[drawn_to[1]] * 6, nows.sum() * 0.5)
    endpoint = np.where(now, _draw(rng, nows, total), _draw(rng, by_endpoint, total))
    key, task = _draw(rng, by_key, total), _draw(rng, by_task, total)
    model_of, provider_of = rng.integers(models, size=endpoints), rng.integers(4, size=endpoints)
    model_of[:models] = rng.permutation(models)[: min(models, endpoints)]
    tenant_of, feature_of = rng.integers(tenants, size=keys), rng.integers(6, size=keys)
    prompt = np.clip(rng.normal(2.0 + 0.3 * task, 1.2, total), 0, 6).astype(int)
    codes = {
        "model": model_of[endpoint],
        "endpoint": endpoint,
        "provider": provider_of[endpoint],
        "task": task,
        "tenant": tenant_of[key],
        "key": key,
        "feature": feature_of[key],
        "prompt": prompt,
        "stream": (rng.random(total) < 0.7).astype(int),
    }
    sizes = {name: int(code.max()) + 1 for name, code in codes.items()}
    for name in ("task", "feature"):
        codes[name] = np.where(rng.random(total) < 1 / 12, sizes[name], codes[name])
    slot = np.where(now, rng.integers(_SLOTS, size=total), _SLOTS + rng.integers(_SLOTS * _LONGER, size=total))
    return _World(sizes, codes, now, slot)


def _draw(rng: np.random.Generator, weights: Floats, count: int) -> NDArray[np.int64]:
    return rng.choice(len(weights), size=count, p=weights / weights.sum())


def _causes(rng: np.random.Generator, shape: Shape, world: _World) -> tuple[dict[str, int], ...]:
    """Draw what got worse: values that a fiftieth of the calls have at least, at most two thirds."""

    def one(*names: str) -> dict[str, int]:
        for _ in range(200):
            drawn = {name: int(rng.integers(world.sizes[name])) for name in names}
            if 0.02 <= _mask(world, drawn)[world.now].mean() <= 0.67:
                return drawn
        raise RuntimeError(f"no value of {names} is frequent enough")

    if shape == "one model":
        return (one("model"),)
    if shape in ("one endpoint", "low counts"):
        return (one("endpoint"),)
    if shape == "endpoint and task":
        return (one("endpoint", "task"),)
    if shape == "tenant and long prompts":
        return (one("tenant", "prompt"),)
    if shape == "three attributes":
        return (one("endpoint", "task", "stream"),)
    if shape == "two causes":
        return (one("endpoint"), one("task"))
    return ({},)


def _mask(world: _World, condition: dict[str, int]) -> NDArray[np.bool_]:
    mask = np.ones(len(world.now), dtype=bool)
    for name, value in condition.items():
        mask &= world.codes[name] == value
    return mask


def _case(
    shape: str, measured: Measured, world: _World, causes: tuple[dict[str, int], ...], rng: np.random.Generator
) -> Case:
    base = {"errors": 0.015, "slow": 0.05, "dissatisfied": 0.15, "cost": 1.0, "spend": 1.0}[measured]
    factors = {
        name: np.exp(rng.normal(0, 0.35, world.sizes[name] + 1)) for name in ("endpoint", "task", "key", "prompt")
    }
    luck = rng.gamma(1 / 0.02, 0.02, _SLOTS * (1 + _LONGER))
    shifted = shape == "shifted traffic"
    if shifted:
        drawn = int(np.argmax(np.bincount(world.codes["endpoint"][world.now]) / np.bincount(world.codes["endpoint"])))
        factors["endpoint"][drawn] *= rng.uniform(4, 8)
        causes = ({"endpoint": drawn},)
    rates = np.full(len(world.now), base)
    for name, values in factors.items():
        rates *= values[world.codes[name]]
    rates *= base / rates.mean()
    rates *= luck[world.slot]
    rates *= rng.gamma(1 / 0.1, 0.1, (world.sizes["endpoint"], len(luck)))[world.codes["endpoint"], world.slot]
    whose = np.full(len(rates), -1)
    if causes and not shifted:
        added = rng.uniform(0.3, 2.5) * rates[world.now].sum() / len(causes)
        for at, cause in enumerate(causes):
            mask = _mask(world, cause) & world.now
            rise = 1 + added / rates[mask].sum()
            rates[mask] *= rise
            whose[mask] = at
    hits, capped = _hits(rng, measured, rates)
    classes = rng.choice(len(_CLASSES), size=len(rates), p=[0.3, 0.25, 0.2, 0.2, 0.05])
    broken = rng.integers(len(_CLASSES), size=max(1, len(causes)))
    for at in range(len(causes)):
        before = rates[~world.now].mean()
        fresh = (whose == at) & (rng.random(len(rates)) > before / np.maximum(rates, before))
        classes[fresh] = broken[at]
    exposed = np.ones(len(rates)) if measured != "dissatisfied" else (rng.random(len(rates)) < 0.3).astype(float)
    hits, capped = hits * exposed, capped * exposed
    past = ~world.now
    slots = tuple(sums(world.slot[past] - _SLOTS, each[past], _SLOTS * _LONGER) for each in (hits, exposed))
    named = tuple({name: _name(world, name, value) for name, value in cause.items()} for cause in causes)
    cube = _cube(world, measured, hits, capped, exposed, classes)
    return Case(shape, measured, cube, named, shifted, (slots[0], slots[1]))


def _hits(rng: np.random.Generator, measured: Measured, rates: Floats) -> tuple[Floats, Floats]:
    if measured in ("cost", "spend"):
        cost = rates * rng.lognormal(-0.5, 1.0, len(rates)) * 1000
        return cost, np.minimum(cost, _CAP)
    hits = (rng.random(len(rates)) < np.minimum(rates, 0.95)).astype(float)
    return hits, hits


def _name(world: _World, name: str, value: int) -> str:
    return UNKNOWN if value >= world.sizes[name] else f"{name}-{value}"


def _cube(
    world: _World, measured: Measured, hits: Floats, capped: Floats, exposed: Floats, classes: NDArray[np.int64]
) -> Cube:
    """Group the calls as the store does: rows with all values the same are one."""
    columns = [world.codes[name] for name in NAMES]
    attributes, marks = [str(name) for name in NAMES], frozenset[str]()
    values = [tuple(_name(world, name, value) for value in range(int(world.codes[name].max()) + 1)) for name in NAMES]
    if measured == "errors":
        columns.append(np.where(hits > 0, classes + 1, 0))
        attributes.append("error_class")
        values.append(("none", *_CLASSES))
        marks = frozenset(("error_class",))
    packed = np.zeros(len(hits), dtype=np.int64)
    for column, names in zip(columns, values, strict=True):
        packed = packed * len(names) + column
    _, first, row = np.unique(packed, return_index=True, return_inverse=True)

    def table(weights: Floats) -> Floats:
        return np.stack([sums(row, weights * when, len(first)) for when in (~world.now, world.now)])

    calls = table(np.ones(len(hits)))
    named = {"errors": ("errors",), "slow": ("slow", "timed"), "dissatisfied": ("dissatisfied", "judged")}
    counts: dict[str, Floats] = {"calls": calls}
    if measured in named:
        counts[named[measured][0]] = table(hits)
        if len(named[measured]) > 1:
            counts[named[measured][1]] = table(exposed)
    else:
        counts |= {"cost": table(hits), "cost_capped": table(capped), "priced": calls}
    codes = np.stack([column[first] for column in columns]).astype(np.int32)
    return Cube(tuple(attributes), tuple(values), codes, counts, marks, 1 / _LONGER, _CAP)  # type: ignore[arg-type]
