"""Intervals of a share."""

from __future__ import annotations

import math

_Z = 1.959964


def wilson(hits: float, n: float, z: float = _Z) -> tuple[float, float]:
    """Give the 95% score interval of `hits` out of `n` (Wilson, Journal of the American Statistical Association 22, 1927).

    (0, 1) where n is 0: nothing is known. Counts may be fractions, as weighted ones are. Raises `ValueError` for hits outside 0..n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n}: a share needs 0 <= hits <= n")
    if n == 0:
        return 0.0, 1.0
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    reach = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, centre - reach), min(1.0, centre + reach)
