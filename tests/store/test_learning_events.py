"""What was learned is kept with its impact, and read back the newest first."""

from __future__ import annotations

import math

import pytest

from meliora.errors import InvalidRequest
from meliora.store.engine import writing
from meliora.store.loop.learning_events import Learned


def learned(kind: str = "pattern_learned", impact: float = 0.4) -> Learned:
    return Learned(event_type=kind, category="routing", before_state={"n": 1}, after_state=None, impact_score=impact)


def test_events_come_back_by_kind_and_page(store) -> None:
    kinds = ("preference_update", "pattern_learned", "improvement_applied", "pattern_learned")
    made = [store.learning_events.record("default", learned(kind)) for kind in kinds]
    assert made[0].before_state == {"n": 1} and made[0].after_state is None and made[0].impact_score == 0.4
    first = store.learning_events.list("default", limit=3)
    rest = store.learning_events.list("default", limit=3, cursor=first.next)
    assert [*first.items, *rest.items] == made[::-1] and rest.next is None
    assert store.learning_events.list("default", event_type="pattern_learned").items == (made[3], made[1])
    assert store.learning_events.list("acme").items == ()


def test_an_event_goes_with_the_transaction_of_what_was_learned(store) -> None:
    with pytest.raises(RuntimeError), writing(store.engine) as connection:
        store.learning_events.add("default", connection, learned())
        raise RuntimeError
    assert store.learning_events.list("default").items == ()


@pytest.mark.parametrize("impact", [math.nan, -0.01, 1.01, math.inf])
def test_an_impact_outside_its_range_is_refused(store, impact) -> None:
    with pytest.raises(InvalidRequest, match="impact_score"):
        store.learning_events.record("default", learned(impact=impact))
