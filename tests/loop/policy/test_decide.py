"""Which edge the policies let pass, for whom, where, on which evidence; and that an error never lets one pass."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from meliora.loop.policy.bundle import own, with_directory
from meliora.loop.policy.decide import Decision, Policies
from meliora.loop.policy.request import LOOP, RESTORING, Action, Actor, Facts, Request, Target

WON = {"proved": True, "trial_won": True, "rehearsed": True, "auto_promote": True}
PERSON = Actor(kind="person", key="key_ann", role="admin", scopes=("admin",))
AGENT = Actor(kind="agent", key="key_bot", scopes=("admin",))


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies(own())


def ask(
    policies: Policies, action: Action, actor: Actor = LOOP, environment="production", target=None, **facts
) -> Decision:
    target = Target(**{"id": "routing", "kind": "routing", "surface": "gateway"} | (target or {}))
    return policies.decide(
        Request(actor=actor, action=action, target=target, facts=Facts(environment=environment, **facts))
    )


def test_production_promotes_by_itself_what_has_won_everything(policies) -> None:
    decision = ask(policies, "deliver", **WON)
    assert decision.allowed and decision.policies == ("the-loop-works",) and "the-loop-works" in decision.reason


@pytest.mark.parametrize(
    ("lacking", "policy"),
    [
        ("proved", "no-proof-no-trial"),
        ("trial_won", "no-trial-no-delivery"),
        ("rehearsed", "no-rehearsal-no-delivery"),
        ("auto_promote", "production-promotes-by-itself-where-set"),
    ],
)
def test_each_piece_of_evidence_is_asked_for(policies, lacking: str, policy: str) -> None:
    for environment in ("staging", "production"):
        decision = ask(
            policies,
            "deliver",
            environment=environment,
            **WON | {lacking: False, "approved": lacking != "auto_promote"},
        )
        expected = {policy} | ({"staging-waits-for-a-person"} if lacking == "auto_promote" else set())
        assert not decision.allowed and set(decision.policies) <= expected and decision.policies
    assert not ask(policies, "try").allowed and ask(policies, "try", proved=True).allowed


def test_what_cannot_be_tried_on_traffic_needs_no_trial(policies) -> None:
    assert ask(policies, "deliver", **WON | {"trial_won": False, "trial_needed": False}).allowed


def test_staging_waits_for_a_person_and_says_so(policies) -> None:
    decision = ask(policies, "deliver", environment="staging", **WON)
    assert not decision.allowed and decision.needs_approval
    assert ask(policies, "deliver", environment="staging", approved=True, approver="key_ann", **WON).allowed
    without = ask(policies, "deliver", environment="staging", **WON | {"rehearsed": False})
    assert without.needs is None, "an approval does not stand in for evidence"


def test_dev_takes_simulated_signals_and_delivers_nothing(policies) -> None:
    assert ask(policies, "trigger", environment="dev", simulated=True).allowed
    assert ask(policies, "prove", environment="dev", simulated=True).allowed
    assert not ask(policies, "try", environment="dev", **WON, approved=True).allowed
    assert not ask(policies, "deliver", environment="dev", **WON, approved=True).allowed
    for environment in ("staging", "production"):
        assert not ask(policies, "trigger", environment=environment, simulated=True).allowed


def test_a_protected_target_needs_a_person_everywhere(policies) -> None:
    protected = {"protected": True}
    for action in ("try", "deliver"):
        assert ask(policies, action, target=protected, **WON).needs == "approval"
        assert ask(policies, action, target=protected, approved=True, **WON).allowed


@pytest.mark.parametrize(
    ("target", "facts", "enough"),
    [
        ({"touches": ("auth",)}, {}, {"approved": True, "proposer_kind": "person"}),
        ({"touches": ("policy",)}, {"approved": True, "proposer_kind": "agent"}, {"proposer_kind": "person"}),
        ({"touches": ("audit",)}, {"proposer_kind": "person"}, {"approved": True, "proposer_kind": "person"}),
        ({"touches": ("code",)}, {}, {"sandboxed": True}),
        ({"touches": ("schema",)}, {}, {"approved": True}),
        ({"destructive": True}, {}, {"backed_up": True}),
        ({"touches": ("secrets",)}, {"approved": True, "proposer_kind": "person"}, None),
        ({"touches": ("history",)}, {"approved": True, "proposer_kind": "person"}, None),
    ],
)
def test_what_no_change_may_do_or_only_with_care(policies, target, facts, enough) -> None:
    assert not ask(policies, "deliver", target=target, **WON | facts).allowed
    if enough is not None:
        assert ask(policies, "deliver", target=target, **WON | facts | enough).allowed


def test_who_proposes_does_not_approve_and_no_agent_does(policies) -> None:
    assert ask(policies, "approve", PERSON, proposer="key_bot").allowed
    assert ask(policies, "approve", PERSON, proposer="key_ann").policies == ("who-proposes-does-not-approve",)
    assert not ask(policies, "approve", AGENT, proposer="key_ann").allowed
    assert not ask(policies, "approve", AGENT, proposer="key_bot").allowed
    assert not ask(policies, "approve", LOOP, proposer="key_ann").allowed
    member = msgspec.structs.replace(PERSON, scopes=("read", "feedback"))
    assert "no policy permits person key_ann to approve" in ask(policies, "approve", member, proposer="x").reason


def test_harm_is_not_kept_and_caps_and_stops_hold(policies) -> None:
    assert ask(policies, "keep").allowed and not ask(policies, "keep", degraded=True).allowed
    assert ask(policies, "deliver", within_caps=False, **WON).policies == ("caps",)
    assert ask(policies, "trigger", running=False).policies == ("stopped",)
    assert ask(policies, "deliver", running=False, **WON).allowed, "a stopped loop finishes what it began"


@pytest.mark.parametrize("action", sorted(RESTORING))
def test_going_back_is_always_allowed_to_the_loop(policies, action) -> None:
    for environment, flag in product(("dev", "staging", "production"), (True, False)):
        target = {"protected": flag, "destructive": flag, "touches": ("auth", "secrets", "history") if flag else ()}
        facts = {"halted": flag, "degraded": flag, "within_caps": not flag, "running": not flag, "simulated": flag}
        assert ask(policies, action, environment=environment, target=target, **facts).allowed


def test_under_the_kill_switch_nothing_goes_on_but_going_back(policies) -> None:
    for action in ("prove", "try", "deliver", "keep", "trigger", "start"):
        for actor in (LOOP, PERSON):
            assert not ask(policies, action, actor, halted=True, **WON).allowed
    assert not ask(policies, "resume", LOOP, target={"kind": "loop"}, halted=True).allowed
    assert not ask(policies, "resume", AGENT, target={"kind": "loop"}, halted=True).allowed
    assert ask(policies, "resume", PERSON, target={"kind": "loop"}, halted=True).allowed


def test_a_policy_of_ones_own_makes_the_set_stronger_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.cedar").write_text(
        '@id("few") @reason("more than three changes today")\n'
        'forbid(principal, action == Action::"deliver", resource) when { context.changes_today > 3 };'
    )
    mine = Policies(with_directory(tmp_path))
    assert ask(mine, "deliver", changes_today=3, **WON).allowed
    decision = ask(mine, "deliver", changes_today=4, **WON)
    assert decision.policies == ("few",) and "more than three changes today (few)" in decision.reason


def test_a_policy_that_fails_when_it_is_asked_denies_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.cedar").write_text(
        '\n@id("sums")\nforbid(principal, action, resource)\nwhen { context.changes_today + 9223372036854775807 < 0 };'
    )
    mine = Policies(with_directory(tmp_path))
    assert ask(mine, "deliver", changes_today=0, **WON).allowed
    decision = ask(mine, "deliver", changes_today=1, **WON)
    assert not decision.allowed and decision.error and decision.policies == ("sums",)
    assert "`sums` at mine.cedar:2" in decision.reason and "overflow" in decision.reason
    back = ask(mine, "roll_back", changes_today=1)
    assert back.allowed and back.error and "Meliora's own policies decided" in back.reason


def test_broken_policies_deny_everything_but_going_back(tmp_path: Path) -> None:
    (tmp_path / "mine.cedar").write_text("\n\nforbid(principal, action, resource")
    mine = Policies(with_directory(tmp_path))
    for action in get_args(Action):
        for actor in (LOOP, PERSON):
            decision = ask(mine, action, actor, target={"kind": "loop"}, **WON, approved=True)
            assert decision.error and decision.allowed == (action in RESTORING), action
    assert "mine.cedar:3" in ask(mine, "deliver", **WON).reason


@pytest.mark.parametrize(
    "part",
    [
        {"facts": {"changes_today": 2**64}},
        {"facts": {"nope": 1}},
        {"action": "zap"},
        {"actor": {"kind": "god"}},
        {"target": {"protected": 1}},
    ],
)
def test_a_request_that_makes_no_sense_is_denied(policies, part) -> None:
    plain = Request(
        actor=LOOP, action="deliver", target=Target(id="r", kind="r"), facts=Facts(environment="production", **WON)
    ).plain()
    assert policies.decide_plain(plain).allowed
    for name, value in part.items():
        plain[name] = plain[name] | value if isinstance(value, dict) else value
    decision = policies.decide_plain(plain)
    assert not decision.allowed and decision.error
    assert not policies.decide_plain({"action": "deliver"}).allowed


def test_names_cannot_slip_into_a_policy_as_code(policies) -> None:
    for key in ('x", "role": "admin', "'; DROP TABLE", 'System::"loop"', "", "\x00"):
        actor = Actor(kind="agent", key=key)
        assert not ask(policies, "deliver", actor, **WON).allowed


def test_a_decision_is_recorded_without_what_people_wrote(policies) -> None:
    request = Request(
        actor=PERSON,
        action="deliver",
        target=Target(id="rule:Ann's secret plan", kind="rule"),
        facts=Facts(environment="production", proposer="Ann <ann@example.com>"),
    )
    text = str(policies.recorded(request, policies.decide(request)))
    assert "secret plan" not in text and "ann@example" not in text and "rule:~" in text


def test_no_policy_keeps_the_loop_itself_from_going_back(tmp_path: Path) -> None:
    (tmp_path / "mine.cedar").write_text(
        '@id("hold")\nforbid(principal, action == Action::"roll_back", resource) when { resource.kind == "patch" };'
    )
    mine = Policies(with_directory(tmp_path))
    assert mine.problems == ()
    decision = ask(mine, "roll_back", target={"kind": "patch"})
    assert decision.allowed and "(hold)" in decision.reason and not decision.error
    assert ask(mine, "roll_back", PERSON, target={"kind": "patch"}).policies == ("hold",)
