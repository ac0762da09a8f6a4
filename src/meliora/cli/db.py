"""The database and the whole state directory: upgrade, check, backup, restore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.shared import now_us, say, settings, when
from meliora.errors import Conflict
from meliora.settings import Settings
from meliora.settings.secret import resolve_secret

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
def vacuum() -> None:
    """Write the database anew, so that nothing that was deleted can be read in its files. Writers wait meanwhile."""
    from meliora.store.rewriting import rewrite

    engine = _engine(settings())
    try:
        rewrite(engine)
    finally:
        engine.dispose()
    say("The database was written anew.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="File that `backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Verify a backup and put it back. Stop Meliora first."""
    from meliora.store.backup import restore as put_back
    from meliora.supervisor.layout import Layout, runs

    chosen = settings()
    if runs(Layout.of(chosen)):
        raise Conflict("Meliora runs with this state directory.", hint="Stop it first: meliora down")
    if chosen.store.url.startswith("sqlite"):
        raise Conflict(
            "`store.url` names an SQLite file of its own, and a backup goes back into the state directory.",
            hint="Unset it, restore, and move the state directory's meliora.db there.",
        )
    key = resolve_secret(chosen.loop.audit_key)
    engine = _engine(chosen) if chosen.store.url else None
    try:
        done = put_back(source, chosen.server.state_dir, engine=engine, force=force, clock_us=now_us, audit_key=key)
    finally:
        if engine is not None:
            engine.dispose()
    manifest, again = done.manifest, done.again
    say(f"{len(manifest.files)} files are back, database at {manifest.revision}.")
    if again is None:
        say(
            f"Who was erased and which keys were revoked after {when(manifest.made_us)} is not known here: "
            "do both again, with `meliora erase` and `meliora keys revoke`."
        )
    elif again.erased or again.revoked:
        say(f"Again, as in the database that was here: {again.erased} people erased, {again.revoked} keys revoked.")
    if done.lost_entries:
        say(f"{done.lost_entries} later entries of the audit are gone; the audit says so: meliora audit verify")
