"""H31: a constitution that is asked at each edge: rules with reasons, an error denies, an emergency stop, an audit that shows changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.loop.policy.request import LOOP, Facts, Request, Target
from meliora.runtime.governance import policies
from tests.acceptance.lives import living

GOOD = Facts(environment="production", proved=True, trial_won=True, rehearsed=True, auto_promote=True)
RULES = {
    "no-self-edit": {"touches": ("policy",)},
    "no-secrets": {"touches": ("secrets",)},
    "no-rewritten-history": {"touches": ("history",)},
    "backup-before-destruction": {"destructive": True},
    "code-runs-in-the-sandbox": {"touches": ("code",)},
    "schema-needs-a-person": {"touches": ("schema",)},
}


@pytest.mark.parametrize("rule", RULES)
def test_h31_each_rule_forbids_what_it_names_whatever_else_was_shown(rule: str, tmp_path: Path, switched: None) -> None:
    """The deciding rule is named, so that it can be looked up."""
    with living(tmp_path) as life:
        asked = policies(life.house.context.settings, life.house.store)
        plain = Request(actor=LOOP, action="deliver", target=Target(id="t", kind="k"), facts=GOOD)
        assert asked.decide(plain).allowed
        target = Target(id="t", kind="k", **RULES[rule])  # type: ignore[arg-type]
        decision = asked.decide(Request(actor=LOOP, action="deliver", target=target, facts=GOOD))
        assert not decision.allowed and rule in decision.policies


def test_h31_own_rules_forbid_more_and_what_they_decided_stands_in_the_audit(tmp_path: Path, switched: None) -> None:
    """A policy of the deployment stops every delivery of a kind."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "mine.cedar").write_text(
        '@id("not-here") @reason("policies are made by hand here")\n'
        'forbid(principal, action == Action::"deliver", resource) when { resource.kind == "routing_policy" };\n'
    )
    with living(tmp_path, policies=folder) as life:
        life.breach()
        change = life.run()
        assert change.state == "rejected" and "made by hand here" in (change.reason or "")
        denied = [one for one in life.house.store.audit.of("default", change.id) if one.action == "change.denied"]
        assert "not-here" in denied[0].body["outcome"]["policies"]
