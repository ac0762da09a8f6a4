"""The only place that knows everybody: builds each process from the settings and runs it.

    gateway   the request path under uvicorn, with its ticker and its line to the control process
    control   the HTTP API over the store, on a Unix socket
    worker    ingest, roll-ups, retention, exports
    shared    what more than one of them needs: the store, logging, the effective settings

Each function imports what it builds, so that the gateway never loads the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from meliora.gateway.app import Gateway
    from meliora.settings import Settings
    from meliora.store.store import Store


def build_gateway(settings: Settings) -> Gateway:
    """Give the gateway's ASGI application. Raises `SettingsError`."""
    from meliora.runtime.gateway import build

    return build(settings)


def run_gateway(settings: Settings, config: Path | None = None) -> None:
    """Serve until a signal; SIGHUP reads the settings again from `config`."""
    from meliora.runtime.gateway import run

    run(settings, config)


def run_control(settings: Settings, config: Path | None = None) -> None:
    """Serve the API on the Unix socket until a signal."""
    from meliora.runtime.control import run

    run(settings, config)


def run_worker(settings: Settings, config: Path | None = None) -> None:
    """Ingest and keep house until a signal."""
    from meliora.runtime.worker import run

    run(settings, config)


def open_store(settings: Settings) -> Store:
    """Open the store; the schema must be current. Raises `StoreUnavailable` or `SchemaMismatch`."""
    from meliora.runtime.shared import open_store

    return open_store(settings)
