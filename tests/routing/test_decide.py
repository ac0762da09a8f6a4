"""The decision: rules, constraints, tiers, costs, fallbacks, and a reason for everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest, MelioraError, ModelForbidden, NoEndpoint, UnknownModel
from meliora.gateway.state import RuleState
from meliora.routing.decide import Decision, Wanted, decide
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import RuleSet
from meliora.settings.models import Settings

SERVE = Settings()
OBSERVE = Settings.model_validate({"gateway": {"mode": "observe"}})
HARD = "Analyze and compare the trade-offs, step by step, and evaluate the consequences"

MODELS = [
    Candidate("small", "fast", 8000, frozenset({"tools"}), frozenset({"us"}), 0.1, 0.4, ("mid",)),
    Candidate("tiny", "fast", 4000, frozenset(), frozenset({"us", "eu"}), 0.05, 0.2),
    Candidate("mid", "balanced", 64000, None, frozenset({"eu"}), 1.0, 4.0, ("big", "gone", "small")),
    Candidate("big", "deep", 200000, frozenset({"tools", "vision"}), frozenset({"us"}), 5.0, 20.0),
    Candidate("odd", "deep", None, None, frozenset({"us"})),
    Candidate("coder", "code", 64000, frozenset({"tools"}), frozenset({"us"}), 1.0, 2.0),
    Candidate("embed", None, 8000, frozenset({"embeddings"}), frozenset({"us"}), 0.02, 0.0),
]


def go(model="auto", text="hello", rules=(), out=(), settings=SERVE, models=MODELS, **more) -> Decision:
    pool = Pool(
        models,
        {"smart": "big", "cheap": "auto:fast", "nested": "smart", "loop": "pool", "pool": "loop"},
        lambda name: 0.0 if name in out else 1.0,
        lambda name: Candidate(name) if name.startswith("open/") else None,
    )
    return decide(Wanted("t", model, text, **more), pool, RuleSet(rules), settings)


def rule(**more) -> RuleState:
    return RuleState(**({"id": "r1", "tenant": "t", "pattern": "hello"} | more))


def test_a_named_model_is_taken_with_its_own_fallbacks_as_the_chain():
    made = go("mid")
    assert (made.model, made.reason, made.confidence, made.chain) == ("mid", "asked", 1.0, ("big", "small"))
    assert (made.tier, made.task, made.observed) == ("balanced", "simple", None)


def test_a_task_may_be_left_open_where_the_choice_does_not_need_it():
    assert go("mid", task_later=True).task == ""
    assert go("auto:deep", task_later=True).task == ""
    left = go("auto", "Write a function in Python.", task_later=True)
    assert (left.task, left.complexity) == ("code", go("auto", "Write a function in Python.").complexity)


def test_an_alias_says_so_and_may_lead_to_another_alias_or_a_tier():
    assert (go("smart").model, go("smart").reason) == ("big", "alias:smart")
    assert go("nested").model == "big"
    assert go("cheap").reason == "tier:fast"


def test_aliases_that_lead_in_a_circle_are_refused():
    with pytest.raises(InvalidRequest, match="loop"):
        go("loop")


def test_a_provider_that_passes_names_on_serves_any_name():
    assert go("open/anything").model == "open/anything"


def test_a_tier_that_is_asked_for_is_used_and_the_cheapest_of_it_comes_first():
    made = go("auto:fast")
    assert (made.model, made.reason, made.chain) == ("tiny", "tier:fast", ("small",))
    assert go("auto:deep").model == "big", "an unknown price sorts last"
    assert go("auto:code").model == "coder"


def test_within_a_tier_the_higher_priority_comes_before_the_lower_price():
    models = [Candidate("dear", "fast", input_price=9.0, output_price=9.0, priority=5), *MODELS]
    assert (go("auto:fast", models=models).model, go("auto:fast", models=models).chain[0]) == ("dear", "tiny")


def test_an_unknown_tier_is_refused():
    with pytest.raises(UnknownModel, match="auto:fast"):
        go("auto:quick")


def test_the_classifier_chooses_the_tier_of_auto():
    assert go(text=HARD).reason == "classifier:deep"
    assert go(text="fix this function in the codebase").model == "coder"
    assert go(text="a cat sat on a mat").reason == "default:balanced"
    assert go(text="hi").tier == "fast"
    assert go(text="a cat sat on a mat", prefer_quality=True).tier == "deep"


def test_a_rule_comes_before_the_classifier_and_its_model_before_its_tier():
    made = go(rules=[rule(preferred_layer="deep", preferred_model="coder")])
    assert (made.model, made.reason, made.rule_id, made.confidence) == ("coder", "rule:r1", "r1", 1.0)
    assert go(rules=[rule(preferred_layer="deep")]).model == "big"
    assert go(rules=[rule(preferred_model="smart")]).model == "big"


def test_a_rule_comes_before_the_tier_asked_for():
    assert go("auto:fast", rules=[rule(preferred_layer="deep")]).model == "big"


def test_a_rules_model_that_cannot_serve_gives_way_to_its_tier_and_then_to_the_usual_choice():
    made = go(rules=[rule(preferred_model="tiny", preferred_layer="deep")], needs=frozenset({"tools"}))
    assert (made.model, made.rule_id) == ("big", "r1")
    assert ("tiny", "cannot do tools") in made.rejected
    made = go(rules=[rule(preferred_model="nowhere")])
    assert made.rule_id is None
    assert made.rejected[0][0] == "nowhere"


def test_only_rules_for_all_calls_touch_a_named_model():
    assert go("mid", rules=[rule(preferred_model="big")]).model == "mid"
    made = go("mid", rules=[rule(preferred_model="big", applies_to="all")])
    assert (made.model, made.reason) == ("big", "rule:r1")


def test_a_rule_cannot_lead_past_the_keys_models():
    made = go("small", rules=[rule(preferred_model="big", applies_to="all")], allowed=("small",))
    assert (made.model, made.reason) == ("small", "asked")


@pytest.mark.parametrize(
    ("more", "model", "reason"),
    [
        ({"needs": frozenset({"tools"})}, "small", "tier:fast"),
        ({"needs": frozenset({"vision"})}, "mid", "tier:fast;up:balanced"),
        ({"input_tokens": 5000}, "small", "tier:fast"),
        ({"input_tokens": 7000, "max_output": 2000}, "mid", "tier:fast;up:balanced"),
        ({"input_tokens": 100_000}, "big", "tier:fast;up:deep"),
        ({"regions": ("eu",)}, "tiny", "tier:fast"),
        ({"regions": ("eu",), "needs": frozenset({"tools"})}, "mid", "tier:fast;up:balanced"),
        ({"allowed": ("b*",)}, "big", "tier:fast;up:deep"),
        ({"allowed": ("coder",)}, "coder", "tier:fast;emergency"),
        ({"needs": frozenset({"embeddings"})}, "embed", "tier:fast;emergency"),
    ],
)
def test_what_a_model_cannot_do_moves_the_call_up(more, model, reason):
    made = go("auto:fast", **more)
    assert (made.model, made.reason) == (model, reason)


def test_code_goes_up_to_deep():
    assert go("auto:code", needs=frozenset({"vision"})).reason == "tier:code;up:deep"


def test_when_the_chosen_model_is_out_its_chain_comes_next_at_four_fifths_of_the_confidence():
    made = go("auto:balanced", out={"mid"})
    assert (made.model, made.reason, made.confidence) == ("big", "tier:balanced;fallback:mid", 0.8)
    made = go("auto:fast", out={"tiny"})
    assert (made.model, made.reason) == ("small", "tier:fast;fallback:tiny")
    assert ("tiny", "out of service") in made.rejected


def test_when_the_whole_chain_is_out_any_model_serves_in_an_emergency():
    made = go("auto:fast", out={"small", "tiny", "mid"})
    assert (made.model, made.reason, made.confidence) == ("coder", "tier:fast;emergency", 0.5)


def test_a_named_model_that_is_out_falls_back_along_its_chain_only():
    made = go("mid", out={"mid"})
    assert (made.model, made.reason, made.confidence) == ("big", "asked;fallback:mid", 0.8)
    assert go("big", out={"big"}).model == "big", "nobody configured another one"


def test_when_all_is_out_it_says_so():
    with pytest.raises(NoEndpoint, match="out of service"):
        go(out={m.name for m in MODELS})


def test_when_nothing_fits_each_candidate_has_its_reason():
    with pytest.raises(InvalidRequest) as caught:
        go("auto:fast", input_tokens=10**6, models=MODELS[:3])
    for name in ("small", "tiny", "mid"):
        assert name in str(caught.value)
    with pytest.raises(ModelForbidden):
        go(allowed=("nothing",))
    with pytest.raises(NoEndpoint, match="No models"):
        go(models=[])


def test_an_unknown_model_is_answered_with_close_names_that_the_key_may_use():
    with pytest.raises(UnknownModel, match="Did you mean small"):
        go("smal")
    with pytest.raises(UnknownModel) as caught:
        go("smal", allowed=("big",))
    assert "Did you mean" not in str(caught.value)


def test_a_forbidden_model_is_refused_and_an_allowed_alias_covers_its_model():
    with pytest.raises(ModelForbidden, match="big"):
        go("big", allowed=("small", "m*"))
    assert go("smart", allowed=("smart",)).model == "big"


def test_a_key_confined_to_a_region_gets_no_model_outside():
    with pytest.raises(ModelForbidden, match="eu"):
        go("big", regions=("eu",))
    assert go("mid", regions=("eu",)).chain == ()


def test_a_named_models_window_is_left_to_its_provider():
    assert go("tiny", input_tokens=10**6, needs=frozenset({"vision"})).model == "tiny"


def test_observing_leaves_the_asked_model_alone_and_says_what_would_have_been():
    made = go("big", text="hi", settings=OBSERVE, rules=[rule(pattern="hi", preferred_model="mid", applies_to="all")])
    assert (made.model, made.reason, made.chain, made.observed) == ("big", "asked", (), "mid")
    assert go("big", text="hi", settings=OBSERVE).observed == "tiny"
    assert go("big", settings=OBSERVE, out={"big"}).model == "big"


def test_observing_still_chooses_for_auto():
    made = go("auto", text="hi", settings=OBSERVE)
    assert made.model == made.observed == "tiny"


@given(
    st.sampled_from(["auto", "auto:fast", "auto:code", "auto:deep", "mid", "big", "smart"]),
    st.sets(st.sampled_from([m.name for m in MODELS])),
    st.none() | st.lists(st.sampled_from(["s*", "big", "m?d", "coder"]), max_size=3).map(tuple),
    st.none() | st.just(("eu",)) | st.just(("us",)),
    st.sets(st.sampled_from(["tools", "vision"])).map(frozenset),
)
def test_no_decision_ever_breaks_what_the_key_may_use(model, out, allowed, regions, needs):
    try:
        made = go(model, out=out, allowed=allowed, regions=regions, needs=needs)
    except MelioraError:
        return
    by_name = {m.name: m for m in MODELS}
    assert made.model not in made.chain
    assert len(set(made.chain)) == len(made.chain)
    for name in (made.model, *made.chain):
        if regions:
            assert by_name[name].regions & set(regions)
        if model.startswith("auto"):
            assert needs <= (by_name[name].capabilities if by_name[name].capabilities is not None else needs)
    if model.startswith("auto"):
        assert made.model not in out
