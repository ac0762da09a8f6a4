"""The learned policy at a decision: constraints, dial, exploration, what is recorded, and what is refused."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.gateway.state import RuleState
from meliora.routing.choose import Learned, learned
from meliora.routing.decide import Decision, Wanted, decide
from meliora.routing.dialled import Dialled
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import RuleSet
from meliora.routing.wanted import Relay
from meliora.settings.models import Settings
from meliora.testing.policies import laddered, planted

MODELS = [
    Candidate("small", "fast", 8000, frozenset({"tools"}), frozenset({"us"}), 0.1, 0.4),
    Candidate("tiny", "fast", 4000, frozenset(), frozenset({"us", "eu"}), 0.05, 0.2),
    Candidate("mid", "balanced", 64000, None, frozenset({"eu"}), 1.0, 4.0),
    Candidate("big", "deep", 200000, frozenset({"tools", "vision"}), frozenset({"us"}), 5.0, 20.0),
    Candidate("new", "balanced", 64000, None, frozenset({"us"}), 1.0, 3.0),
    Candidate("bare", None, None, None, frozenset({"us"}), 1.0, 3.0),
    Candidate("embed", "fast", 8000, frozenset({"embeddings"}), frozenset({"us"}), 0.02, 0.0),
]
KNOWN = {"tiny": (0.5, 0.0001), "small": (0.7, 0.0002), "mid": (0.8, 0.002), "big": (0.9, 0.01)}
CHEAP, DEAR = Dialled(None, 0.001), Dialled(None, 10.0)
DEFAULTS = Settings()


def policy(settings: Settings = DEFAULTS, models=KNOWN, **more) -> Learned:
    return learned(planted(models, number=7, **more), settings, MODELS)


def go(
    model="auto", text="a cat sat on a mat", *, rules=(), out=(), make=DEFAULTS, by=None, dial=CHEAP, **more
) -> Decision:
    pool = Pool(MODELS, {"cheap": "auto:fast"}, lambda name: 0.0 if name in out else 1.0)
    wanted = Wanted("t", model, text, dial=dial, **more)
    return decide(wanted, pool, RuleSet(rules), make, by or policy(make))


def served(made: Decision) -> dict[str, float]:
    assert made.routing is not None
    return {one.model: one.served for one in made.routing.candidates}


def test_the_dial_decides_between_a_cheap_and_a_good_model():
    assert (go().model, go().reason) == ("small", "policy:7")
    assert go(dial=DEAR).model == "big"
    assert go(dial=Dialled(0.9)).model == "small", "what the floor costs is read from the policy's curve"
    assert go(dial=Dialled(1.0)).model == "big"
    assert go(dial=None).model == "mid", "0.98 of the reference's quality, as the settings say"


def test_where_nothing_held_the_floor_but_the_reference_it_is_taken():
    never = policy(curve=((0.001, 0.4), (1.0, 0.5)))
    made = go(dial=Dialled(0.98), by=never)
    assert (made.model, made.reason) == ("big", "policy:7")
    assert go(dial=Dialled(0.98), by=never, allowed=("small", "tiny")).model == "small"


def test_the_chain_follows_what_the_policy_thinks_and_what_it_does_not_know_comes_last():
    assert go(dial=DEAR).chain == ("mid", "small", "tiny", "new")
    assert go().chain == ("tiny", "mid", "big", "new")


def test_a_tier_that_is_asked_for_bounds_the_policy():
    made = go("auto:fast", dial=DEAR)
    assert (made.model, made.reason, made.chain) == ("small", "tier:fast;policy:7", ("tiny",))
    assert go("cheap", dial=DEAR).reason == "tier:fast;policy:7"
    assert go("auto:code", dial=DEAR).reason == "tier:code;up:deep;policy:7"


def test_rules_come_first_and_a_rule_for_a_tier_leaves_the_model_to_the_policy():
    named = RuleState("r", "t", "cat", preferred_model="tiny")
    assert go(rules=[named], dial=DEAR).reason == "rule:r"
    layer = RuleState("r", "t", "cat", preferred_layer="fast")
    made = go(rules=[layer], dial=DEAR)
    assert (made.model, made.reason, made.rule_id) == ("small", "rule:r;policy:7", "r")


def test_the_classifier_decides_without_a_policy_and_where_it_knows_none_of_the_models():
    off = Settings.model_validate({"routing": {"learned": "off"}})
    assert go(make=off).reason == "default:balanced"
    assert go(by=policy(models={"elsewhere": (0.9, 0.1)})).reason == "default:balanced"
    assert go(prefer_quality=True).routing is None, "who prefers quality by name asks the classifier"


def test_a_model_without_a_tier_is_chosen_by_a_policy_that_knows_it_and_not_otherwise():
    assert go(by=policy(models=KNOWN | {"bare": (0.99, 0.0001)})).model == "bare"
    assert "bare" not in served(go())


def test_constraints_hold_and_what_was_intended_without_them_stands_beside():
    made = go(dial=DEAR, needs=frozenset({"tools", "vision"}), explore=True, uniform=0.5)
    assert made.model == "big"
    made = go(dial=DEAR, needs=frozenset({"tools"}), regions=("us",), out=("big",))
    assert made.model == "small"
    assert dict(made.rejected)["big"] == "out of service"
    assert made.routing is not None
    intended = {one.model: one.intended for one in made.routing.candidates}
    assert intended["big"] == 1.0
    assert served(made)["small"] == 1.0
    assert served(made)["big"] == 0.0


def test_what_the_key_cannot_pay_is_not_chosen_and_a_key_may_overdraw_by_one_call():
    made = go(dial=DEAR, left_micros=5000)
    assert made.model == "mid"
    assert "left of the key's budget" in dict(made.rejected)["big"]
    assert go(dial=DEAR, left_micros=0).model == "tiny"
    off = Settings.model_validate({"routing": {"learned": "off"}})
    made = go(make=off, left_micros=1600)
    assert (made.model, "mid" in dict(made.rejected)) == ("new", True)


def test_a_floor_that_the_budget_does_not_reach_is_refused():
    with pytest.raises(InvalidRequest, match="budget contradict each other: mid, big"):
        go(dial=Dialled(0.99, source="request"), left_micros=500)
    assert go(dial=Dialled(0.99, source="key"), left_micros=500).model == "small", "only a request is told off"
    assert go(dial=Dialled(0.5, source="request"), left_micros=500).model == "small"


def test_a_floor_that_its_own_price_does_not_hold_is_refused_with_the_price_that_would():
    with pytest.raises(InvalidRequest, match=r"takes a willingness to pay of 0\.05") as refused:
        go(dial=Dialled(0.98, 0.02, "request"))
    assert "0.95" in refused.value.hint
    assert go(dial=Dialled(0.95, 0.02, "request")).model == "small"


def test_a_slower_pace_pays_less_for_quality():
    assert go(dial=Dialled(None, 0.1)).model == "big"
    assert go(dial=Dialled(None, 0.1, pace=0.3)).model == "mid"
    made = go(dial=Dialled(None, 0.1, pace=0.3))
    assert made.routing is not None
    assert made.routing.dial == "pay:0.1;pace:0.30"


def test_an_unknown_price_is_never_taken_for_a_low_one():
    made = go(by=policy(models=KNOWN | {"new": (0.95, None)}), dial=CHEAP)
    assert made.model == "small"
    assert made.routing is not None
    seen = {one.model: one.cost_micros for one in made.routing.candidates}
    assert (seen["new"], seen["small"]) == (None, 200)


def test_todays_price_moves_what_a_model_is_expected_to_cost():
    fitted = planted(KNOWN, number=7)
    object.__setattr__(fitted.costs, "price", np.full(4, 0.175, np.float32))  # what "small" costs: (3 * .1 + .4) / 4
    made = go(by=learned(fitted, Settings(), MODELS))
    assert made.routing is not None
    seen = {one.model: one.cost_micros for one in made.routing.candidates}
    assert seen["small"] == 200
    assert seen["mid"] == pytest.approx(2000 * 1.75 / 0.175, abs=1)


EXPLORING = Settings.model_validate(
    {"routing": {"exploration": {"floor": 0.02, "cap": 0.2}}, "learning": {"exploration": 1}}
)


def test_exploration_draws_as_often_as_it_says_and_says_so():
    counts = Counter()
    for step in range(600):
        made = go(make=EXPLORING, explore=True, uniform=(step + 0.5) / 600)
        counts[made.model] += 1
        assert made.routing is not None
        assert made.routing.explored is (made.model != "small")
        assert made.reason.endswith(";explored") is made.routing.explored
    likely = served(go(make=EXPLORING, explore=True, uniform=0.999))
    assert sum(likely.values()) == pytest.approx(1.0, abs=1e-5)
    assert min(likely.values()) >= 0.02 - 1e-6
    assert {name: count / 600 for name, count in counts.items()} == pytest.approx(likely, abs=0.004)
    assert counts["new"] > 0, "a model that the policy does not know is learned of"


def test_keys_and_models_opt_out_of_exploration_and_it_rests_while_learning_does():
    for uniform in np.linspace(0, 0.9999, 25):
        assert go(make=EXPLORING, uniform=uniform).model == "small"
    never = Settings.model_validate(
        {
            "routing": {"exploration": {"floor": 0.02, "cap": 0.2, "never": ["big", "n*"]}},
            "learning": {"exploration": 1},
        }
    )
    likely = served(go(make=never, explore=True, uniform=0.0))
    assert likely["big"] == likely["new"] == 0.0
    assert sum(likely.values()) == pytest.approx(1.0)
    assert served(go(make=never, explore=True, dial=DEAR, uniform=0.9))["big"] > 0.5, "it may still be the best one"
    for frozen in ({"learning": {"enabled": False}}, {"learning": {"exploration": 0}}):
        made = go(make=Settings.model_validate(frozen), explore=True, uniform=0.0)
        assert served(made)["small"] == 1.0


def test_where_nothing_was_drawn_the_best_is_taken_and_the_probabilities_are_told():
    made = go(make=EXPLORING, explore=True)
    assert (made.model, made.reason) == ("small", "policy:7")
    assert 0.8 < made.confidence < 1


def test_preferences_move_a_choice_between_near_equals():
    assert go(offsets={"chat": {"mid": 0.1}}, dial=Dialled(None, 0.01)).model == "mid"
    assert go(offsets={"code": {"mid": 0.1}}, dial=Dialled(None, 0.01)).model == "small"


@pytest.mark.parametrize("section", [{"gateway": {"mode": "observe"}}, {"routing": {"learned": "observe"}}])
def test_what_is_only_observed_changes_no_call(section: dict):
    made = go(make=Settings.model_validate(section), explore=True, uniform=0.0)
    assert (made.model, made.reason, made.observed) == ("new", "default:balanced", "small")
    assert made.routing is not None
    assert (made.routing.decided_by, made.routing.chosen, made.routing.explored) == ("observe", "small", False)
    assert served(made)["new"] == 1.0
    assert served(made)["small"] == 0.0


def test_a_model_asked_for_by_name_stands_and_is_observed_only_with_the_whole_gateway():
    made = go("big", make=Settings.model_validate({"gateway": {"mode": "observe"}}))
    assert (made.model, made.reason, made.chain, made.observed) == ("big", "asked", (), "small")
    assert served(made)["big"] == 1.0
    assert go("big", make=Settings.model_validate({"routing": {"learned": "observe"}})).observed is None
    assert go("big").routing is None


def test_what_was_foreseen_is_told_where_it_is_asked_for():
    told = {one.model: one for one in go(explain=True).foreseen}
    small = told["small"]
    assert (small.quality, small.cost_usd, small.propensity) == (pytest.approx(0.7), pytest.approx(0.0002), 1.0)
    assert small.low is not None
    assert small.high is not None
    assert small.low < 0.7 < small.high
    assert told["new"].quality is None
    assert go().foreseen == ()


def test_phi_is_recorded_as_half_precision():
    trace = go().routing
    assert trace is not None
    phi = np.frombuffer(trace.phi, "<f2")
    assert phi[0] == 1.0
    assert (trace.snapshot, trace.trunk) == (7, "planted")


CASCADE = Settings.model_validate({"routing": {"cascade": {"enabled": True}}})


def test_a_cascade_is_planned_only_where_it_is_allowed():
    unsure = {"tiny": (0.75, 0.0001), "small": (0.72, 0.00012), "big": (0.9, 0.001)}
    by = policy(CASCADE, unsure)
    made = go(make=CASCADE, by=by, dial=Dialled(None, 0.005), whole=True)
    assert made.relay is not None
    assert (made.relay.first, made.relay.second, made.relay.strong) == ("tiny", "small", "big")
    assert go(make=CASCADE, by=by, dial=Dialled(None, 0.005)).relay is None, "the answer is streamed"
    assert go(make=CASCADE, by=by, dial=Dialled(None, 0.005), whole=True, needs=frozenset({"tools"})).relay is None
    assert go(by=by, dial=Dialled(None, 0.005), whole=True).relay is None


UNSURE = {"tiny": (0.75, 0.0001), "small": (0.72, 0.00012), "mid": (0.8, 0.0004), "big": (0.9, 0.001)}
LEGS = ("tiny", "small", "mid", "big")


def measured(quality: float = 0.95, often: float = 0.3, handicap: float = 0.0, **more) -> Learned:
    made = laddered(planted(UNSURE, number=7), {LEGS: (quality, often)}, **more)
    return learned(replace(made, handicap=handicap), CASCADE, MODELS)


def cascaded(by: Learned, dial: Dialled | None = None, **more) -> Decision:
    return go(make=CASCADE, by=by, dial=dial or Dialled(None, 0.005), whole=True, **more)


def test_a_measured_cascade_is_taken_where_it_is_worth_more_than_any_model_alone():
    assert cascaded(measured()).relay == Relay("tiny", "small", "big", "mid")
    assert cascaded(measured(quality=0.7)).relay is None, "what is believed of wrong answers counts no more"
    assert cascaded(measured(), Dialled(None, 1e-6)).relay is None, "two calls are never cheaper than the cheapest one"
    assert cascaded(measured(), Dialled(None, 0.0)).relay is None
    assert go(make=CASCADE, by=measured(), dial=Dialled(None, 0.005)).relay is None, "the answer is streamed"


def test_a_cascade_of_which_a_leg_cannot_serve_the_call_is_not_taken():
    assert cascaded(measured(), out=("mid",)).relay is None
    assert cascaded(measured(), allowed=("tiny", "small", "big")).relay is None


def test_a_floor_is_read_from_the_curve_of_cascades_only_where_the_call_may_have_them():
    by = measured(often=0.1, curve=((0.002, 1.0), (0.1, 1.01)))
    assert cascaded(by, Dialled(1.0)).relay is not None
    assert go(make=CASCADE, by=by, dial=Dialled(1.0)).model == "big"
    assert cascaded(by, Dialled(1.0), out=("mid",)).model == "big", "not every model that the curve is of can serve it"
    assert cascaded(by, Dialled(1.0)).routing.dial == "floor:1"
    assert cascaded(by, Dialled(1.0)).relay is not None, "what was remembered of one curve is not taken for the other's"
    assert cascaded(by, Dialled(1.2)).relay is None, "where nothing held the floor the reference answers alone"
    assert cascaded(by, Dialled(1.2)).model == "big"


def test_the_guard_holds_a_cascade_back_as_it_does_models():
    assert cascaded(measured(handicap=0.01)).relay is not None
    assert cascaded(measured(handicap=0.5)).relay is None


def test_what_a_user_likes_moves_the_cascades_whose_answers_it_gives():
    assert cascaded(measured(), offsets={"chat": {"mid": -0.5}}).relay is not None
    assert cascaded(measured(), offsets={"chat": {"tiny": -0.5}}).relay is None


@how(max_examples=60, deadline=None)
@given(
    st.text(max_size=200),
    st.sets(st.sampled_from([m.name for m in MODELS])),
    st.sets(st.sampled_from(["tools", "vision", "embeddings"])),
    st.floats(0, 0.999999),
    st.one_of(st.none(), st.integers(0, 20_000)),
)
def test_any_call_gets_a_model_that_can_serve_it_with_probabilities_that_add_up(text, out, needs, uniform, left):
    try:
        made = go(
            text=text,
            out=out,
            needs=frozenset(needs),
            make=EXPLORING,
            explore=True,
            uniform=uniform,
            left_micros=left,
            input_tokens=10,
        )
    except Exception as error:  # noqa: BLE001 -- looked at below
        assert type(error).__name__ in ("InvalidRequest", "NoEndpoint")
        return
    assert made.model not in out
    if made.routing is not None:
        likely = served(made)
        assert likely[made.model] > 0
        assert sum(likely.values()) == pytest.approx(1.0, abs=1e-5)
        assert made.routing.chosen == made.model
