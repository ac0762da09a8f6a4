"""`python -m meliora.cli`: the same as `meliora`."""

from meliora.cli import main

main()
