"""The kinds of change of a deployment: there by name, over its own store, models and settings."""

from __future__ import annotations

from meliora.loop.change import Change, Origin
from meliora.loop.triggers import KINDS, defaults
from meliora.runtime.changes import Paying, endpoints_of, kinds, manner_of, read_prompt
from meliora.runtime.shared import effective
from meliora.runtime.starting import Offered
from meliora.settings import Settings
from meliora.settings.loop import Durations, Loop, Margins, Trial
from tests.changes.conftest import deployments, here  # noqa: F401
from tests.changes.house import Deployment


def test_every_kind_is_known_by_its_name_and_acts_on_the_gateway(here: Deployment) -> None:  # noqa: F811
    known = kinds(Settings(), here.store, here.clock)
    assert set(known) == {"routing_policy", "routing_rule", "model_choice"}
    assert all(kind.name == name and kind.surface == "gateway" for name, kind in known.items())


def test_a_typed_rule_goes_all_the_way_under_the_fence_of_its_change(here: Deployment) -> None:  # noqa: F811
    kind = kinds(Settings(), here.store, here.clock)["routing_rule"]
    said = {"pattern": "refund", "preferred_layer": "deep"}
    change: Change = here.store.changes.add(
        "default",
        kind="routing_rule",
        target="rule:refund",
        surface="gateway",
        environment="production",
        origin=Origin("person", "key_1"),
        payload=said,
    )
    from meliora.loop.shelf import Due
    from meliora.loop.work import Fence
    from tests.changes.house import with_proposal

    claimed = here.store.changes.claim(Due("default", change.id, change.state), "worker", 60_000_000)
    assert claimed is not None
    work = here.work(claimed, Fence("default", change.id, claimed.attempt))
    made = kind.propose(claimed, work)
    assert made is not None
    proposed = with_proposal(claimed, made)  # type: ignore[arg-type]
    assert kind.prove(proposed, work).verdict == "passed"  # type: ignore[union-attr]
    assert kind.deliver(proposed, work) == proposed.candidate
    assert [rule.pattern for rule in here.store.rules.list("default", active_only=True)] == ["refund"]
    assert kind.undo(proposed, work) is None


def test_trials_and_watches_are_as_the_settings_say() -> None:
    minimum = Durations(production=7200, kinds={"model_choice": 60})
    chosen = Loop(
        environment="production",
        trial=Trial(stages=[0.01, 0.1], ab_split_ratio=0.1, minimum_seconds=minimum),
        margins={"model_choice": Margins(reward=0.05)},
    )
    manner = manner_of(chosen, "model_choice")
    assert (manner.trial.stages, manner.trial.minimum_seconds) == ((0.01, 0.1), 60)
    assert manner.margins.reward == 0.05
    assert manner_of(chosen, "routing_rule").trial.minimum_seconds == 7200
    assert manner_of(chosen, "routing_rule").margins.reward == 0.02
    assert {one.metric for one in manner.watched({}).guardrails} >= {"error_rate", "reward"}


def test_a_prompt_is_read_as_rules_search_it_and_what_cannot_be_read_is_none() -> None:
    chat = '{"model": "auto", "messages": [{"role": "user", "content": "a refund"}]}'
    assert "a refund" in (read_prompt("chat", chat) or "")
    for dialect, text in (("embeddings", chat), ("chat", "{torn"), ("chat", "[]"), ("chat", "{}")):
        assert not read_prompt(dialect, text)


def test_the_endpoints_on_offer_are_those_of_the_catalogue(here: Deployment) -> None:  # noqa: F811
    found = endpoints_of(Offered(effective(Settings()), here.clock))
    assert found and all("/" in name for names in found.values() for name in names)


def test_quality_is_priced_by_what_serves_else_by_the_settings(here: Deployment) -> None:  # noqa: F811
    assert Paying(Settings(), here.store)("default") == 0.0
    here.serve(here.add_policy())
    assert Paying(Settings(), here.store)("default") > 0
    torn = here.store.routing_snapshots.add("default", lambda _: b"torn", kind="fit", made_by="test").number
    here.serve(torn)
    assert Paying(Settings(), here.store)("default") == 0.0


def test_what_shipped_triggers_try_are_the_kinds_that_there_are(here: Deployment) -> None:  # noqa: F811
    """A kind that is installed and that a trigger calls otherwise would be passed over for ever."""
    known = kinds(Settings(), here.store, here.clock)
    named = {kind for trigger in defaults() for kind in trigger.kinds}
    assert known.keys() <= named
    assert known.keys() <= KINDS.keys()
