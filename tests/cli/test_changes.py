"""`meliora changes`: a person's word on changes at the command line."""

from __future__ import annotations

from meliora.cli.shared import store
from meliora.loop.states import State
from tests.cli.governed import Typed, asked, begun, typed_  # noqa: F401


def test_changes_are_listed_by_state_kind_and_what_waits(typed: Typed) -> None:
    assert typed("changes", "list")[:2] == (0, "There are none.\n")
    waiting, held, other = begun(State.PROVED), begun(State.PROVED, State.PAUSED), begun(kind="routing_rule")
    asked(waiting)
    begun(tenant="other")
    ids = [one["id"] for one in typed.json("changes", "list")]
    assert set(ids) == {waiting.id, held.id, other.id}
    assert {one["id"] for one in typed.json("changes", "list", "--waiting")} == {waiting.id, held.id}
    assert [one["id"] for one in typed.json("changes", "list", "--kind", "routing_rule")] == [other.id]
    assert {one["id"] for one in typed.json("changes", "list", "--state", "proved,paused")} == {waiting.id, held.id}
    code, out, err = typed("changes", "list", "--state", "flying")
    assert (code, out) == (2, "") and "no state 'flying'" in err and "rolled_back" in err


def test_a_change_is_shown_edge_by_edge(typed: Typed) -> None:
    change = begun(State.PROVED, State.PAUSED, summary="small for tiny", baseline="v1", candidate="v2")
    code, out, _ = typed("changes", "show", change.id)
    assert code == 0 and "small for tiny" in out and "from v1 to v2" in out
    assert "proved -> paused  by test" in out and "as it was" in out
    (found,) = typed.json("changes", "show", change.id)
    assert [edge["target"] for edge in found["edges"]] == ["proved", "paused"]
    assert typed("changes", "show", change.id, "--tenant", "other")[0] == 1
    assert "no change 'chg_0'" in typed("changes", "show", "chg_0")[2]


def test_an_approval_is_given_once_and_not_by_the_proposer(typed: Typed) -> None:
    change, own = begun(State.PROVED), begun(State.PROVED, target="b")
    asked(change)
    asked(own, by="cli")
    assert "Approved: deliver" in typed("changes", "approve", change.id, "--why", "good")[1]
    code, out, err = typed("changes", "approve", change.id)
    assert (code, out) == (1, "") and "cli has approved" in err
    code, _, err = typed("changes", "approve", own.id)
    assert code == 1 and "who proposes does not approve" in err
    assert "waits for no approval" in typed("changes", "approve", begun(State.PROVED).id)[2]
    with store() as opened:
        actions = [entry.action for entry in opened.audit.of("default", own.id)]
    assert actions[-1] == "approval.refused"


def test_pause_resume_reject_and_rollback_say_where_it_stands(typed: Typed) -> None:
    change = begun(State.PROVED)
    assert typed("changes", "pause", change.id)[1] == f"{change.id} is paused.\n"
    assert typed("changes", "pause", change.id)[0] == 1
    assert typed("changes", "resume", change.id)[0] == 0
    assert typed("changes", "reject", change.id, "--why", "no")[1] == f"{change.id} is rejected.\n"
    code, _, err = typed("changes", "rollback", change.id)
    assert code == 1 and "never delivered" in err
    kept = begun(State.WATCHING, State.KEPT, target="b", surface="b")
    assert typed("changes", "rollback", kept.id)[1] == f"{kept.id} is rolling_back.\n"
    with store() as opened:
        assert opened.changes.edges("default", change.id)[-1].actor == "cli"
