"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meliora.cli import main, split_config
from meliora.cli.calls import line
from meliora.cli.shared import moment, plain, span, took, usd
from meliora.errors import InvalidRequest
from meliora.store.calls.calls import Call


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def ready(_alone: None) -> None:
    assert main(["db", "upgrade"]) == 0


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def value(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nonsense"], 2, "No such command"),
        (["keys", "create"], 2, "name"),
        (["keys", "list"], 1, "meliora db upgrade"),
        (["--config", "none.toml", "models"], 2, "none.toml"),
        (["calls", "list", "--since", "yesterday"], 2, "not a time"),
        (["calls", "list", "--tag", "x"], 2, "NAME=VALUE"),
        (["keys", "create", "x", "--scope", "root"], 2, "not a scope"),
        (["keys", "create", "x", "--expires", "2001-01-01"], 2, "past"),
        (["keys", "create", "x", "--budget-day", "-1"], 2, "amount"),
        (["keys", "update", "x", "--unlimit", "colour"], 2, "no limit"),
        (["rules", "add", "x"], 2, "--tier or --model"),
        (["rules", "add", "x", "--tier", "deeep"], 2, "not a tier"),
        (["rules", "add", "(?=x)", "--tier", "deep"], 2, "RE2"),
        (["config", "import", "litellm", "none.yaml"], 2, "cannot be read"),
        (["route", "hello", "--model", "nobody"], 1, "nobody"),
        (["logs"], 1, ""),
    ],
)
def test_a_failure_is_a_sentence_and_never_a_traceback(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    found, out, err = run(capsys, *arguments)
    assert found == code, err
    assert sentence in err and "Traceback" not in err + out


def test_the_settings_file_may_be_named_anywhere_before_a_double_dash() -> None:
    assert split_config(["a", "--config", "f", "b"]) == (["a", "b"], "f")
    assert split_config(["--config=f", "a", "--", "--config", "g"]) == (["a", "--", "--config", "g"], "f")


@pytest.mark.usefixtures("ready")
def test_a_key_lives_from_create_to_revoke_and_its_secret_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    issued = value(
        capsys, "keys", "create", "app", "--rpm", "60", "--budget-day", "2.5", "--model", "gpt-*", "--expires", "30d"
    )
    key, secret = issued["key"], issued["secret"]
    assert (key["requests_per_minute"], key["budget_day_micros"], key["models"]) == (60, 2_500_000, ["gpt-*"])
    for command in (["list"], ["show", key["id"]]):
        assert secret not in run(capsys, "keys", *command)[1]
    changed = value(capsys, "keys", "update", key["id"], "--unlimit", "rpm", "--allow-loss", "--name", "new")
    assert (changed["requests_per_minute"], changed["allow_loss"], changed["name"]) == (None, True, "new")
    rotated = value(capsys, "keys", "rotate", key["id"], "--overlap", "24h")
    assert rotated["secret"] != secret
    assert value(capsys, "keys", "revoke", key["id"])["revoked_us"]
    code, out, _ = run(capsys, "keys", "list")
    assert code == 0 and "revoked" in out and "$2.50" in out
    assert run(capsys, "keys", "show", "nope")[0] == 1


@pytest.mark.usefixtures("ready")
def test_a_key_of_one_tenant_is_not_there_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    key = value(capsys, "keys", "create", "app", "--tenant", "one")["key"]
    assert run(capsys, "keys", "show", key["id"], "--tenant", "two")[0] == 1
    assert key["id"] not in run(capsys, "keys", "list")[1]


@pytest.mark.usefixtures("ready")
def test_rules_of_store_and_settings_are_listed_in_the_order_they_are_tried(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "meliora.toml").write_text('[[rules]]\npattern = "law"\npreferred_layer = "deep"\npriority = 5\n')
    rule = value(capsys, "rules", "add", "(?i)code", "--tier", "code", "--priority", "9")
    out = run(capsys, "rules", "list")[1].splitlines()
    assert rule["id"] in out[1] and "toml-1" in out[2]
    decision = value(capsys, "route", "please write CODE")
    assert (decision["model"], decision["reason"]) == ("simulated-code", f"rule:{rule['id']}")
    assert run(capsys, "rules", "remove", rule["id"])[0] == 0
    assert run(capsys, "rules", "remove", rule["id"])[0] == 1


@pytest.mark.usefixtures("ready")
def test_an_erasure_counts_what_went_and_asks_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert value(capsys, "erase", "--user", "ann", "--yes")["calls"] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(capsys, "erase", "--user", "ann")[0] == 130


def test_the_decision_is_given_without_a_database_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "route", "hello there", "--model", "auto:deep")
    assert code == 0 and out.startswith("simulated-large") and "left out" in err


def test_an_unknown_price_is_said_to_be_unknown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "meliora.toml").write_text(
        '[providers.own]\nbase_url = "http://10.0.0.1/v1"\nmodels = ["my-own-model"]\n'
    )
    code, out, _ = run(capsys, "models")
    assert code == 0 and "unknown  unknown" in out
    assert value(capsys, "models")["input"] is None


def test_the_settings_are_checked_and_shown_without_secrets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[store]\nurl = "postgresql+psycopg://u:hunter2secret@h/d"\n')
    assert run(capsys, "config", "check", "--config", str(file))[0] == 0
    shown = run(capsys, "config", "show", "--config", str(file))[1]
    assert "hunter2secret" not in shown and json.loads(shown)["store"]["url"] == "postgresql+psycopg://u:***@h/d"
    file.write_text("[server]\nprot = 1\n")
    code, out, _ = run(capsys, "config", "check", "--config", str(file))
    assert code == 2 and "other.toml:2" in out and "port" in out


def test_documentation_that_is_not_current_fails_the_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    assert run(capsys, "config", "document", "--check")[0] == 1
    assert run(capsys, "config", "document", "--write")[0] == 0
    assert run(capsys, "config", "document", "--check")[0] == 0


def test_nothing_that_runs_is_said_plainly(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELIORA_SERVER__PORT", "1")
    assert run(capsys, "down") == (0, "Meliora does not run.\n", "")
    assert run(capsys, "reload")[0] == 1
    status = run(capsys, "status", "--json")
    assert status[0] == 1 and json.loads(status[1])["ready"] is False


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    command = f"{sys.executable} -m meliora.cli config document | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("# Configuration") and done.stderr == ""


def call(**fields: Any) -> Call:
    known = {
        "id": "call_1",
        "tenant": "default",
        "state": "finished",
        "seq": 1,
        "key_id": "k",
        "gateway": "g",
        "started_us": 1_700_000_000_000_000,
        "dialect": "chat",
        "model_asked": "auto",
        "stream": False,
        "cached": False,
        "simulated": False,
    }
    blank = dict.fromkeys(Call.__struct_fields__)
    return msgspec.convert({**blank, **known, **fields}, Call)


def test_a_line_of_the_tail_keeps_its_columns_whatever_stands_in_them() -> None:
    whole = call(
        outcome="ok",
        status=200,
        model="gpt-5",
        ended_us=1_700_000_001_250_000,
        ttft_us=310_000,
        tokens_in=1200,
        tokens_out=345,
        cost_micros=4312,
        reason="classifier:deep",
        user_id="ann",
    )
    bare = call(state="open", model_asked="m" * 60)
    first, second = line(whole), line(bare)
    for text in ("gpt-5", "200", "1250ms", "310ms", "1200>345", "$0.004312", "classifier:deep", "ann"):
        assert text in first
    assert "unknown" in second and "open" in second
    assert first.index("classifier") == second.index("-  ", first.index("classifier") - 1)


def test_what_was_recorded_cannot_move_the_terminal() -> None:
    assert (
        "\x1b" not in line(call(user_id="\x1b[2J\rbob", model="\x9b31m"))
        and plain("a\nb") == "a\N{REPLACEMENT CHARACTER}b"
    )


def test_values_read_the_way_people_write_them() -> None:
    assert [usd(None), usd(0), usd(2_500_000), usd(4312), usd(1)] == [
        "unknown",
        "$0.00",
        "$2.50",
        "$0.004312",
        "$0.000001",
    ]
    assert [took(None), took(1500), took(12_345_678)] == ["-", "2ms", "12.3s"]
    assert span("2h") == 7_200_000_000 and moment("1h", 7_200_000_000) == 3_600_000_000
    with pytest.raises(InvalidRequest):
        span("soon")
