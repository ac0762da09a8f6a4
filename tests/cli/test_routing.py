"""`meliora routing` against a running Meliora: calibrated by paid calls that are paid once, proved, served, taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meliora.cli import main
from meliora.settings.models import Server, Settings
from meliora.store.calls.calls import CallFilter
from meliora.testing.gateway import SECRET
from meliora.testing.stack import RunningMeliora

MODELS = "simulated-small,simulated-large"
SAMPLE = 24


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningMeliora]:
    """All of Meliora over the simulated provider, prompts in `p.jsonl`, and the key in the variable K."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("K", SECRET)
    monkeypatch.setenv("MELIORA_SERVER__STATE_DIR", str(tmp_path / "var"))
    lines = [
        {"prompt": f"Write a Python function to reverse item {n}.", "expected": "return text[::-1]"}
        if n % 2
        else {"prompt": f"What is {n} + {3 * n}?", "expected": str(4 * n)}
        for n in range(2, 60)
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with RunningMeliora(Settings(server=Server(state_dir=tmp_path / "var"))) as made:
        yield made


def command(running: RunningMeliora, *more: str) -> list[str]:
    asked = ["routing", "calibrate", "--prompts", "p.jsonl", "--sample", str(SAMPLE), "--models", MODELS]
    return [*asked, "--key", "env:K", "--url", running.gateway.url, *more]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    found = main(["routing", *arguments])
    out = capsys.readouterr()
    assert found == code, out.err
    return out.out + out.err


def test_a_calibration_is_priced_first_and_nothing_is_asked_without_a_yes(
    running: RunningMeliora, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(SystemExit(1)))
    with pytest.raises(SystemExit):
        main(command(running))
    shown = capsys.readouterr().out
    assert f"{2 * SAMPLE} calls, about $" in shown and "simulated-large" in shown
    assert running.gateway.finished() == []


def test_a_policy_is_calibrated_proved_served_and_taken_back(
    running: RunningMeliora, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(running, "--yes")) == 0
    out = capsys.readouterr().out
    assert f"fitted to {SAMPLE} prompts" in out and "out of fold" in out
    listed = json.loads(said(capsys, "snapshots", "--json"))
    assert (listed["kind"], listed["state"], listed["evidence"]["scorer"]) == ("calibrated", "candidate", "expected")
    running.settle()
    calls = running.store.calls.list("default", CallFilter(), limit=500).items
    assert len(calls) == 2 * SAMPLE and {call.feature for call in calls} == {"routing"}
    assert all(call.cost_micros for call in calls), "each is recorded and charged"
    said(capsys, "evaluate", "1")
    said(capsys, "promote", "1", "--force")
    running.wait(lambda: "default" in running.gateway.gateway.snapshot.state.policies, 20)
    assert "Snapshot 1 (calibrated) serves default" in said(capsys, "status")
    assert "serves already" in said(capsys, "promote", "1", code=1)
    assert "No learned policy serves default" in said(capsys, "rollback")
    running.wait(lambda: not running.gateway.gateway.snapshot.state.policies, 20)
    acts = [entry.action for entry in running.store.activity.list("default").items]
    assert acts[:2] == ["routing.rollback", "routing.promote"]


def test_a_calibration_that_was_killed_goes_on_and_pays_nothing_twice(
    running: RunningMeliora, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; from meliora.cli import main; sys.exit(main(sys.argv[1:]))"
    killed = subprocess.Popen(
        [sys.executable, "-c", code, *command(running, "--yes", "--together", "2")],
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    folder = running.settings.server.state_dir / "calibrations"
    deadline = time.monotonic() + 60
    while sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl")) < 9:
        assert time.monotonic() < deadline and killed.poll() is None, killed.communicate()[1]
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    done = sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))
    assert done < 4 * SAMPLE, "it was killed in the middle"
    assert main(command(running, "--yes")) == 0
    running.settle()
    calls = running.store.calls.list("default", CallFilter(), limit=500).items
    paid: Counter[Any] = Counter(call.message_id for call in calls if call.outcome == "ok" and not call.cached)
    assert len(paid) == 2 * SAMPLE and set(paid.values()) == {1}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--key", "env:NONE"], "NONE"),
        (["--key", "env:WRONG"], "not known here"),
        (["--models", "gpt-99"], "No provider serves gpt-99"),
        (["--models", "simulated-small"], "nothing to choose between"),
        (["--scorer", "nobody"], "There is no scorer 'nobody'"),
        (["--prompts", "none.jsonl"], "none.jsonl cannot be read"),
        (["--url", "ftp://here"], "not the address of a gateway"),
    ],
)
def test_what_a_calibration_cannot_use_is_said_before_it_costs_anything(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, secret in (("K", SECRET), ("WRONG", "mel_nobody-has-this-secret")):
        monkeypatch.setenv(name, secret)
    Path("p.jsonl").write_text('{"prompt": "What is 1 + 1?", "expected": "2"}\n')
    assert main(["db", "upgrade"]) == 0
    usual = ["--prompts", "p.jsonl", "--key", "env:K", "--url", "http://127.0.0.1:9", "--models", MODELS]
    assert main(["routing", "calibrate", *usual, *arguments, "--yes"]) != 0
    assert sentence in capsys.readouterr().err


def test_without_a_policy_the_status_says_who_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["db", "upgrade"]) == 0
    assert "the classifier chooses" in said(capsys, "status")
    assert json.loads(said(capsys, "status", "--json"))["serving"] is None
    assert "There is no routing snapshot 7" in said(capsys, "promote", "7", code=1)
    assert "No learned policy serves" in said(capsys, "rollback", code=1)


def embedding(tmp_path: Path, **chosen: Any) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in chosen.items()]
    (tmp_path / "meliora.toml").write_text("[routing.embedding]\n" + "\n".join(lines) + "\n")


def test_a_calibration_may_ask_a_model_for_embeddings_priced_first_and_paid_once(
    running: RunningMeliora, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embedding(tmp_path, model="simulated-embedding", key="env:K")
    assert main(command(running, "--yes")) == 0
    shown = capsys.readouterr().out
    assert "simulated-embedding" in shown and f"{2 * SAMPLE + 1} calls, about $" in shown
    running.settle()
    calls = running.store.calls.list("default", CallFilter(), limit=500).items
    [asked] = [call for call in calls if call.model == "simulated-embedding"]
    assert (asked.dialect, asked.feature) == ("embeddings", "routing") and asked.cost_micros is not None
    assert main(command(running, "--yes")) == 0
    running.settle()
    assert len(running.store.calls.list("default", CallFilter(), limit=500).items) == 2 * SAMPLE + 1
    snapshots = [json.loads(line) for line in said(capsys, "snapshots", "--json").splitlines()]
    assert {one["evidence"]["vectors"] for one in snapshots} == {"simulated-embedding"}


def test_a_calibration_may_use_a_table_of_words_and_gets_another_trunk(
    running: RunningMeliora, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from meliora.routing.learned.snapshot import decode

    words = {"python": "1 0", "function": "1 0.1", "reverse": "0.9 0", "what": "0 1", "is": "0 0.8", "write": "1 0.2"}
    (tmp_path / "words.vec").write_text("".join(f"{word} {vector}\n" for word, vector in words.items()))
    assert main(command(running, "--yes")) == 0
    embedding(tmp_path, table="words.vec")
    assert main(command(running, "--yes")) == 0
    bare, wide = (decode(running.store.routing_snapshots.blob("default", number)) for number in (1, 2))
    assert wide.embedding.table.shape[1] > bare.embedding.table.shape[1]
    assert wide.trunk != bare.trunk


def test_an_embedding_that_is_refused_ends_a_calibration_before_its_answers_are_paid(
    running: RunningMeliora, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "mel_nobody-has-this-secret")
    embedding(tmp_path, model="simulated-embedding", key="env:WRONG")
    assert main(command(running, "--yes")) != 0
    assert "simulated-embedding was not asked" in capsys.readouterr().err
    assert running.gateway.finished() == []


def test_a_table_that_does_not_read_is_said_before_it_costs_anything(
    running: RunningMeliora, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.vec").write_text("python 1 2\nwhat 1\n")
    embedding(tmp_path, table="words.vec")
    assert main(command(running, "--yes")) != 0
    assert "words.vec:2 has 1 numbers where the lines before have 2" in capsys.readouterr().err
    assert running.gateway.finished() == []


def test_a_policy_is_begun_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["db", "upgrade"]) == 0
    assert "No reference model is declared" in said(capsys, "start", code=2)
    assert "'gpt-99' is not in the pool" in said(capsys, "start", "--reference", "gpt-99", code=2)
    shown = said(capsys, "start", "--reference", "simulated-large", "--tenant", "acme")
    assert "Snapshot 1 serves acme: shipped prior, no outcomes yet; reference simulated-large." in shown
    monkeypatch.setenv("MELIORA_ROUTING__DIAL__REFERENCE", "simulated-medium")
    made = json.loads(said(capsys, "start", "--json"))
    assert (made["number"], made["kind"], made["evidence"]["reference"]) == (1, "prior", "simulated-medium")
    assert "Snapshot 1 (prior) serves default" in said(capsys, "status")
