"""What a start needs to be there: the directory, the database at this code's schema, and the first admin key.

Every later start finds the same key. Refuses to touch a key that a person revoked.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from meliora.errors import SettingsError
from meliora.settings import Settings
from meliora.supervisor.layout import Layout

TENANT = "default"
PREFIX = "mel_"


def prepare(settings: Settings, token: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> None:
    """Make directory, database and admin key where they are missing. Raises `SettingsError` and `StoreError`."""
    from meliora import runtime
    from meliora.store.keys import KeyWish

    layout = Layout.of(settings)
    layout.make()
    upgrade(settings)
    with runtime.open_store(settings) as store:
        secret = first_key(layout.admin_key, token)
        wish = KeyWish(name="admin", scopes=("call", "feedback", "read", "admin"))
        if not any(secret.startswith(key.prefix) for key in store.keys.list(TENANT)):
            store.keys.create(TENANT, wish, secret=secret)


def upgrade(settings: Settings) -> str:
    """Bring the database to this code's schema, and give the revision reached."""
    from meliora.store.engine import connect, database_url
    from meliora.store.migrate import upgrade as migrate

    layout = Layout.of(settings)
    engine = connect(database_url(settings.store.url, layout.root), pool_size=settings.store.pool_size)
    try:
        return migrate(engine)
    finally:
        engine.dispose()


def first_key(path: Path, token: Callable[[], str]) -> str:
    """Give the key in the file; a new one is written for its owner alone where there is none.

    Raises `SettingsError` for a file that holds no key.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = path.read_text(encoding="utf-8").strip()
        if len(found) < 24 or not found.isprintable():
            raise SettingsError(
                f"{path} holds no key.", hint="Remove it to have a new one at the next start."
            ) from None
        return found
    secret = PREFIX + token()
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    return secret
