"""What one of the three processes runs. Kept apart from the command line, so that the gateway loads nothing it does not need."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from meliora.errors import MelioraError, MissingExtra, SettingsError
from meliora.settings.load import load

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(name: str, config: str | None) -> None:
    """Run `gateway`, `control` or `worker` until it is told to stop."""
    if name == "gateway":
        # structlog would load rich and pygments for the tracebacks of people's terminals: three megabytes nobody looks at.
        sys.modules.setdefault("rich", None)  # pyright: ignore[reportArgumentType] - what the import system asks for
    # numpy reads these when the first policy brings it in: its matrices here are too small for threads, which would only wait
    # for each other and take the processors from the gateway.
    for threads in THREADS:
        os.environ.setdefault(threads, "1")
    settings = load(config)
    from meliora import runtime

    runs = {"gateway": runtime.run_gateway, "control": runtime.run_control, "worker": runtime.run_worker}
    runs[name](settings, Path(config) if config else None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `child NAME [CONFIG]`; give 2 for settings that do not hold together or lack their extra, 1 for any other failure."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        run(arguments[0], arguments[1] if len(arguments) > 1 else None)
    except (SettingsError, MissingExtra) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except MelioraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
