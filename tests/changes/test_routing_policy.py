"""A change of the policy that serves: proved on what its fit has not seen, switched once, taken back exactly, learning left in peace."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from meliora.changes.manner import Manner, Margins
from meliora.changes.routing_policy.kind import RoutingPolicy
from meliora.errors import Conflict, NotFound
from meliora.loop.change import Change, Origin
from meliora.loop.kind import Proof
from meliora.loop.work import Superseded
from meliora.routing.learned.dial import Dial
from meliora.testing.contract import KindBench, check_kind
from meliora.testing.policies import planted
from tests.changes.house import KNOWN, Deployment, Deployments
from tests.changes.overlays import decode

PEOPLE = Origin("person", "key_1")


def kind_of(here: Deployment, **over: object) -> RoutingPolicy:
    shelf, outcomes = here.faults.around(here.store.routing_snapshots), here.faults.around(here.store.outcomes)
    return RoutingPolicy(shelf, outcomes, Dial(willingness_to_pay=0.05), here.fences.check, **over)  # type: ignore[arg-type]


def surprised(here: Deployment, count: int = 600) -> int:
    """Let a policy serve that thinks large the better one, and record that small is: give the policy's number."""
    number = here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01)}))
    here.decided({"small": 0.8, "large": 0.5}, count)
    return number


def proof(here: Deployment, kind: RoutingPolicy, change: Change) -> Proof:
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    return found


def bench(here: Deployment) -> KindBench:
    def forget() -> None:
        with here.store.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM routing_outcomes")

    def lose(change: Change) -> None:
        with here.store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE routing_snapshots SET blob = NULL WHERE state = 'serving'")

    return KindBench(
        build=lambda: kind_of(here),
        change=here.change("routing_policy"),
        state=here.serving,
        decode=decode,
        lose_data=forget,
        lose_baseline=lose,
        replace=lambda: here.serve(here.add_policy()),
        faults=here.faults,
        fences=here.fences,
        now_us=here.clock.now_us,
    )


def test_the_kind_keeps_the_contract(deployments: Deployments) -> None:
    check_kind(lambda: bench(deployments(furnish)))


def furnish(here: Deployment) -> None:
    surprised(here, 260)


def test_it_keeps_the_contract_where_no_policy_served(deployments: Deployments) -> None:
    def make() -> KindBench:
        here = deployments()
        here.add_policy(
            evidence={"replay": {"against": None, "against_anchor": None, "low": 0.01, "verdict": "better"}}
        )
        return bench_without_policy(here)

    # A replay is the snapshot's own evidence and does not go away; a lost baseline is not possible where there was none.
    from meliora.testing.contract_checks import CHECKS

    left_out = {"missing_data_is_inconclusive", "rehearsal_sees_a_lost_baseline"}
    check_kind(make, [name for name in CHECKS if name not in left_out])


def bench_without_policy(here: Deployment) -> KindBench:
    return KindBench(
        build=lambda: kind_of(here),
        change=here.change("routing_policy", payload={"snapshot": 1}),
        state=here.serving,
        decode=decode,
        lose_data=lambda: None,
        lose_baseline=lambda change: None,
        replace=lambda: here.serve(here.add_policy()),
        faults=here.faults,
        fences=here.fences,
        now_us=here.clock.now_us,
    )


def test_a_policy_is_fitted_to_what_is_on_record_and_proved_on_what_its_fit_has_not_seen(here: Deployment) -> None:
    surprised(here)
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy"))
    assert (change.baseline, change.candidate) == ("snapshot 1", "snapshot 2")
    found = proof(here, kind, change)
    assert found.verdict == "passed", found.sentence
    assert found.data["outcomes"] == 240, "of 600 outcomes the fit saw the older 360"
    difference = next(one for one in found.figures if one.name == "difference")
    assert difference.low is not None and difference.low > 0


def test_where_it_is_known_since_when_there_is_trouble_the_fit_and_its_proof_see_what_came_since(
    here: Deployment,
) -> None:
    here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01)}))
    here.decided({"small": 0.4, "large": 0.9}, 3000)
    here.clock.advance(3600)
    began = here.clock.now_us()
    here.decided({"small": 0.8, "large": 0.3}, 500)
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy"), {"moment": {"since_us": began}})
    found = proof(here, kind, change)
    assert found.verdict == "passed", found.sentence
    assert found.data["outcomes"] == 200, "of the 500 since then the fit saw the older 300"


def test_with_too_few_outcomes_there_is_nothing_to_offer(here: Deployment) -> None:
    surprised(here, 60)
    change = here.change("routing_policy")
    assert kind_of(here).propose(change, here.work(change)) is None


def test_without_policy_and_candidates_there_is_nothing_to_offer(here: Deployment) -> None:
    change = here.change("routing_policy")
    assert kind_of(here).propose(change, here.work(change)) is None


def test_a_fit_that_was_cut_off_after_it_was_kept_is_found_again(here: Deployment) -> None:
    surprised(here)
    change = here.change("routing_policy")
    first = here.proposed(kind_of(here), change)
    assert here.proposed(kind_of(here), change) == first
    assert len(here.store.routing_snapshots.list("default")) == 2


def test_a_model_of_which_too_little_is_known_keeps_what_was_known(here: Deployment) -> None:
    from meliora.routing.learned.snapshot import decode as read

    here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01), "new": (0.77, 0.002)}))
    here.decided({"small": 0.8, "large": 0.5}, 400)
    here.proposed(kind_of(here), here.change("routing_policy"))
    fitted = read(here.store.routing_snapshots.blob("default", 2)).predict("hello there")
    qualities = dict(zip(fitted.models, fitted.quality.tolist(), strict=True))
    assert qualities["new"] == pytest.approx(0.77, abs=0.01)
    assert qualities["small"] == pytest.approx(0.8, abs=0.05) and qualities["large"] == pytest.approx(0.5, abs=0.05)


def test_a_snapshot_that_a_person_names_is_proved_like_any_other(here: Deployment) -> None:
    here.serve(here.add_policy({"small": (0.9, 0.001), "large": (0.5, 0.01)}))
    here.decided({"small": 0.8, "large": 0.5}, 300)
    worse = here.add_policy({"small": (0.1, 0.001), "large": (0.99, 0.01)})
    same = here.add_policy({"small": (0.9, 0.001), "large": (0.4, 0.01)})
    kind = kind_of(here)
    for number, verdict in ((worse, "failed"), (same, "inconclusive")):
        change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": number}, origin=PEOPLE))
        assert proof(here, kind, change).verdict == verdict


def test_what_serves_or_does_not_exist_cannot_be_proposed(here: Deployment) -> None:
    first = here.serve(here.add_policy())
    second = here.learn()
    for number in (first, second):
        change = here.change("routing_policy", payload={"snapshot": number})
        with pytest.raises(Conflict, match="serves already"):
            kind_of(here).propose(change, here.work(change))
    change = here.change("routing_policy", payload={"snapshot": 99})
    with pytest.raises(NotFound):
        kind_of(here).propose(change, here.work(change))


def test_learning_inside_a_policy_is_not_taken_for_another_version(here: Deployment) -> None:
    here.serve(here.add_policy())
    candidate = here.add_policy({"small": (0.95, 0.001), "large": (0.9, 0.01)})
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": candidate}))
    here.learn()
    assert kind.serving(change) == change.baseline
    assert kind.deliver(change, here.work(change)) == change.candidate
    here.learn()
    assert kind.serving(change) == change.candidate


def test_a_rollback_restores_what_the_baseline_had_learned_until_then(here: Deployment) -> None:
    here.serve(here.add_policy())
    candidate = here.add_policy({"small": (0.95, 0.001), "large": (0.9, 0.01)})
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": candidate}))
    learned = here.learn()
    kind.deliver(change, here.work(change))
    here.learn()
    plan = kind.watch(change)
    assert plan is not None and plan.overlay["policy"]["number"] == learned
    assert kind.undo(change, here.work(change)) == change.baseline
    assert here.serving() == learned
    here.learn()
    assert kind.serving(change) == change.baseline, "and what it learns from then on is still the baseline"


def test_the_baselines_bytes_may_be_let_go_while_its_learning_goes_on(here: Deployment) -> None:
    here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01)}))
    here.learn()
    candidate = here.add_policy({"small": (0.95, 0.001), "large": (0.5, 0.01)})
    here.decided({"small": 0.8, "large": 0.5}, 300)
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": candidate}))
    for _ in range(5):
        here.learn()
    assert not here.store.routing_snapshots.get("default", 2).kept
    assert proof(here, kind, change).baseline == change.baseline == "snapshot 2"
    kind.rehearse(change, here.work(change))
    kind.deliver(change, here.work(change))
    assert kind.undo(change, here.work(change)) == change.baseline


def test_what_somebody_else_put_in_service_is_not_touched(here: Deployment) -> None:
    here.serve(here.add_policy())
    candidate = here.add_policy({"small": (0.95, 0.001), "large": (0.9, 0.01)})
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": candidate}))
    other = here.serve(here.add_policy())
    for act in (kind.rehearse, kind.deliver, kind.undo):
        with pytest.raises(Conflict, match="neither the baseline"):
            act(change, here.work(change))
    assert here.serving() == other


def test_somebody_who_comes_between_look_and_switch_is_not_overrun(here: Deployment) -> None:
    first = here.serve(here.add_policy())
    candidate, other = here.add_policy(), here.add_policy()
    here.serve(other)
    moved = here.store.routing_snapshots.exchange(
        "default", candidate, instead_of=first, evidence={}, is_return=False, fenced=lambda _: None
    )
    assert not moved and here.serving() == other


def test_the_fence_is_asked_in_the_transaction_of_the_switch(here: Deployment) -> None:
    here.serve(here.add_policy())
    candidate = here.add_policy()
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": candidate}))
    old = here.work(change)
    here.fences.take(change)
    with pytest.raises(Superseded):
        kind.deliver(change, old)
    assert here.serving() == 1


def test_a_gain_in_cost_is_tried_for_cost_with_the_answers_as_guardrail(here: Deployment) -> None:
    here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01)}))
    here.decided({"small": 0.7, "large": 0.7}, 600)
    candidate = here.add_policy({"small": (0.9, 0.001), "large": (0.5, 0.01)})
    kind = kind_of(here, manner=Manner(Margins(reward=0.03)))
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": candidate}))
    assert kind.trial(change).primary == "reward", "before it is proved nothing is known"  # type: ignore[union-attr]
    assert proof(here, kind, change).verdict == "passed"
    plan = kind.trial(change)
    assert plan is not None and plan.primary == "cost_per_call"
    assert {one.metric: one.margin for one in plan.guardrails}["reward"] == 0.03


def test_a_policy_that_learned_from_the_log_is_not_proved_by_it(here: Deployment) -> None:
    here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01)}))
    here.decided({"small": 0.8, "large": 0.5}, 300)
    learned = here.learn()
    here.serve(here.add_policy({"small": (0.4, 0.001), "large": (0.9, 0.01)}))
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": learned}))
    found = proof(here, kind, change)
    assert (found.verdict, found.data["outcomes"]) == ("inconclusive", 0)


def test_a_candidate_that_does_not_load_is_not_rehearsed(here: Deployment) -> None:
    here.serve(here.add_policy())
    torn = here.store.routing_snapshots.add("default", lambda _: b"torn", kind="fit", made_by="test").number
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy", payload={"snapshot": torn}))
    with pytest.raises(Conflict, match="cannot serve"):
        kind.rehearse(change, here.work(change))


def test_outcomes_that_come_while_it_is_proved_do_not_move_the_proof(here: Deployment) -> None:
    surprised(here)
    kind = kind_of(here)
    change = here.proposed(kind, here.change("routing_policy"))
    first = proof(here, kind, change)
    here.decided({"small": 0.1, "large": 0.9}, 200)
    assert msgspec.to_builtins(proof(here, kind, change)) == msgspec.to_builtins(first)


def test_an_outcome_without_a_number_leaves_a_fit_finite(here: Deployment) -> None:
    from meliora.changes.routing_policy.refit import refit, usable

    surprised(here, 300)
    running = planted(KNOWN)
    logged = usable(here.store.outcomes.logged("default", "planted", 0), running)
    unpriced = [msgspec.structs.replace(one, cost_micros=None) for one in logged]
    fitted = refit(running, unpriced)
    assert fitted is not None
    assert fitted.costs.at(logged_phi(here)).tolist() == pytest.approx(running.costs.at(logged_phi(here)).tolist())
    assert replace(fitted, number=3).number == 3


def logged_phi(here: Deployment):
    return planted(KNOWN).predict("hello there").phi


def test_a_forced_one_stands_on_a_persons_word_and_says_so(here: Deployment) -> None:
    here.serve(here.add_policy({"small": (0.9, 0.001), "large": (0.5, 0.01)}))
    here.decided({"small": 0.8, "large": 0.5}, 300)
    worse = here.add_policy({"small": (0.1, 0.001), "large": (0.99, 0.01)})
    kind = kind_of(here)
    said = {"snapshot": worse, "forced": True}
    change = here.proposed(kind, here.change("routing_policy", payload=said, origin=PEOPLE))
    found = proof(here, kind, change)
    assert found.verdict == "passed" and "a person's word: worse by" in found.sentence
    assert kind.trial(change) is None and kind.watch(change) is not None
    gate = here.proposed(kind, here.change("routing_policy", payload=said))
    assert proof(here, kind, gate).verdict == "failed", "a gate has no word to stand on"


def test_a_change_can_be_taken_back_after_a_later_one_was_taken_back(here: Deployment) -> None:
    here.serve(here.add_policy())
    kind = kind_of(here)
    first = here.proposed(kind, here.change("routing_policy", payload={"snapshot": here.add_policy()}))
    kind.deliver(first, here.work(first))
    here.learn()
    later = msgspec.structs.replace(
        here.change("routing_policy", payload={"snapshot": here.add_policy()}), id="chg_later"
    )
    second = here.proposed(kind, later)
    kind.deliver(second, here.work(second))
    here.learn()
    assert kind.undo(second, here.work(second)) == second.baseline
    here.learn()
    assert kind.serving(first) == first.candidate, "what learning made of the first one serves again"
    assert kind.undo(first, here.work(first)) == first.baseline
