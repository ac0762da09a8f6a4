"""`meliora policy` and `meliora audit`: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meliora.cli import main
from meliora.cli.shared import settings, store
from meliora.loop.audit.entry import AuditNote
from meliora.loop.audit.heads import FOLDER
from meliora.loop.policy.request import LOOP, Facts, Request, Target
from meliora.runtime.governance import policies

NO_PATCHES = """@id("no-patches") @reason("patches are made by hand here")
forbid(principal, action == Action::"deliver", resource)
when { resource.kind == "patch" };
"""
REQUEST = {
    "actor": {"kind": "system", "key": "loop"},
    "action": "deliver",
    "target": {"id": "routing", "kind": "routing"},
    "facts": {"environment": "staging", "proved": True, "trial_won": True, "rehearsed": True},
}


@pytest.fixture(autouse=True)
def _ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["db", "upgrade"]) == 0


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "mine.cedar").write_text(NO_PATCHES)
    return folder


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(list(arguments))
        out = capsys.readouterr()
        assert "Traceback" not in out.err
        return code, out.out + out.err

    return run


def decide(*kinds: str) -> None:
    """Record a delivery of each kind as the engine does."""
    with store() as opened:
        found = policies(settings(), opened)
        for number, kind in enumerate(kinds, 1):
            facts = Facts(environment="production", proved=True, trial_won=True, rehearsed=True, auto_promote=True)
            request = Request(actor=LOOP, action="deliver", target=Target(id=kind, kind=kind), facts=facts)
            body = found.recorded(request, found.decide(request))
            opened.audit.record(
                AuditNote(
                    tenant="default", actor=LOOP.name, action="change.deliver", subject=f"chg_{number}", body=body
                )
            )


def test_policies_are_checked_with_file_and_line(said, mine: Path) -> None:
    code, out = said("policy", "check")
    assert code == 0 and "policies hold together" in out
    assert said("policy", "check", str(mine))[0] == 0
    (mine / "other.cedar").write_text('\n@id("x")\nforbid(principal, action, resource) when { context.moon };\n')
    code, out = said("policy", "check", str(mine))
    assert code == 1 and "other.cedar:2: attribute `moon` in context" in out
    code, out = said("policy", "check", str(mine), "--json")
    assert code == 1 and json.loads(out.splitlines()[0])["where"] == "other.cedar:2"
    assert said("policy", "check", "nowhere")[0] == 2


def test_policies_of_the_settings_are_those_that_are_checked_and_asked(said, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "meliora.toml").write_text('[loop]\npolicies = "policies"\n')
    names = json.loads(said("policy", "check", "--json")[1])["policies"]
    assert "no-patches" in names and "the-loop-works" in names
    request = REQUEST | {"target": {"id": "p", "kind": "patch"}}
    code, out = said("policy", "explain", json.dumps(request))
    assert code == 0 and "patches are made by hand here (no-patches)" in out
    (tmp_path / "meliora.toml").write_text("[loop]\nreplace_policies = true\n")
    code, out = said("config", "check")
    assert code == 2 and "loop.policies" in out


def test_a_request_is_explained_from_the_line_a_file_or_the_input(said, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "r.json").write_text(json.dumps(REQUEST))
    for form in (json.dumps(REQUEST), "r.json"):
        code, out = said("policy", "explain", form)
        assert code == 0 and "in staging a person promotes (staging-waits-for-a-person)" in out
    decision = json.loads(said("policy", "explain", "r.json", "--json")[1])
    assert (decision["allowed"], decision["needs"]) == (False, "approval")
    code, out = said("policy", "explain", '{"actor": 1}')
    assert code == 2 and "This is no request" in out
    assert said("policy", "explain", "none.json")[0] == 2


def test_a_change_is_explained_by_what_decided_on_it(said) -> None:
    decide("routing", "patch")
    code, out = said("policy", "explain", "chg_2")
    assert code == 0 and "deliver" in out and "allowed" in out and "the-loop-works" in out
    assert said("policy", "explain", "chg_9")[0] == 1


def test_other_policies_are_held_against_what_was_decided(said, mine: Path) -> None:
    decide("routing", "patch")
    code, out = said("policy", "simulate", str(mine))
    assert code == 0 and "chg_2" in out and "chg_1" not in out
    assert "2 decisions: 1 would come out otherwise" in out
    (one,) = [json.loads(line) for line in said("policy", "simulate", str(mine), "--json")[1].splitlines()]
    assert (one["subject"], one["was"]["allowed"], one["now"]["allowed"]) == ("chg_2", True, False)
    assert "0 would come out otherwise" in said("policy", "simulate")[1]


def test_the_audit_is_verified_and_says_what_is_wrong(said, tmp_path: Path) -> None:
    assert said("audit", "verify")[0] == 0
    decide("routing", "patch", "rule")
    code, out = said("audit", "verify")
    assert code == 0 and "The chain is whole: 3 entries" in out
    heads = tmp_path / "var" / FOLDER / "heads.jsonl"
    heads.write_text(heads.read_text().replace('"seq":2', '"seq":7'))
    code, out = said("audit", "verify")
    assert code == 1 and "The tail was cut: Entries 4 to 7 are gone" in out
    found = json.loads(said("audit", "verify", "--json")[1])
    assert found["found"] == 1 and found["problems"][0]["fault"] == "cut"


def test_a_lost_signature_is_told_until_somebody_signs_again(said, tmp_path: Path) -> None:
    decide("routing")
    (tmp_path / "var" / FOLDER / "head.json").unlink()
    assert said("audit", "verify")[0] == 1
    assert said("audit", "sign", "--yes")[0] == 0
    assert said("audit", "verify")[0] == 0
    assert '"audit.signed"' in said("audit", "export")[1]


def test_a_key_of_its_own_signs_the_audit(said, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AUDIT", "a long secret")
    (tmp_path / "meliora.toml").write_text('[loop]\naudit_key = "env:AUDIT"\n')
    decide("routing")
    assert said("audit", "verify")[0] == 0
    monkeypatch.setenv("AUDIT", "another")
    code, out = said("audit", "verify")
    assert code == 1 and "not signed with this deployment's key" in out
    (tmp_path / "meliora.toml").write_text('[loop]\naudit_key = "written out here"\n')
    assert said("audit", "verify")[0] == 2


def test_the_audit_goes_out_as_lines_by_tenant_and_time(said) -> None:
    decide("routing", "patch")
    lines = [json.loads(line) for line in said("audit", "export", "--jsonl")[1].splitlines()]
    assert [(line["seq"], line["subject"]) for line in lines] == [(1, "chg_1"), (2, "chg_2")]
    assert lines[1]["prev"] == lines[0]["hash"]
    assert said("audit", "export", "--tenant", "acme")[1] == ""
    assert len(said("audit", "export", "--tenant", "acme", "--all-tenants")[1].splitlines()) == 2
    assert said("audit", "export", "--since", "2099-01-01")[1] == ""


def test_decisions_are_taken_again_and_must_come_to_the_same(said) -> None:
    decide("routing")
    code, out = said("audit", "replay", "chg_1")
    assert code == 0 and "1 decisions, 1 came to the same" in out
    assert json.loads(said("audit", "replay", "chg_1", "--json")[1])["result"] == "same"
    assert said("audit", "replay", "chg_9")[0] == 1
    with store() as opened:
        last = opened.audit.of("default", "chg_1")[0].body
        body = {**last, "outcome": {**last["outcome"], "policies": ["another"]}}
        opened.audit.record(
            AuditNote(tenant="default", actor="system:loop", action="change.deliver", subject="chg_1", body=body)
        )
    code, out = said("audit", "replay", "chg_1")
    assert code == 1 and "differs" in out


def test_a_restore_says_what_of_the_audit_went(said) -> None:
    decide("routing")
    assert said("db", "backup", "b.tar.gz")[0] == 0
    decide("patch", "rule")
    code, out = said("db", "restore", "--force", "b.tar.gz")
    assert code == 0 and "2 later entries of the audit are gone" in out
    code, out = said("audit", "verify")
    assert code == 0 and "a backup was restored" in out
