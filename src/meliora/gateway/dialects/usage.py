"""Token counts in each dialect's spelling, to and from `Usage`. Refuses what is no count: it stays unknown."""

from __future__ import annotations

from typing import Any

from meliora.telemetry.records import Dialect, Usage


def read_usage(dialect: Dialect, usage: Any) -> Usage | None:
    """Read a dialect's `usage` object; None where it is no object or holds no count."""
    if not isinstance(usage, dict):
        return None
    read = _READERS[dialect](usage)
    return None if read.input is None and read.output is None else read


def _openai(names: tuple[str, str, str, str], usage: dict[str, Any]) -> Usage:
    given, gave, given_details, gave_details = names
    details = usage.get(given_details)
    details = details if isinstance(details, dict) else {}
    more = usage.get(gave_details)
    more = more if isinstance(more, dict) else {}
    return Usage(
        input=count(usage.get(given)),
        output=count(usage.get(gave)),
        cached=count(details.get("cached_tokens")),
        cache_write=count(details.get("cache_write_tokens")),
        reasoning=count(more.get("reasoning_tokens")),
    )


def _chat(usage: dict[str, Any]) -> Usage:
    names = ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")
    return _openai(names, usage)


def _responses(usage: dict[str, Any]) -> Usage:
    names = ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")
    return _openai(names, usage)


def _messages(usage: dict[str, Any]) -> Usage:
    fresh = count(usage.get("input_tokens"))
    cached = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    details = usage.get("output_tokens_details")
    return Usage(
        input=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output=count(usage.get("output_tokens")),
        cached=cached,
        cache_write=written,
        reasoning=count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
    )


def _embeddings(usage: dict[str, Any]) -> Usage:
    given = count(usage.get("prompt_tokens"))
    return Usage(input=given, output=None if given is None else 0)


_READERS = {"chat": _chat, "responses": _responses, "messages": _messages, "embeddings": _embeddings}


def count(value: Any) -> int | None:
    """Give a count, None for anything that is no whole number from 0 to 2**53."""
    return value if type(value) is int and 0 <= value <= 2**53 else None


def chat_usage(usage: Usage) -> dict[str, Any]:
    """Write `usage` as chat completions do. The dialect requires counts: an unknown one is written as 0."""
    given, gave = usage.input or 0, usage.output or 0
    written: dict[str, Any] = {"prompt_tokens": given, "completion_tokens": gave, "total_tokens": given + gave}
    written["prompt_tokens_details"] = {"cached_tokens": usage.cached or 0}
    if usage.cache_write is not None:
        written["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write
    if usage.reasoning is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return written


def responses_usage(usage: Usage) -> dict[str, Any]:
    """Write `usage` as responses do. The dialect requires counts: an unknown one is written as 0."""
    given, gave = usage.input or 0, usage.output or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": gave,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": given + gave,
    }


def messages_usage(usage: Usage) -> dict[str, Any]:
    """Write `usage` as messages do, where `input_tokens` leaves the cache out; an unknown count is written as 0."""
    cached, written_cache = usage.cached or 0, usage.cache_write or 0
    written: dict[str, Any] = {
        "input_tokens": max(0, (usage.input or 0) - cached - written_cache),
        "output_tokens": usage.output or 0,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written_cache,
    }
    if usage.reasoning is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return written
