"""The database and the whole state directory: upgrade, check, backup, restore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.shared import now_us, say, settings
from meliora.errors import Conflict
from meliora.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

app = typer.Typer(no_args_is_help=True, help="The database, and backups of the whole state directory.")


def _engine(chosen: Settings) -> sa.Engine:
    from meliora.store.engine import connect, database_url

    return connect(database_url(chosen.store.url, chosen.server.state_dir), pool_size=chosen.store.pool_size)


@app.command()
def upgrade() -> None:
    """Bring the database to the schema of this version. Safe to run twice, and from several machines."""
    from meliora.supervisor.layout import Layout
    from meliora.supervisor.prepare import upgrade as migrate

    chosen = settings()
    Layout.of(chosen).make()
    say(f"The database is at {migrate(chosen)}.")


@app.command()
def check() -> None:
    """Say whether the database fits this version."""
    from meliora.store.migrate import check as fits

    engine = _engine(settings())
    try:
        fits(engine)
    finally:
        engine.dispose()
    say("The database fits this version.")


@app.command()
def backup(
    target: Annotated[
        Path | None, typer.Argument(help="File to write; default: backups/ in the state directory.")
    ] = None,
) -> None:
    """Write everything that is kept into one file, while calls go on."""
    from meliora.store.backup import backup as write

    chosen = settings()
    if target is None:
        directory = chosen.server.state_dir / "backups"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = directory / f"meliora-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    engine = _engine(chosen)
    try:
        manifest = write(chosen.server.state_dir, engine, target, now_us=now_us())
    finally:
        engine.dispose()
    say(
        f"{target}: {len(manifest.files)} files, database at {manifest.revision}. It holds keys: keep it as you keep them."
    )


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="File that `backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Verify a backup and put it back. Stop Meliora first."""
    from meliora.store.backup import restore as put_back
    from meliora.supervisor.layout import Layout, is_locked

    chosen = settings()
    if is_locked(Layout.of(chosen)):
        raise Conflict("Meliora runs with this state directory.", hint="Stop it first: meliora down")
    engine = _engine(chosen) if chosen.store.url.startswith("postgresql") else None
    try:
        manifest = put_back(source, chosen.server.state_dir, engine=engine, force=force)
    finally:
        if engine is not None:
            engine.dispose()
    say(f"{len(manifest.files)} files are back, database at {manifest.revision}.")
