"""What a batch adds to the daily sums: a call of several models counts once, and each model bears its own cost."""

from meliora.store.calls.sums import USAGE, Sums
from meliora.telemetry.records import CallFinished, Leg, Usage

AT = 1_795_219_200_000_000


def call(*legs: Leg, cost: int | None, outcome: str = "ok", model: str | None = "tiny") -> CallFinished:
    return CallFinished(
        "c",
        "t",
        "k",
        "g",
        AT,
        AT + 1000,
        "chat",
        "auto",
        outcome,  # type: ignore[arg-type]
        200,
        model=model,
        usage=Usage(input=30, output=15),
        cost_micros=cost,
        legs=legs,
    )


def leg(model: str, cost: int | None, *, accepted: bool = False) -> Leg:
    return Leg(model, AT, AT, usage=Usage(input=10, output=5), cost_micros=cost, accepted=accepted)


def daily(*records: CallFinished) -> dict[str, dict[str, int]]:
    sums = Sums.of(records)
    return {key[2]: dict(zip(USAGE, tally, strict=True)) for key, tally in sums.daily.items()}


def test_each_leg_is_counted_to_its_model_and_the_call_to_the_one_that_answered():
    found = daily(call(leg("tiny", 7, accepted=True), leg("small", 20), cost=27))
    assert (found["tiny"]["calls"], found["tiny"]["cost_micros"], found["tiny"]["tokens_in"]) == (1, 7, 10)
    assert (found["small"]["calls"], found["small"]["cost_micros"], found["small"]["tokens_in"]) == (0, 20, 10)
    assert sum(row["cost_micros"] for row in found.values()) == 27


def test_the_key_bears_the_whole_and_the_model_is_judged_by_its_own_part():
    sums = Sums.of([call(leg("tiny", 7, accepted=True), leg("small", 20), cost=27)])
    assert list(sums.gateways.values()) == [[27]]
    assert {key[1]: value.cost_micros for key, value in sums.outcomes.items()} == {"tiny": 7}


def test_a_call_with_an_unknown_leg_is_unpriced_and_what_is_known_is_counted():
    found = daily(call(leg("tiny", 7, accepted=True), leg("small", None), cost=None))
    assert (found["tiny"]["unpriced"], found["tiny"]["cost_micros"]) == (1, 7)
    assert found["small"]["cost_micros"] == 0


def test_a_call_that_nobody_answered_leaves_its_cost_with_the_models_that_were_asked():
    found = daily(call(leg("tiny", 7), leg("small", 20), cost=27, outcome="error", model=None))
    assert found[""]["calls"] == 1
    assert found[""]["cost_micros"] == 0
    assert found["tiny"]["cost_micros"] + found["small"]["cost_micros"] == 27
