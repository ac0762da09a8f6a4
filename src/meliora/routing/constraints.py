"""What a model must be and cost to serve a call. Each refusal is a sentence that can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from meliora.routing.pool import Candidate
from meliora.routing.wanted import Wanted

GUESSED_INPUT, GUESSED_OUTPUT = 500, 500
"""Tokens that costs are compared for where they are not known; only the ratio matters."""
_REMEMBERED = 1024
"""Pairs of a name and a key's models whose answer is remembered."""
_ONLY_EMBEDDINGS = frozenset({"embeddings"})


def forbidden(model: Candidate, wanted: Wanted, asked: str | None = None) -> str:
    """Say why the key may not use a model; an alias that the key may use covers what it stands for."""
    allowed, regions = wanted.allowed, wanted.regions
    if (
        allowed is not None
        and not _is_allowed(model.name, allowed)
        and (asked is None or not _is_allowed(asked, allowed))
    ):
        return "not among the key's models"
    if regions is not None and model.regions.isdisjoint(regions):
        return f"not served in {' or '.join(regions) or 'any region of the key'}"
    return ""


@lru_cache(_REMEMBERED)
def _is_allowed(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def unable(model: Candidate, wanted: Wanted) -> str:
    """Say why a model cannot serve the call."""
    can = model.capabilities
    if can is None:
        if "embeddings" in wanted.needs:
            return "does not declare embeddings"
    else:
        missing = wanted.needs - can
        if missing:
            return f"cannot do {', '.join(sorted(missing))}"
        if only_embeddings(model) and "embeddings" not in wanted.needs:
            return "does only embeddings"
    if model.context_window is not None:
        tokens = (wanted.input_tokens or 0) + (wanted.max_output or 0)
        if tokens > model.context_window:
            return f"takes {model.context_window} tokens, and the call needs about {tokens}"
    return ""


def only_embeddings(model: Candidate) -> bool:
    """Say whether a model answers nothing but embeddings."""
    return model.capabilities == _ONLY_EMBEDDINGS


def estimated_cost(model: Candidate, wanted: Wanted) -> float | None:
    """Give the micro-dollars of a call by its prompt's length and the answer's limit; None where a price is unknown."""
    price_in, price_out = model.input_price, model.output_price
    if price_in is None or price_out is None:
        return None
    return price_in * (wanted.input_tokens or GUESSED_INPUT) + price_out * (wanted.max_output or GUESSED_OUTPUT)


def affordable(models: Sequence[Candidate], wanted: Wanted) -> tuple[Sequence[Candidate], dict[str, str]]:
    """Give the models that cost no more than what is left of the key's budget, and of each other one why not.

    A limit of the answer is taken for its length only as far as `GUESSED_OUTPUT`: few answers are as long as they may be. An
    unknown price cannot be judged, and stays. Where nothing is within the budget the cheapest alone stays: a key may overdraw
    by one call's size.
    """
    left = wanted.left_micros
    if left is None:
        return models, {}
    costs: dict[str, float] = {}
    for model in models:
        if model.input_price is not None and model.output_price is not None:
            answer = min(wanted.max_output or GUESSED_OUTPUT, GUESSED_OUTPUT)
            costs[model.name] = model.input_price * (wanted.input_tokens or 0) + model.output_price * answer
    within = [model for model in models if costs.get(model.name, 0.0) <= left]
    if not within:
        within = [min(models, key=lambda model: (costs.get(model.name, 0.0), model.name))] if models else []
    kept = {model.name for model in within}
    why = {
        name: f"would cost about ${cost / 1e6:.6f}, and ${max(0, left) / 1e6:.6f} are left of the key's budget"
        for name, cost in costs.items()
        if name not in kept
    }
    return within, why
