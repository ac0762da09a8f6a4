"""What a trace says once the call has ended."""

from meliora.gateway.traces import after_failures
from meliora.telemetry.records import RoutedCandidate, RoutingTrace

TRACE = RoutingTrace(
    1,
    "t",
    b"",
    (
        RoutedCandidate("a", 0.9, 0.9, 0.5, 1),
        RoutedCandidate("b", 0.06, 0.06, 0.5, 1),
        RoutedCandidate("c", 0.04, 0.04, None, None),
    ),
    "a",
)


def served(trace: RoutingTrace | None) -> dict[str, float]:
    assert trace is not None
    return {one.model: round(one.served, 6) for one in trace.candidates}


def test_the_model_that_took_over_takes_the_probability_of_the_one_that_failed():
    assert served(after_failures(TRACE, "b")) == {"a": 0.0, "b": 0.96, "c": 0.04}


def test_nothing_moves_where_the_chosen_one_answered_or_nobody_did():
    assert after_failures(TRACE, "a") is TRACE
    assert after_failures(TRACE, None) is TRACE
    assert after_failures(TRACE, "elsewhere") is TRACE
    assert after_failures(None, "a") is None
