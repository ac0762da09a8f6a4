"""A decision without the call, narrowed to what is available."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.errors import InvalidRequest
from meliora.routing.pool import Candidate, Pool
from meliora.routing.rules import RuleSet
from meliora.server.choice import Choice, Chooser, Question
from meliora.settings.models import Settings
from meliora.telemetry.records import Usage

POOL = Pool(
    [
        Candidate("small", tier="fast", fallbacks=("medium",)),
        Candidate("medium", tier="balanced"),
        Candidate("large", tier="deep", capabilities=frozenset({"tools"})),
        Candidate("vectors", capabilities=frozenset({"embeddings"})),
    ]
)


def choose(model: str = "auto:fast", available: tuple[str, ...] | None = None, **body: Any) -> Choice:
    def price(model: str, usage: Usage) -> int | None:
        return None if model == "medium" else 1_000_000

    asked = {"model": model, "messages": [{"role": "user", "content": "hi"}], **body}
    return Chooser(Settings(), POOL, RuleSet(), price).choose(Question("t", asked, available=available))


def test_the_chain_of_a_model_that_is_not_available_is_followed_at_four_fifths_of_the_confidence() -> None:
    choice = choose(available=("large", "medium"))
    assert (choice.model, choice.confidence) == ("medium", 0.8)
    assert choice.reason.endswith("fallback:small")


def test_with_nothing_of_the_chain_available_any_that_fits_is_taken_at_half() -> None:
    choice = choose(available=("large",))
    assert (choice.model, choice.confidence) == ("large", 0.5)
    assert choice.reason.endswith("emergency")


def test_a_model_asked_for_by_name_is_replaced_by_the_first_available() -> None:
    choice = choose("large", available=("nobody", "medium", "small"))
    assert (choice.model, choice.confidence, choice.tier) == ("medium", 0.5, "balanced")


def test_a_model_that_is_available_is_not_replaced() -> None:
    assert choose("large", available=("small", "large")).reason == "asked"


@pytest.mark.parametrize("available", [("nobody",), ("vectors",)])
def test_where_nothing_available_can_serve_the_field_is_named(available: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        choose(available=available)
    assert raised.value.field == "available_models"


def test_an_unknown_price_is_null_and_not_zero() -> None:
    assert choose("medium").estimated_cost is None
    assert choose("small").estimated_cost == 1.0


def test_messages_that_do_not_read_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        choose(messages="hi")
