"""Requests that miss a path by a base URL with `/v1` too many or too few: where they meant to go. Refuses to guess further."""

from __future__ import annotations

import re

from meliora.errors import NotFound

_SERVED = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
)
_PREFIX = re.compile(r"(?:/+v1(?=/))*/*")


def astray(path: str) -> NotFound | None:
    """Give what to answer for a path under `/v1`, or one that is such a path but for its prefix; None for every other."""
    meant = "/v1/" + path[_match_end(path) :].rstrip("/")
    if meant in _SERVED:
        return NotFound(
            f"There is no {path[:200]} here; {meant} is what you mean.",
            hint="The base URL of OpenAI's clients ends with /v1, that of Anthropic's does not, and neither with a slash.",
        )
    if path.startswith("/v1/") or path == "/v1":
        return NotFound(f"{path[:200]} is not served here.", hint=f"What is: {', '.join(_SERVED)}.")
    return None


def _match_end(path: str) -> int:
    found = _PREFIX.match(path)
    return found.end() if found is not None else 0
