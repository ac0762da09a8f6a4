"""What a call may take, told from its request alone: set aside before it, charged where nobody will say what it took."""

from __future__ import annotations

from meliora.gateway.dialects.inspect import RequestView
from meliora.telemetry.records import Dialect, Usage

ASSUMED_OUTPUT = 512
"""Tokens of answer reserved for a call that names no limit."""
MOST_OUTPUT = 1_000_000
"""Tokens of answer that a limit is believed up to: what is set aside must come back exactly, and no model answers more."""


def prompt_tokens(view: RequestView) -> int:
    """Estimate the tokens of a prompt: its characters by four."""
    return max(1, view.input_chars // 4)


def expected(view: RequestView) -> Usage:
    """Estimate what a call takes that is answered to its limit."""
    most = min(view.max_output_tokens or ASSUMED_OUTPUT, MOST_OUTPUT)
    return Usage(input=prompt_tokens(view), output=most)


def abandoned(view: RequestView, dialect: Dialect) -> Usage:
    """Estimate what a call took whose client left before any of the answer was seen: the prompt, and a short answer.

    Not the answer's limit: clients name large ones and leave early, and providers stop when they are left.
    """
    most = 0 if dialect == "embeddings" else min(view.max_output_tokens or ASSUMED_OUTPUT, ASSUMED_OUTPUT)
    return Usage(input=prompt_tokens(view), output=most)
