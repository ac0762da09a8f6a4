"""Rates, and the price of a call by them. Refuses to guess: what is unknown is None, never zero."""

from __future__ import annotations

import msgspec

from meliora.settings import models
from meliora.telemetry.records import Usage


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """US dollars a million tokens, which are micro-dollars a token. None: unknown."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None

    @classmethod
    def of(cls, price: models.Price, over: Rates | None = None) -> Rates:
        """Take the rates of the settings; what they leave out comes from `over`.

        A price for input or output that is set makes the finer ones of `over` meaningless, so these are left out.
        """
        own = {name: value for name in cls.__struct_fields__ if (value := getattr(price, name)) is not None}
        if over is None:
            return cls(**own)
        base = msgspec.structs.asdict(over)
        if price.input is not None:
            base.update(cached_input=None, cache_write=None, batch_input=None)
        if price.output is not None:
            base.update(reasoning=None, batch_output=None)
        return cls(**(base | own))


def cost_micros(usage: Usage, rates: Rates, *, batch: bool = False) -> int | None:
    """Price a call in micro-dollars, rounded half up; a call that cost anything costs at least 1.

    `cached` and `cache_write` are parts of `input` and fall back to its rate; `reasoning` is a part of `output` and falls back to
    its rate. None where the usage is unknown, or a rate that is needed for tokens actually used. A batch is priced by the batch
    rates alone, its parts included.
    """
    tokens_in, tokens_out = usage.input, usage.output
    if tokens_in is None or tokens_out is None:
        return None
    if batch:
        parts = ((tokens_in, rates.batch_input), (tokens_out, rates.batch_output))
    else:
        rate_in, rate_out = rates.input, rates.output
        if not usage.cached and not usage.cache_write and (not usage.reasoning or rates.reasoning is None):
            parts = ((tokens_in, rate_in), (tokens_out, rate_out))
        else:
            cached, written, thought = usage.cached or 0, usage.cache_write or 0, usage.reasoning or 0
            parts = (
                (max(0, tokens_in - cached - written), rate_in),
                (cached, rate_in if rates.cached_input is None else rates.cached_input),
                (written, rate_in if rates.cache_write is None else rates.cache_write),
                (max(0, tokens_out - thought), rate_out),
                (thought, rate_out if rates.reasoning is None else rates.reasoning),
            )
    total = 0.0
    for tokens, rate in parts:
        if tokens:
            if rate is None:
                return None
            total += tokens * rate
    return max(1, int(total + 0.5)) if total > 0.0 else 0
