"""The public outcomes that a prior is computed from: list prices of their models, and where they come from with what licence.

Refuses RouterBench's subset for the prior, since its source states no licence; its list prices serve the benchmark alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from benchmarks.routing.data import Set
from meliora.routing.learning.prior import ANSWER
from meliora.routing.learning.prior_fit import Known
from meliora.routing.learning.table import Outcomes
from meliora.routing.pool import Candidate

SOURCES = {
    "mmlupro": "TIGER-AI-Lab/MMLU-Pro, eval_results, Apache-2.0",
    "zeroeval": "WildEval/ZeroEval, result_dirs, Apache-2.0",
    "pareto": "ParetoBandit/ParetoBandit, data_collection/rewards, Apache-2.0",
    "mmlu": "lm-sys/RouteLLM, routellm/evals/mmlu, Apache-2.0",
    "gsm8k": "lm-sys/RouteLLM, routellm/evals/gsm8k, Apache-2.0",
}
"""Sets that the shipped prior is computed from."""

FRAMED = {"mmlupro": 1200.0, "zeroeval": 120.0}
"""Tokens of instructions and examples that the cost of a call includes beside the prompt."""

PRICES = {
    "Meta-Llama-3_1-8B-Instruct": (0.05, 0.08),
    "Meta-Llama-3.1-8B-Instruct": (0.05, 0.08),
    "meta-llama/llama-3.1-8b-instruct": (0.05, 0.08),
    "Meta-Llama-3_1-70B-Instruct": (0.59, 0.79),
    "Meta-Llama-3.1-70B-Instruct": (0.59, 0.79),
    "Phi-3-mini-4k-instruct": (0.1, 0.1),
    "gemma-2-9b-it": (0.1, 0.1),
    "mathstral-7B": (0.15, 0.15),
    "Mixtral-8x7B-Instruct-v0.1": (0.6, 0.6),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": (0.6, 0.6),
    "mistralai/mistral-large-2512": (0.5, 1.5),
    "gemini-1.5-flash": (0.075, 0.3),
    "gemini-1.5-flash-002": (0.075, 0.3),
    "gemini-1.5-pro-002": (1.25, 5.0),
    "google/gemini-2.5-flash": (0.3, 2.5),
    "google/gemini-2.5-pro": (1.25, 10.0),
    "gpt-4o-mini-2024-07-18": (0.15, 0.6),
    "gpt-4o-2024-08-06": (2.5, 10.0),
    "gpt-4-1106-preview": (10.0, 30.0),
    "claude-3-haiku-20240307": (0.25, 1.25),
    "claude-3-5-sonnet-20241022": (3.0, 15.0),
    "gpt-3.5-turbo-1106": (1.0, 2.0),
    "claude-instant-v1": (0.8, 2.4),
    "claude-v1": (8.0, 24.0),
    "claude-v2": (8.0, 24.0),
    "meta/llama-2-70b-chat": (0.9, 0.9),
    "meta/code-llama-instruct-34b-chat": (0.776, 0.776),
    "mistralai/mixtral-8x7b-chat": (0.6, 0.6),
    "mistralai/mistral-7b-chat": (0.2, 0.2),
    "zero-one-ai/Yi-34B-Chat": (0.8, 0.8),
    "WizardLM/WizardLM-13B-V1.2": (0.3, 0.3),
}
"""US$ per million tokens of input and output, by the lists of their day."""


def listed(outcomes: Outcomes) -> tuple[Candidate, ...]:
    """Give a table's models at list prices; for a model that is not listed, the price that makes up its mean cost.

    A model of which neither is known has no price.
    """
    tokens = float(np.mean([len(prompt) for prompt in outcomes.prompts])) / 4 + ANSWER
    found = []
    for index, model in enumerate(outcomes.models):
        paid = outcomes.costs[:, index]
        each = float(np.nanmean(paid)) * 1e6 / tokens if (~np.isnan(paid)).any() else None
        come, go = PRICES.get(model, (each, each))
        found.append(Candidate(model, input_price=come, output_price=go))
    return tuple(found)


def known(sets: Mapping[str, Set], but: Iterable[str] = ()) -> dict[str, Known]:
    """Give the sets that a prior may be computed from, `but` some."""
    return {
        name: Known.of(whole.outcomes, listed(whole.outcomes), FRAMED.get(name, 0.0))
        for name, whole in sets.items()
        if name in SOURCES and name not in but
    }
