"""A covariate takes variance out, and nothing else."""

import math

import numpy as np
import pytest

from meliora.stats.contrast import Stage, contrast
from meliora.stats.cuped import Paired, adjusted
from meliora.stats.sums import Sums


def paired(y: np.ndarray, x: np.ndarray) -> Paired:
    return Paired(len(y), y.sum(), y @ y, x.sum(), x @ x, x @ y)


def drawn(rng: np.random.Generator, effect: float, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(10, 2, n)
    return x + effect + rng.normal(0, 1, n), x


def test_it_finds_the_same_effect_with_a_fifth_of_the_variance():
    rng = np.random.default_rng(5)
    found, plain = [], []
    for _ in range(500):
        (old, old_x), (new, new_x) = drawn(rng, 0.0), drawn(rng, 0.5)
        found.append(contrast([adjusted(paired(old, old_x), paired(new, new_x))]))
        plain.append(contrast([Stage(Sums.of(old).point(), Sums.of(new).point())]))
    differences = np.array([float(one.difference) for one in found])
    assert differences.mean() == pytest.approx(0.5, abs=0.02)
    ratio = np.mean([float(one.variance) for one in found]) / np.mean([float(one.variance) for one in plain])
    assert ratio == pytest.approx(0.2, abs=0.03)
    assert differences.std() == pytest.approx(np.mean([float(one.error()) for one in found]), rel=0.1)


def test_a_covariate_that_does_not_vary_changes_nothing():
    y = np.arange(20.0)
    stage = adjusted(paired(y, np.ones(20)), paired(y + 1, np.ones(20)))
    assert float(stage.treated.value) - float(stage.control.value) == pytest.approx(1.0)
    assert float(stage.control.variance) == pytest.approx(np.var(y) * 20 / 18 / 20)


def test_nothing_is_known_of_two_units():
    y = np.array([1.0, 2.0])
    stage = adjusted(paired(y, y), paired(np.arange(10.0), np.arange(10.0)))
    assert math.isnan(float(stage.control.value))
    assert math.isnan(float(contrast([stage]).difference))


def test_many_trials_at_once():
    rng = np.random.default_rng(6)
    (old, old_x), (new, new_x) = drawn(rng, 0.0), drawn(rng, 1.0)
    one, other = paired(old, old_x), paired(new, new_x)
    twice = [
        Paired(*(np.array([getattr(arm, name)] * 2) for name in ("units", "y", "yy", "x", "xx", "xy")))
        for arm in (one, other)
    ]
    assert np.allclose(adjusted(*twice).treated.value, float(adjusted(one, other).treated.value))
