"""What commands share: the settings and the store they work on, and values as people read them."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from meliora.errors import InvalidRequest
from meliora.settings import Settings

if TYPE_CHECKING:
    from meliora.store.store import Store

Json = Annotated[bool, typer.Option("--json", help="One JSON value a line, for programs.")]
Tenant = Annotated[str, typer.Option(help="Tenant to work on.")]

CONFIG: ContextVar[str | None] = ContextVar("CONFIG", default=None)
"""The settings file of the command that runs; `main` sets it."""

UNKNOWN = "unknown"
_STYLES = {"ok": "green", "error": "red", "cancelled": "yellow", "lost": "red", "open": "cyan"}
_SPAN = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d|w)$")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def config_file() -> str | None:
    """Give what `--config` named, if anything."""
    return CONFIG.get()


def settings() -> Settings:
    """Load the settings of this command. Raises `SettingsError`."""
    from meliora.settings.load import load

    return load(config_file())


@contextmanager
def store() -> Iterator[Store]:
    """Open the local store; what is logged meanwhile is no part of the answer. Raises `StoreError`."""
    from meliora import runtime
    from meliora.errors import StoreUnavailable

    chosen = settings()
    if not chosen.store.url and not (chosen.server.state_dir / "meliora.db").is_file():
        raise StoreUnavailable(
            f"There is no database in {chosen.server.state_dir}.",
            hint="`meliora up` makes it, and so does `meliora db upgrade`.",
        )
    with quietly(), runtime.open_store(chosen) as opened:
        yield opened


@contextmanager
def quietly() -> Iterator[None]:
    """Send what is logged within to standard error, and only what is wrong: standard output is the command's answer."""
    import structlog

    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def say(text: str = "") -> None:
    """Print a line."""
    typer.echo(text)


def show(value: Any) -> None:
    """Print a value as one line of JSON."""
    typer.echo(msgspec.json.encode(value).decode())


def paint(text: str, style: str) -> str:
    """Colour a text where a person looks at it: on a terminal, unless NO_COLOR is set."""
    colour = _STYLES.get(style, style)
    return typer.style(text, fg=colour) if _colourful() and colour else text


def _colourful() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    """Print rows under their heads, in columns as wide as they need to be. Control characters are made harmless."""
    clean = [[plain(cell) for cell in row] for row in rows]
    widths = [max([len(title), *(len(row[n]) for row in clean)]) for n, title in enumerate(head)]
    for line in ([title.upper() for title in head], *clean):
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def plain(text: str) -> str:
    """Replace what a terminal would act on; what was recorded is data, never a command to the screen."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def when(us: int | None, *, seconds: bool = True) -> str:
    """Write a time in this machine's zone; `-` for none."""
    if us is None:
        return "-"
    return (
        datetime.fromtimestamp(us / 1e6, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S" if seconds else "%m-%d %H:%M")
    )


def usd(micros: int | None) -> str:
    """Write micro-dollars as dollars; an unknown cost is said to be unknown."""
    if micros is None:
        return UNKNOWN
    return f"${micros / 1e6:.6f}".rstrip("0").ljust(5, "0") if micros % 10_000 else f"${micros / 1e6:.2f}"


def micros(dollars: float | None) -> int | None:
    """Read dollars as micro-dollars. Raises `InvalidRequest` for what is no amount."""
    if dollars is None:
        return None
    if not 0 <= dollars < 1e12:
        raise InvalidRequest(f"{dollars} is not an amount of dollars.", hint="Write e.g. 25 or 0.5.")
    return round(dollars * 1e6)


def took(us: int | None) -> str:
    """Write a duration; `-` for none."""
    if us is None:
        return "-"
    return f"{us / 1000:.0f}ms" if us < 10_000_000 else f"{us / 1e6:.1f}s"


def count(number: int | None) -> str:
    """Write a count; `-` for one that is not known."""
    return "-" if number is None else str(number)


def moment(text: str | None, now_us: int) -> int | None:
    """Read `90m`, `7d` (ago) or an ISO date as microseconds UTC. Raises `InvalidRequest`."""
    if text is None:
        return None
    found = _SPAN.match(text)
    if found:
        return now_us - int(float(found[1]) * _UNITS[found[2]] * 1e6)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{text!r} is not a time.", hint="Write 90m, 7d, or 2026-11-21T09:00.") from None


def span(text: str) -> int:
    """Read a duration such as `24h` as microseconds. Raises `InvalidRequest`."""
    found = _SPAN.match(text)
    if not found:
        raise InvalidRequest(f"{text!r} is not a duration.", hint="Write e.g. 30m, 24h or 7d.")
    return int(float(found[1]) * _UNITS[found[2]] * 1e6)


def now_us() -> int:
    """Give the time."""
    from meliora.clock import SystemClock

    return SystemClock().now_us()
