"""Distinct values are those that numpy finds."""

from __future__ import annotations

import numpy as np
import pytest

from meliora.stats.distinct import distinct


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.int32])
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_each_value_comes_once_in_order(kind, count: int) -> None:
    values = np.random.default_rng(count).integers(0, 300, count).astype(kind)
    found = distinct(values)
    assert found.dtype == values.dtype
    assert found.tolist() == sorted(set(values.tolist()))
