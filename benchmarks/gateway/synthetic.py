"""Records of calls that never were, seeded: models, users, sessions, costs and times spread as a month of use spreads them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from meliora.telemetry.ids import CallIds
from meliora.telemetry.records import Attempt, CallBegun, CallFinished, Usage

_MONTH_US = 30 * 86_400_000_000
_MODELS = (("small", "fast", 1), ("middle", "balanced", 8), ("large", "deep", 40), ("coder", "code", 15))
_TASKS = ("chat", "code", "reasoning", "creative", "simple")
_TEXT = "the order arrived late and one of its parcels was open when we looked at it so please tell us what to do next "


class Month:
    """Calls of a month that ends at `until_us`, in the order of their beginning."""

    def __init__(self, calls: int, seed: int, until_us: int, secret: bytes, *, content: bool) -> None:
        self._calls = calls
        self._rng = random.Random(f"{seed}/month")
        self._until_us = until_us
        self._now_us = until_us - _MONTH_US
        self._content = content
        self._ids = CallIds(secret, lambda: self._now_us, self._rng.randbytes)

    def __iter__(self) -> Iterator[tuple[CallBegun, CallFinished]]:
        start = self._now_us
        for index in range(self._calls):
            self._now_us = start + index * _MONTH_US // self._calls
            yield self._call()

    def _call(self) -> tuple[CallBegun, CallFinished]:
        rng = self._rng
        model, tier, price = _MODELS[min(3, int(rng.expovariate(1.0)))]
        took_us = int(rng.lognormvariate(13.5, 0.8))
        failed = rng.random() < 0.02
        tokens_in, tokens_out = int(rng.lognormvariate(5.5, 1.0)), int(rng.lognormvariate(4.5, 1.0))
        number, started, ended = self._ids.new(), self._now_us, self._now_us + took_us
        user, session = f"user-{int(rng.paretovariate(1.1)) % 5000}", f"session-{rng.randrange(200_000)}"
        begun = CallBegun(
            number, "default", "key_benchmark", "gateway-benchmark", started, "chat", model, user=user, session=session
        )
        finished = CallFinished(
            id=number,
            tenant="default",
            key_id="key_benchmark",
            gateway="gateway-benchmark",
            started_us=started,
            ended_us=ended,
            dialect="chat",
            model_asked=model,
            outcome="error" if failed else "ok",
            status=500 if failed else 200,
            model=None if failed else model,
            provider="bench",
            endpoint=f"bench/{model}",
            tier=tier,
            task=rng.choice(_TASKS),
            reason="asked",
            attempts=(Attempt(f"bench/{model}", model, started + 300, ended - 200, 500 if failed else 200),),
            overhead_us=rng.randrange(150, 900),
            usage=None if failed else Usage(tokens_in, tokens_out),
            usage_source="none" if failed else "provider",
            cost_micros=None if failed else (tokens_in + 4 * tokens_out) * price // 10,
            error_code="upstream_error" if failed else None,
            finish_reason=None if failed else "stop",
            response_id=None if failed else f"chatcmpl-{number}",
            user=user,
            session=session,
            feature=rng.choice((None, "search", "support", "draft")),
            request_bytes=1024,
            response_bytes=500,
            prompt_hash=f"{rng.getrandbits(128):032x}",
            content="redacted" if self._content else "off",
            request_text=_TEXT * 9 if self._content else None,
            response_text=_TEXT * 2 if self._content else None,
        )
        return begun, finished
