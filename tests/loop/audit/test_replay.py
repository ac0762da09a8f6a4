"""A decision taken again from its record comes to the same, or it says why not."""

from __future__ import annotations

import pytest

from meliora.errors import Conflict, NotFound
from meliora.loop.audit.entry import START, AuditEntry, AuditNote, sealed
from meliora.loop.audit.replay import Replays, decided


def entry(seq: int, body: dict) -> AuditEntry:
    note = AuditNote(tenant="default", actor="system:loop", action="change.keep", subject="chg_1", body=body)
    return sealed(note, seq=seq, at_us=seq, prev=START).entry()


def larger(evidence):
    return {"won": evidence["candidate"] > evidence["baseline"]}


def gone(evidence):
    raise NotFound("The data is gone.")


def test_every_decision_is_taken_again_in_order() -> None:
    replays = Replays()
    replays.register("larger", larger)
    replays.register("gone", gone)
    entries = [
        entry(1, decided("larger", {"candidate": 0.8, "baseline": 0.7}, {"won": True})),
        entry(2, {"approval": "apr_1"}),
        entry(3, decided("larger", {"candidate": 0.6, "baseline": 0.7}, {"won": True})),
        entry(4, decided("larger", {"candidate": 0.6}, {"won": True})),
        entry(5, decided("gone", {}, {})),
        entry(6, decided("dice", {}, {"won": True})),
    ]
    done = replays.replay(entries)
    assert [(one.seq, one.result) for one in done] == [
        (1, "same"),
        (3, "differs"),
        (4, "failed"),
        (5, "failed"),
        (6, "unknown"),
    ]
    assert done[1].again == {"won": False} and done[1].recorded == {"won": True}
    assert done[3].why == "The data is gone." and "dice" in done[4].why


def test_a_name_stands_for_one_decision() -> None:
    replays = Replays()
    replays.register("larger", larger)
    with pytest.raises(Conflict, match="larger"):
        replays.register("larger", gone)
