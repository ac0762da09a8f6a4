"""One machine over PostgreSQL: `up`, calls, feedback, analytics, health and every command, as over SQLite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meliora.cli import main
from meliora.store.migrate import head_revision
from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.postgres.machine import Machine, Site
from tests.survival.house import quiet_port


@dataclass
class Typed:
    """Commands typed on a machine: what they said, which is never a traceback."""

    capsys: pytest.CaptureFixture[str]

    def said(self, *arguments: str, code: int = 0) -> str:
        """Run a command and give all it said."""
        self.capsys.readouterr()
        found = main(arguments)
        said = self.capsys.readouterr()
        assert found == code, said
        assert "Traceback" not in said.out + said.err
        return said.out + said.err

    def value(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command and read its JSON lines."""
        return [json.loads(line) for line in self.said(*arguments, "--json").splitlines()]


@pytest.fixture
def here(tmp_path: Path, provider: FakeProvider, schema: Schema, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine whose directory and environment are this process's own, so that commands can be typed here."""
    with Site(tmp_path, provider, schema) as site:
        machine = site.machine("a")
        for name, value in machine.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(machine.root)
        yield machine


def test_everything_that_works_over_sqlite_works_over_postgresql(
    here: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = Typed(capsys)
    assert "meliora db upgrade" in typed.said("db", "check", code=1)
    assert "meliora db upgrade" in typed.said("keys", "list", code=1)
    here.up()
    assert not (here.layout.root / "meliora.db").exists()
    assert "fits" in typed.said("db", "check") and head_revision() in typed.said("db", "upgrade")
    assert [key["name"] for key in typed.value("keys", "list")] == ["admin"]
    assert typed.value("status")[0]["ready"] is True

    issued = typed.value("keys", "create", "app", "--rpm", "600", "--budget-day", "5")[0]
    secret = issued["secret"]
    here.until(lambda: here.call(secret).status == 200, "the key does not open")
    calls = [here.call(secret, **{"x-meliora-message-id": f"msg-{n}"}) for n in range(5)]
    ids = [call.headers["x-meliora-call"] for call in calls]
    _take_feedback(here, ids)
    here.settle()
    assert not typed.value("feedback", "give", "thumbs_down", "--call", ids[2])[0]["pending"]
    _show(here, typed, ids)
    _analyse(here)
    here.until(lambda: here.health().get("status") == "healthy", f"health: {here.health()}", 30)
    rule = typed.value("rules", "add", "law", "--model", "k")[0]
    assert typed.value("route", "about law")[0]["model"] == "k"
    typed.said("rules", "remove", rule["id"])
    _back_up_and_restore(here, typed, secret, ids)
    typed.said("erase", "--user", "ann", "--yes")
    assert typed.value("keys", "revoke", issued["key"]["id"])[0]["revoked_us"]
    here.until(lambda: here.call(secret).status == 401, "the key opens after its end")
    assert "stopped" in typed.said("down")


def _take_feedback(here: Machine, ids: list[str]) -> None:
    """By call id and by the application's id, both at once after the answer, wherever the call lies then."""
    for named in ({"call_id": ids[0]}, {"message_id": "msg-0"}):
        said = here.ask("POST", "/api/v1/learning/feedback", {**named, "feedback_type": "thumbs_up"})
        assert (said.status, said.body["call_id"]) == (200, ids[0]), said


def _show(here: Machine, typed: Typed, ids: list[str]) -> None:
    assert here.get(f"/api/v1/calls/{ids[0]}")["id"] == ids[0]
    tailed = typed.value("calls", "tail", "--no-follow", "-n", "500")
    listed = typed.value("calls", "list")
    assert set(ids) <= {call["id"] for call in tailed} and set(ids) <= {call["id"] for call in listed}
    assert ids[0] in typed.said("calls", "show", ids[0])


def _analyse(here: Machine) -> None:
    for path in ("usage?by=day", "usage?by=user", "top-expensive", "error-rate", "ranking", "cost-per-feature"):
        assert here.get(f"/api/v1/analytics/{path}")
    here.until(lambda: here.get("/api/v1/analytics/latency")["latency_ms"]["count"] >= 5, "nothing is rolled up")


def _back_up_and_restore(here: Machine, typed: Typed, secret: str, ids: list[str]) -> None:
    assert typed.said("db", "backup", "kept.tar.gz").startswith("kept.tar.gz")
    assert "meliora down" in typed.said("db", "restore", "kept.tar.gz", code=1)
    assert "stopped" in typed.said("down")
    later = typed.value("keys", "create", "later")[0]["secret"]
    assert "not empty" in typed.said("db", "restore", "kept.tar.gz", code=1)
    assert "files are back" in typed.said("db", "restore", "--force", "kept.tar.gz")
    here.up()
    here.until(lambda: here.call(secret).status == 200, "the key does not open after a restore")
    assert here.call(later).status == 401
    assert here.get(f"/api/v1/learning/feedback/{ids[0]}")["feedback"]["value"] == 1.0
    here.settle()
    assert set(ids) <= {call["id"] for call in typed.value("calls", "list")}


@pytest.mark.parametrize(
    ("failure", "arguments"),
    [
        ("ModuleNotFoundError(\"No module named 'psycopg'\")", ["up", "--detach"]),
        ("ImportError('no pq wrapper available')", ["serve", "control"]),
    ],
)
def test_a_missing_driver_is_one_sentence_with_the_command(tmp_path: Path, failure: str, arguments: list[str]) -> None:
    """Also of a process that is started by itself, which then is not started again and again."""
    (tmp_path / "psycopg.py").write_text(f"raise {failure}\n")
    own = {"PYTHONPATH": str(tmp_path), "MELIORA_SERVER__PORT": str(quiet_port())}
    done = subprocess.run(
        [sys.executable, "-m", "meliora.cli", *arguments],
        cwd=tmp_path,
        env={**os.environ, **own, "MELIORA_STORE__URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1 and "pip install 'meliora[postgres]'" in done.stderr
