"""The estimate for `messages/count_tokens` where the upstream cannot count: bytes of text by four."""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.inspect import inspect_request

IMAGE_TOKENS = 1600
"""An image of the largest size that is not scaled down (1568 pixels on the long side) costs about this."""


def estimate_tokens(body: Any) -> int:
    """Estimate the prompt tokens of a messages body: UTF-8 bytes of its text by four, and a flat sum an image.

    Raises `InvalidRequest` as `inspect_request` does.
    """
    view = inspect_request("messages", body)
    wide = len(view.prompt_text.encode("utf-8", "surrogatepass")) / max(1, len(view.prompt_text))
    return max(1, round(view.input_chars * max(1.0, wide) / 4)) + _images(body) * IMAGE_TOKENS


def _images(body: dict[str, Any]) -> int:
    contents = [message.get("content") for message in body["messages"] if isinstance(message, dict)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(1 for part in parts if isinstance(part, dict) and part.get("type") == "image")
