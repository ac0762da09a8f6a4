"""Decisions of the past are taken again: by the policies that took them, and by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import NotFound
from meliora.loop.audit.entry import START, AuditNote, sealed
from meliora.loop.audit.replay import Replays
from meliora.loop.policy.bundle import own, with_directory
from meliora.loop.policy.decide import DECISION, Policies
from meliora.loop.policy.request import LOOP, Facts, Request, Target
from meliora.loop.policy.simulate import again, simulate


def entries(policies: Policies, kinds: tuple[str, ...] = ("rule", "patch")):
    for seq, kind in enumerate(kinds, 1):
        facts = Facts(environment="production", proved=True, trial_won=True, rehearsed=True, auto_promote=True)
        request = Request(actor=LOOP, action="deliver", target=Target(id=kind, kind=kind), facts=facts)
        body = policies.recorded(request, policies.decide(request))
        note = AuditNote(tenant="default", actor=LOOP.name, action="change.deliver", subject=f"chg_{seq}", body=body)
        yield sealed(note, seq=seq, at_us=seq, prev=START).entry()
    note = AuditNote(tenant="default", actor="cli", action="loop.kill", subject="loop", body={"epoch": 1})
    yield sealed(note, seq=9, at_us=9, prev=START).entry()


@pytest.fixture
def stronger(tmp_path: Path) -> Policies:
    (tmp_path / "mine.cedar").write_text(
        '@id("no-patches")\nforbid(principal, action == Action::"deliver", resource) when { resource.kind == "patch" };'
    )
    return Policies(with_directory(tmp_path))


def test_only_what_would_differ_is_shown(stronger) -> None:
    done = simulate(entries(Policies(own())), stronger)
    assert done.decisions == 2
    (one,) = done.differences
    assert (one.seq, one.subject, one.was["allowed"], one.now.policies) == (2, "chg_2", True, ("no-patches",))
    assert one.turned
    assert simulate(entries(stronger), stronger).differences == ()


def test_a_decision_is_replayed_by_the_very_policies_that_took_it(stronger) -> None:
    texts = {policies.sha256: policies.bundle.text for policies in (stronger, Policies(own()))}
    replays = Replays()
    replays.register(DECISION, again(texts.get))
    done = replays.replay([*entries(stronger), *entries(Policies(own()))])
    assert [one.result for one in done] == ["same"] * 4
    assert [one.again["allowed"] for one in done] == [True, False, True, True]


def test_policies_that_are_gone_or_altered_decide_nothing(stronger) -> None:
    evidence = next(iter(entries(stronger))).body["evidence"]
    with pytest.raises(NotFound, match="not kept"):
        again({}.get)(evidence)
    with pytest.raises(NotFound, match="altered"):
        again({stronger.sha256: own().text}.get)(evidence)
