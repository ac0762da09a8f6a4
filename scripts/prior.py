"""Compute the prior that is shipped, from public outcomes: `python scripts/prior.py --data DIR`.

DIR holds the parquet files that `benchmarks/routing/data.py` reads; those of sources without a licence are left out. The same
files give the same bytes. Prints what the prior expects, and writes `src/meliora/routing/learning/public.prior`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.routing.data import load
from benchmarks.routing.public import SOURCES, known
from meliora.routing.learned.dial import Dial
from meliora.routing.learning.prior import Prior
from meliora.routing.learning.prior_file import SHIPPED, encode
from meliora.routing.learning.prior_fit import fit_prior


def main() -> int:
    """Compute, tell and write."""
    parser = argparse.ArgumentParser(prog="python scripts/prior.py", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of outcomes")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="file to write")
    asked = parser.parse_args()
    sets = load(asked.data)
    if missing := SOURCES.keys() - sets.keys():
        parser.error(f"{asked.data} lacks {', '.join(sorted(missing))}")
    prior = fit_prior(known(sets), {name: SOURCES[name] for name in sorted(SOURCES)})
    blob = encode(prior)
    asked.out.write_bytes(blob)
    tell(prior)
    print(f"{asked.out}: {len(blob):,} bytes")
    return 0


def tell(prior: Prior) -> None:
    """Print what the prior expects."""
    for name, one in (("quality by log price", prior.ability), ("dependence by quality", prior.dependence)):
        print(
            f"{name}: {one.level:.3f} (sets {one.level_spread:.3f}) + {one.slope:.4f} (error {one.slope_error:.4f})"
            f" x (x - {one.centre:.3f}), a model {one.spread:.3f}; x from {one.low:.2f} to {one.high:.2f}"
        )
    print(f"coefficients {prior.doubt:g}, outcome {prior.noise:.3f}, usual answer {prior.answer:.0f} tokens")
    for floor in (0.9, 0.95, 0.98, 1.0):
        print(f"a floor of {floor:g} takes {Dial(quality_floor=floor).pay(prior.curve):.3g} costs of the reference")


if __name__ == "__main__":
    sys.exit(main())
