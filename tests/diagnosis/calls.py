"""Calls for the tests of diagnosis: counted by attributes, with rates that are given for each window."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from meliora.diagnosis.cube import Counted, Cube

ENDPOINTS = ("a/small", "a/big", "b/small", "b/big")
TASKS = ("chat", "code", "extract")
KEYS = ("key_1", "key_2", "key_3", "key_4")
CALLS = 250
"""Calls of each combination now; four times as many before."""

Rate = Callable[[dict[str, str]], float]


def even(rate: float) -> Rate:
    return lambda call: rate


def cube(
    now: Rate,
    before: Rate | None = None,
    *,
    seed: int = 1,
    calls: Callable[[dict[str, str]], int] | None = None,
    classes: Callable[[dict[str, str]], str] | None = None,
    counted: tuple[Counted, ...] = ("calls", "errors"),
) -> Cube:
    """Draw the errors of two windows; without `before` they are drawn at 1%. With `classes` each error has one."""
    rng = np.random.default_rng(seed)
    before = before or even(0.01)
    rows = []
    for endpoint, task, key in itertools.product(ENDPOINTS, TASKS, KEYS):
        call = {
            "model": endpoint.partition("/")[2],
            "endpoint": endpoint,
            "provider": endpoint[0],
            "task": task,
            "key": key,
        }
        for place, rate in ((0, before), (1, now)):
            many = (calls(call) if calls is not None else CALLS) if place else 4 * CALLS
            failed = int(rng.binomial(many, rate(call)))
            values = list(call.values())
            if classes is None:
                rows.append((values, place, (many, failed)))
                continue
            rows.append(([*values, "none"], place, (many - failed, 0)))
            rows.append(([*values, classes(call) if place else "timeout"], place, (failed, failed)))
    names = ["model", "endpoint", "provider", "task", "key", *(["error_class"] if classes else [])]
    return Cube.of(names, rows, counted, marks=["error_class"] if classes else [], lasting=0.25)
