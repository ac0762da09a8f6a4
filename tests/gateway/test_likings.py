"""What a user likes moves `auto` for their calls and for nobody else's; a table that does not load is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from meliora.gateway.following import Refused
from meliora.gateway.likings import Likings, offsets_of
from meliora.gateway.state import PolicyRef
from meliora.routing.preferences.offsets import OffsetTable, encode
from meliora.telemetry.ids import subject_of

SECRET = "ab" * 32
ANN = subject_of(SECRET, "t", "ann")
TABLE = OffsetTable().changed({ANN: {"code": {"big": 0.1}}})


def test_a_call_has_the_offsets_of_its_user_in_its_tenant() -> None:
    tables = {"t": TABLE, "other": OffsetTable()}
    assert offsets_of(tables, SECRET, "t", "ann") == {"code": {"big": 0.1}}
    assert offsets_of(tables, SECRET, "other", "ann") is None
    assert offsets_of(tables, SECRET, "nowhere", "ann") is None
    assert offsets_of(tables, SECRET, "t", "bob") is None
    assert offsets_of(tables, SECRET, "t", None) is None


def test_what_one_tenant_knows_of_a_person_opens_nothing_in_another() -> None:
    assert offsets_of({"other": TABLE}, SECRET, "other", "ann") is None


def test_a_table_is_loaded_from_the_disk_and_one_that_does_not_load_is_refused(tmp_path: Path) -> None:
    def restored(body: bytes) -> Likings:
        likings = Likings(None, tmp_path, lambda: None)  # type: ignore[arg-type]
        ref = PolicyRef(3, hashlib.sha256(body).hexdigest())
        likings.file_of(ref).parent.mkdir(exist_ok=True)
        likings.file_of(ref).write_bytes(body)
        likings.restore({"t": ref})
        return likings

    assert restored(encode(TABLE)).serving == {"t": TABLE}
    broken = restored(b"nothing of the kind")
    assert broken.serving == {}
    assert "no table of preferences" in broken.troubles["t"]
    with pytest.raises(Refused, match="no table"):
        broken.open(b"", PolicyRef(1, ""))
