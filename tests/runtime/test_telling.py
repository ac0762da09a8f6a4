"""The loop's artifacts, alerts and reports as the worker, the command line and the API have them, over one store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.cli import main
from meliora.cli.shared import settings, store
from meliora.clock import SystemClock
from meliora.loop.change import Origin
from meliora.loop.cycle import Cycle
from meliora.runtime.alerts import sinks_of
from meliora.runtime.artifacts import artifacts_dir
from meliora.runtime.loop import loop_of
from meliora.runtime.report import Reports
from meliora.runtime.shared import effective
from meliora.runtime.worker import build
from meliora.settings import Settings
from meliora.settings.loop import Alerts, Loop
from meliora.store import Store
from meliora.store.keys import KeyWish
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def ready() -> Iterator[Cycle]:
    """A database with one closed cycle that brought nothing up."""
    assert main(["db", "upgrade"]) == 0
    with store() as opened:
        yield closed(opened)


def closed(opened: Store, subject: str = "errors") -> Cycle:
    made = opened.cycles.open(
        "default", environment="staging", origin=Origin("gate", subject), subject=subject, kinds=("routing_rule",)
    )
    assert made is not None
    return opened.cycles.close("default", made.id, "unchanged")


def test_the_worker_makes_artifacts_alerts_and_reports(ready: Cycle) -> None:
    with store() as opened:
        worker = build(effective(settings()), opened, SystemClock())
    names = {task.name for task in worker.tasks}
    assert {"artifacts", "alerts", "reports"} <= names


def test_artifacts_are_made_listed_and_verified_by_command(ready: Cycle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loop", "artifacts", ready.id, "--verify"]) != 0, "nothing is there yet, and verifying makes nothing"
    assert main(["loop", "artifacts", ready.id]) == 0
    out = capsys.readouterr().out
    assert "audit_record.json" in out and "No helm_patch.yaml: nothing was delivered." in out
    assert main(["loop", "artifacts", ready.id, "--verify"]) == 0
    record = artifacts_dir(settings()) / ready.id / "audit_record.json"
    record.write_text(record.read_text().replace("unchanged", "improved"))
    assert main(["loop", "artifacts", ready.id, "--verify", "--json"]) == 1
    assert "not as it was written" in capsys.readouterr().out
    assert main(["loop", "artifacts", "si_../../etc"]) != 0
    assert main(["loop", "artifacts", ready.id, "--tenant", "other"]) != 0


def test_a_report_is_printed_as_markdown_and_as_json(ready: Cycle, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["loop", "report"]) == 0
    assert "Success rate (improved, of those closed): 0% (0 of 1;" in capsys.readouterr().out
    assert main(["loop", "report", "--since", "30d", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["cycles"]["unchanged"] == 1
    for wrong in (["--format", "pdf"], ["--since", "soon"], ["--since", "10000d"], ["--until", "2000-01-01"]):
        assert main(["loop", "report", *wrong]) != 0


def test_the_file_of_a_week_is_written_once_a_tenant(tmp_path: Path) -> None:
    clock = FrozenClock()
    with temporary_store(clock) as opened:
        opened.keys.create("default", KeyWish(name="k"))
        opened.keys.create("../evil", KeyWish(name="k"))
        chosen = Settings(loop=Loop(artifacts=str(tmp_path / "a")))
        reports = Reports(chosen, opened, loop_of(effective(chosen), opened, clock, "w").board)
        reports.weekly(clock)
        found = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.md")}
        assert len(found) == 2 and all(path.parts[0] == "reports" for path in found)
        closed(opened)
        reports.weekly(clock)
        assert {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.md")} == found
        clock.advance(7 * 86_400)
        reports.weekly(clock)
        weeks = sorted(path.name for path in (tmp_path / "a" / "reports" / "default").glob("*.md"))
        assert len(weeks) == 2
        last = json.loads((tmp_path / "a" / "reports" / "default" / weeks[-1]).with_suffix(".json").read_text())
        assert last["cycles"]["unchanged"] == 1


def test_sinks_are_those_set_up_and_one_that_cannot_be_made_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "https://hooks.slack.com/services/x")
    chosen = Alerts(slack_webhook="env:HOOK", alertmanager="http://alertmanager:9093/", apprise=["env:NOT_SET"])
    assert [sink.name for sink in sinks_of(Settings(loop=Loop(alerts=chosen)))] == ["slack", "alertmanager"]
    assert sinks_of(Settings()) == ()
    monkeypatch.setenv("HOOK", "no address")
    assert sinks_of(Settings(loop=Loop(alerts=Alerts(slack_webhook="env:HOOK")))) == ()


def test_what_the_engine_tells_is_an_alert(ready: Cycle) -> None:
    from meliora.loop.house import Happened

    with store() as opened:
        loop = loop_of(effective(settings()), opened, SystemClock(), "worker")
        change = opened.changes.add(
            "default",
            kind="routing_rule",
            target="rule:x",
            surface="gateway",
            environment="staging",
            origin=Origin("person", "cli"),
        )
        loop.engine._house.tell(Happened(change=change, what="approval_needed", sentence="deliver"))
        loop.alerts.look()
        (row,) = opened.alerts.list("default").items
        assert (row.name, row.told) == ("change_approval_needed", "firing")
