"""Delivered choices of models: applied once, for whom they hold, and never where the other model cannot or may not serve."""

from typing import Any

import pytest

from meliora.gateway.state import ChoiceState
from meliora.routing.choices import Choices
from meliora.routing.decide import Decision, Wanted, decide
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import RuleSet
from meliora.routing.wanted import Relay
from meliora.settings.models import Settings

MODELS = (
    Candidate("a", tier="fast", context_window=100_000, input_price=1.0, output_price=2.0, regions=frozenset({"eu"})),
    Candidate("b", tier="deep", context_window=1_000, input_price=1.0, output_price=2.0, regions=frozenset({"us"})),
    Candidate("c", context_window=100_000, input_price=50.0, output_price=90.0, regions=frozenset({"eu"})),
    Candidate("words", capabilities=frozenset(), context_window=100_000),
)


def choice(model: str, serve: str | None = None, id: str = "c1", **more: Any) -> ChoiceState:
    return ChoiceState(id, "t", model, serve, **more)


def decided(*choices: ChoiceState, model: str = "a", out: tuple[str, ...] = (), **wish: Any) -> Decision:
    pool = Pool(MODELS, {"smart": "a"}, healthy=lambda name: 0.0 if name in out else 1.0)
    wanted = Wanted("t", model, **wish)
    return Choices(choices).applied(decide(wanted, pool, RuleSet(), Settings()), wanted, pool)


def test_another_model_answers_and_the_one_asked_for_comes_next() -> None:
    found = decided(choice("a", "b"))
    assert (found.model, found.tier, found.chain[0], found.reason) == ("b", "deep", "a", "asked;choice:c1")


def test_a_choice_holds_for_the_alias_asked_for_and_for_the_model_routed_to() -> None:
    assert decided(choice("smart", "c"), model="smart").model == "c"
    assert decided(choice("a", "c"), model="smart").model == "c"
    assert decided(choice("smart", "c"), model="a").model == "a"
    assert decided(choice("b", "c"), model="auto:deep").model == "c"


def test_choices_that_name_each_other_are_applied_once() -> None:
    assert decided(choice("a", "b", "x"), choice("b", "a", "y")).model == "b"
    assert decided(choice("a", "b", "x"), choice("b", "c", "y")).model == "b"


@pytest.mark.parametrize(
    ("serve", "wish", "why"),
    [
        ("nowhere", {}, "there is no such model"),
        ("c", {"allowed": ("a", "b")}, "not among the key's models"),
        ("b", {"regions": ("eu",)}, "not served in eu"),
        ("b", {"input_tokens": 5_000}, "takes 1000 tokens"),
        ("words", {"needs": frozenset({"tools"})}, "cannot do tools"),
        ("words", {"needs": frozenset({"vision"})}, "cannot do vision"),
        ("c", {"left_micros": 2_000, "input_tokens": 100}, "left of the key's budget"),
        ("b", {"out": ("b",)}, "out of service"),
    ],
)
def test_where_the_other_model_cannot_serve_the_first_one_does(serve: str, wish: dict[str, Any], why: str) -> None:
    found = decided(choice("a", serve), **wish)
    assert (found.model, found.reason, found.choice) == ("a", "asked", None)
    assert why in dict(found.rejected)[serve]


def test_a_choice_for_a_task_holds_for_its_calls_and_comes_before_one_for_all() -> None:
    code = {"text": "Write a Python function that sorts a list:\n```python\ndef f():\n```"}
    task = decided(**code).task
    both = (choice("a", "b", "x"), choice("a", "c", "y", task=task))
    assert decided(*both, **code).model == "c"
    assert decided(*both, text="Hello there").model == "b"
    assert decided(choice("a", "c", task="no such task"), **code).model == "a"


def test_of_two_for_the_same_calls_the_later_one_counts() -> None:
    assert decided(choice("a", "b", "x"), choice("a", "c", "y")).model == "c"


def test_a_pair_is_not_asked_where_another_model_answers() -> None:
    pool = Pool(MODELS)
    wanted = Wanted("t", "auto")
    before = Decision("a", "fast", "policy:1", None, 1.0, "chat", 0.1, ("c",), relay=Relay("a", "b", "c"))
    found = Choices([choice("a", "b")]).applied(before, wanted, pool)
    assert (found.relay, found.chain) == (None, ("a", "c"))


def test_endpoints_are_preferred_for_the_model_that_they_are_of() -> None:
    one, other = ("p/a", "q/a"), ("p/b",)
    choices = Choices([choice("a", endpoints=one), choice("c", "b", "x", endpoints=other)])
    plain = Decision("a", "fast", "asked", None, 1.0, "chat", 0.1)
    assert choices.endpoints("a", plain) == one
    assert choices.endpoints("b", plain) is None
    replaced = choices.applied(Decision("c", None, "asked", None, 1.0, "chat", 0.1), Wanted("t", "c"), Pool(MODELS))
    assert replaced.model == "b"
    assert choices.endpoints("b", replaced) == other
    assert choices.endpoints("a", None) is None
