"""What more than one process needs."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

from meliora.gateway.simulated.models import PROVIDER, simulated_models, simulated_provider
from meliora.settings import Settings
from meliora.settings.secret import resolve_secret

if TYPE_CHECKING:
    from meliora.store.budgets import OwnBudget
    from meliora.store.store import Store


FEATURES = ("loop", "routing")
"""Features that Meliora's own calls for the loop are accounted under."""
SOCKET_NAME = 100
"""Bytes that a Unix socket's path may have, about."""


def effective(settings: Settings) -> Settings:
    """Give the settings as they are served: with no provider at all, the simulated one."""
    if settings.providers:
        return settings
    models = {**simulated_models(), **settings.models}
    return settings.model_copy(update={"providers": {PROVIDER: simulated_provider()}, "models": models})


def open_store(settings: Settings) -> Store:
    """Open the store at `store.url`, or SQLite in the state directory."""
    from meliora.store.store import Store

    return Store.open(
        settings.store.url,
        settings.server.state_dir,
        pool_size=settings.store.pool_size,
        budget_slice=settings.gateway.budget_slice,
        own_budget=own_budget(settings),
        audit_key=resolve_secret(settings.loop.audit_key),
        lease_seconds=settings.loop.gateway_lease_seconds,
    )


def own_budget(settings: Settings) -> OwnBudget:
    """Give what Meliora may spend on shadow calls."""
    from meliora.store.budgets import OwnBudget

    chosen = settings.loop
    whole = None if chosen.budget_usd is None else round(chosen.budget_usd * 1e6)
    return OwnBudget(round(chosen.trial.shadowing.budget_usd * 1e6), whole, FEATURES)


def control_socket(settings: Settings) -> Path:
    """Where the control process listens; beside the state where its path is too long for a socket's name."""
    path = settings.server.state_dir.absolute() / "control.sock"
    if len(os.fsencode(path)) < SOCKET_NAME:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"meliora-{os.getuid()}-{name}" / "control.sock"


def spool_dir(settings: Settings) -> Path:
    """Where gateways write and the ingester reads."""
    return settings.server.state_dir / "spool"


def today() -> Any:
    """Give the date in UTC, for prices that begin on a day."""
    return datetime.now(UTC).date()


def start_logging(settings: Settings, process: str) -> None:
    """Send structured log lines to standard error, one a line, each with the process's name."""
    stream = Unfailing(sys.stderr)
    level = logging.getLevelNamesMapping()[settings.server.log_level.upper()]
    timestamper = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        timestamper,
        structlog.processors.format_exc_info,
    ]
    if settings.server.log_format == "json":
        renderer: Any = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, _named(process), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _named(process)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True


class Unfailing:
    """A stream whose write errors are nobody's trouble: a full disk that cannot take a log line must not stop a call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def _named(process: str) -> Callable[[Any, str, Any], Any]:
    def add(_logger: Any, _method: str, event: Any) -> Any:
        event.setdefault("process", process)
        return event

    return add


def on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT."""

    def handle(_signum: int, _frame: Any) -> None:
        stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def private_dir(path: Path) -> Path:
    """Make a directory that only its owner can enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def process_name(kind: str) -> str:
    """Name this process for records, heartbeats and leases: kind, host, pid, and four digits that no earlier one had."""
    return f"{kind}-{os.uname().nodename}-{os.getpid()}-{os.urandom(2).hex()}"
