"""A finding claims only the kinds of change that the calls found speak for."""

from __future__ import annotations

import pytest

from meliora.diagnosis.kinds import acting, worst_class
from meliora.diagnosis.records import FoundSlice


def a_slice(attributes: dict[str, str], classes=None, effect="worse") -> FoundSlice:
    return FoundSlice(
        attributes=attributes,
        effect=effect,
        calls_now=1000,
        calls_before=4000,
        observed=110,
        expected=10,
        before=40,
        excess=100,
        share=0.9,
        score=150.0,
        p_value=1e-9,
        classes=classes or {},
    )


@pytest.mark.parametrize(
    ("measured", "attributes", "classes", "kinds"),
    [
        ("cost", {"task": "code"}, {}, ["model_choice", "routing_policy"]),
        ("spend", {}, {}, ["model_choice", "routing_policy"]),
        ("slow", {"endpoint": "e"}, {}, ["model_choice"]),
        ("dissatisfied", {"model": "m"}, {}, ["routing_policy", "routing_rule", "model_choice"]),
        ("dissatisfied", {"task": "code"}, {}, ["routing_policy", "routing_rule"]),
        ("dissatisfied", {"key": "k"}, {}, []),
        ("errors", {"provider": "p"}, {}, ["model_choice"]),
        ("errors", {"endpoint": "e"}, {"timeout": (90, 5)}, ["model_choice"]),
        ("errors", {"key": "k"}, {"timeout": (90, 5)}, []),
        ("errors", {"key": "k"}, {"quota": (90, 5)}, ["model_choice"]),
        ("errors", {"prompt": "over 256 kB"}, {"context_length": (90, 5)}, ["model_choice"]),
        ("errors", {"endpoint": "e", "error_class": "data"}, {}, []),
    ],
)
def test_each_cause_has_the_kinds_that_can_act_on_it(measured, attributes, classes, kinds) -> None:
    assert [kind.name for kind in acting(measured, [a_slice(attributes, classes)], ["routing_rule"])] == kinds


def test_where_nothing_is_explained_only_the_trigger_names_kinds() -> None:
    assert acting("errors", []) == ()
    (kind,) = acting("errors", [], ["routing_policy"])
    assert kind.name == "routing_policy" and "trigger" in kind.reason


def test_a_quota_that_is_used_up_is_not_to_be_repeated() -> None:
    (kind,) = acting("errors", [a_slice({"endpoint": "e", "error_class": "quota"})])
    assert "no repetition" in kind.reason


def test_errors_of_several_classes_have_no_worst_one() -> None:
    assert worst_class(a_slice({"endpoint": "e"}, {"timeout": (40, 5), "network": (40, 5)})) is None
