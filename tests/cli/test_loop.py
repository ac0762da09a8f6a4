"""`meliora loop`: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

from meliora.cli.shared import store
from meliora.loop.change import Origin
from meliora.loop.control import Process
from meliora.loop.states import State
from tests.cli.governed import Typed, asked, begun, failing, typed_  # noqa: F401


def process(name: str) -> None:
    """Let a process register, which then hears of nothing more."""
    with store() as opened:
        opened.control.beat(Process(id=name, kind="worker", host="here", pid=1), 0)


def test_the_status_says_how_it_stands_and_what_waits(typed: Typed) -> None:
    code, out, err = typed("loop", "status")
    assert (code, err) == (0, "")
    assert "The loop is running in staging." in out and "Gates: no data." in out
    change = begun(State.PROVED)
    asked(change)
    code, out, _ = typed("loop", "status")
    assert "Changes in the last 24 hours: 1 model_choice." in out and change.id in out
    (found,) = typed.json("loop", "status")
    assert (found["is_running"], found["in_progress"][0]["id"]) == (True, change.id)
    assert found["uptime_seconds"] is None


def test_a_trigger_prints_its_answer_and_nothing_else(typed: Typed) -> None:
    code, out, err = typed("loop", "trigger")
    assert (code, err) == (0, "") and "no cycle was begun" in out
    (made,) = typed.json("loop", "trigger", "--force", "--target", "models")
    assert made["actions_taken"] == ["routing_policy"] and made["improvements"]["ndcg_delta"] is None
    code, out, err = typed("loop", "trigger", "--force")
    assert (code, out) == (1, "") and "is open already" in err
    code, _, err = typed("loop", "trigger", "--target", "weather")
    assert code == 2 and "all, models or infrastructure" in err
    with store() as opened:
        assert [cycle.origin for cycle in opened.cycles.open_ones()] == [Origin("person", "cli")]


def test_a_breach_is_answered_without_force(typed: Typed) -> None:
    failing("errors", 0.3)
    code, out, _ = typed("loop", "trigger")
    assert code == 0 and out.startswith("Cycle si_")


def test_stop_lasts_and_start_lets_it_go_on(typed: Typed) -> None:
    said = [typed("loop", act)[1].strip() for act in ("start", "stop", "stop", "start")]
    assert said[0] == "The loop runs already." and said[1] == "The loop begins nothing new."
    assert said[2] == "The loop was stopped already." and said[3] == "The loop runs."
    typed("loop", "stop")
    assert "The loop is stopped" in typed("loop", "status")[1]
    assert typed("loop", "trigger", "--force")[0] == 1


def test_a_kill_says_who_has_heard_of_it_and_fails_while_one_has_not(typed: Typed) -> None:
    code, out, _ = typed("loop", "kill", "--why", "odd answers")
    assert code == 0 and out == "Killed. 0 of 0 processes acknowledged.\n"
    assert "halted by the kill switch" in typed("loop", "status")[1]
    code, _, err = typed("loop", "start")
    assert code == 1 and "kill switch is on" in err
    assert typed("loop", "resume")[1] == "The kill switch is off.\n"
    process("worker-1")
    code, out, _ = typed("loop", "kill", "--wait", "0")
    assert code == 1 and "0 of 1 processes" in out and "No word from worker-1." in out
    told = typed("loop", "status")[1]
    assert "0 of 1 processes obey its last turn" in told and "worker-1: no word yet" in told
    code, out, _ = typed("loop", "kill", "--wait", "0", "--json")
    assert code == 1 and json.loads(out)["processes"][0]["seconds"] is None


def test_resume_takes_the_kill_file_back_too(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "var" / "kill"
    file.write_text("a hand\n")
    assert "halted" in typed("loop", "status")[1]
    assert typed("loop", "resume")[0] == 0
    assert not file.exists() and "running" in typed("loop", "status")[1]


def test_history_is_one_line_a_change_newest_first(typed: Typed) -> None:
    first, second = begun(State.PROVED, State.REJECTED), begun()
    begun(tenant="other")
    code, out, _ = typed("loop", "history")
    assert code == 0 and out.index(second.id) < out.index(first.id) and "rejected" in out
    assert [one["id"] for one in typed.json("loop", "history", "--limit", "1")] == [second.id]
    assert typed("loop", "history", "--limit", "0")[0] == 2


def test_without_a_database_each_command_says_how_to_make_one(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "var" / "meliora.db").unlink()
    for command in (["loop", "status"], ["changes", "list"], ["gates", "list"], ["loop", "kill"]):
        code, out, err = typed(*command)
        assert (code, out) == (1, "") and "meliora db upgrade" in err
