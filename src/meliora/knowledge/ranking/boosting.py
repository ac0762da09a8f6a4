"""LightGBM, brought in where it is used. Kept deterministic: one thread, a seed, the same trees from the same rows."""

from __future__ import annotations

from typing import Any

from meliora.errors import MissingExtra


def lightgbm() -> Any:
    """Give the library. Raises `MissingExtra`."""
    try:
        import lightgbm as library
    except (ImportError, OSError) as error:  # OSError: its OpenMP library is not on this machine
        raise MissingExtra(f"Reranking needs LightGBM ({error}).", hint="pip install 'meliora[knowledge]'") from error
    return library
