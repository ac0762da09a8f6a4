"""The calls that the control process makes for a caller: within a time, and never silently."""

from __future__ import annotations

import pytest

from meliora.errors import UpstreamTimeout, UpstreamUnreachable
from meliora.routing.pool import Candidate, Pool
from meliora.runtime.legs import asking
from meliora.testing.clock import FrozenClock
from tests.gateway.learned import answered
from tests.gateway.raw_upstream import RawUpstream

OFFERS = Pool([Candidate("shaped", capabilities=frozenset({"json_schema"})), Candidate("free")])
HELLO = [{"role": "user", "content": "hello"}]


def test_the_time_is_for_all_of_the_calls_together() -> None:
    clock = FrozenClock()
    ask = asking(lambda: "http://127.0.0.1:9", lambda: OFFERS, clock)("secret", "crosscheck", 5.0)
    with pytest.raises(UpstreamUnreachable):
        ask("free", HELLO, None)
    clock.advance(5.1)
    with pytest.raises(UpstreamTimeout, match="5 seconds"):
        ask("free", HELLO, None)


@pytest.mark.parametrize(("model", "held"), [("shaped", True), ("free", False), ("unknown", False)])
def test_only_a_model_that_can_is_held_to_a_shape(model: str, held: bool) -> None:
    with RawUpstream(lambda _head, _body: answered("yes")) as gateway:
        ask = asking(lambda: gateway.base_url_openai.removesuffix("/v1"), lambda: OFFERS, FrozenClock())
        told = ask("secret", "crosscheck", 5.0)(model, HELLO, {"type": "object"})
        [(head, body)] = gateway.requests
    assert (told.text, told.cost_micros) == ("yes", None)
    assert (b"json_schema" in body) is held
    assert b"Bearer secret" in head and b"crosscheck" in head
