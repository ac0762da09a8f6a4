"""The temporary store works, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store


def test_a_temporary_store_answers_and_is_gone_afterwards() -> None:
    with temporary_store(FrozenClock()) as store:
        place = Path(str(store.engine.url.database))
        assert store.rules.list("default") == ()
        assert place.exists()
    assert not place.parent.exists()


def test_two_temporary_stores_know_nothing_of_each_other() -> None:
    with temporary_store() as one, temporary_store() as other:
        assert one.secret != other.secret
