"""From one dialect to another: requests one way, answers, streams and errors the other. Never drops in silence.

    fields             the tables of what crosses, and how
    crossing           what is lost, collected or refused; readers of untrusted JSON
    parts              images and documents
    chat_to_messages, messages_to_chat, responses_to_chat   requests
    answers, response_object                                whole answers
    from_messages, to_messages, to_responses                streams, event by event
    stream             the bytes around them

A responses client with a messages upstream goes by way of a chat-shaped middle that keeps what both ends have.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from meliora.errors import InvalidRequest
from meliora.gateway.dialects.translate.answers import chat_to_messages_answer, messages_to_chat_answer
from meliora.gateway.dialects.translate.chat_to_messages import chat_to_messages
from meliora.gateway.dialects.translate.crossing import Crossing, Options
from meliora.gateway.dialects.translate.fields import RESPONSES_NAMES, crossing_table
from meliora.gateway.dialects.translate.from_messages import FromMessages
from meliora.gateway.dialects.translate.messages_to_chat import messages_to_chat, wants_thinking
from meliora.gateway.dialects.translate.response_object import chat_to_responses_answer
from meliora.gateway.dialects.translate.responses_to_chat import responses_to_chat
from meliora.gateway.dialects.translate.stream import Stage, StreamTranslation
from meliora.gateway.dialects.translate.to_messages import ToMessages
from meliora.gateway.dialects.translate.to_responses import ToResponses
from meliora.telemetry.records import Dialect

__all__ = [
    "Options",
    "StreamTranslation",
    "Translation",
    "can_translate",
    "crossing_table",
    "thinking_style",
    "translator",
]

_PAIRS: frozenset[tuple[Dialect, Dialect]] = frozenset(
    (("chat", "messages"), ("messages", "chat"), ("responses", "chat"), ("responses", "messages"))
)


# Claude 3.x, 4, 4.1 and 4.5, whatever stands before (Bedrock's prefix) and after (a date, a region's version).
_BUDGET_ONLY = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-5](?!\d)|-\d{8}|@|:|$))")


def thinking_style(model: str) -> Literal["adaptive", "budget"]:
    """Say how a Claude model is told to think; a name that is not known takes the newer way."""
    return "budget" if _BUDGET_ONLY.search(model) else "adaptive"


def can_translate(client: Dialect, upstream: Dialect) -> bool:
    """Say whether a client of one dialect can be served by an upstream of the other."""
    return client == upstream or (client, upstream) in _PAIRS


def translator(client: Dialect, upstream: Dialect, *, allow_loss: bool, options: Options) -> Translation:
    """Make the translation of one call. Raises `InvalidRequest` where no way leads from one dialect to the other."""
    if (client, upstream) not in _PAIRS:
        raise InvalidRequest(
            f"A {client} call cannot be served by a provider that speaks {upstream}.",
            hint="Choose another model.",
            field="model",
        )
    return Translation(client, upstream, allow_loss=allow_loss, options=options)


class Translation:
    """One call's way there and back. `request` comes first: answers give back what it asked for."""

    def __init__(self, client: Dialect, upstream: Dialect, *, allow_loss: bool, options: Options) -> None:
        self.client: Dialect = client
        self.upstream: Dialect = upstream
        self._allow_loss = allow_loss
        self._options = options
        self._asked: dict[str, Any] = {}

    def request(self, body: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Give the upstream's request, and the paths of what was lost on the way.

        Raises `UntranslatableField` naming what has no counterpart (unless loss is allowed), `InvalidRequest` naming
        what is wrong in the client's own dialect.
        """
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be a JSON object.")
        self._asked = body
        by_way_of_chat = self.client == "responses" and self.upstream == "messages"
        names = RESPONSES_NAMES if by_way_of_chat else None
        crossing = Crossing(self.upstream, allow_loss=self._allow_loss, names=names)
        try:
            out = self._request(body, crossing)
        except RecursionError as error:
            raise InvalidRequest("The body is nested too deep.") from error
        return out, crossing.lost

    def _request(self, body: dict[str, Any], crossing: Crossing) -> dict[str, Any]:
        options = self._options
        if self.client == "chat":
            return chat_to_messages(body, crossing, options)
        if self.client == "messages":
            return messages_to_chat(body, crossing, options)
        if self.upstream == "chat":
            return responses_to_chat(body, crossing, options)
        return chat_to_messages(responses_to_chat(body, crossing, options), crossing, options)

    def response(self, body: dict[str, Any]) -> dict[str, Any]:
        """Give the client's answer for the upstream's. Raises `UpstreamBroken` for what is no answer."""
        options = self._options
        if self.client == "chat":
            return messages_to_chat_answer(body, options)
        if self.client == "messages":
            return chat_to_messages_answer(body, options, thinking=wants_thinking(self._asked))
        if self.upstream == "messages":
            body = messages_to_chat_answer(body, options, inner=True)
        return chat_to_responses_answer(body, self._asked, options)

    def stream(self) -> StreamTranslation:
        """Begin the translation of a stream."""
        options = self._options
        stages: list[Stage]
        if self.client == "chat":
            wish = self._asked.get("stream_options")
            wish = isinstance(wish, dict) and wish.get("include_usage") is True
            stages = [FromMessages(options, include_usage=wish or options.include_usage)]
        elif self.client == "messages":
            stages = [ToMessages(options, thinking=wants_thinking(self._asked))]
        elif self.upstream == "messages":
            stages = [FromMessages(options, include_usage=True, inner=True), ToResponses(self._asked, options)]
        else:
            stages = [ToResponses(self._asked, options)]
        return StreamTranslation(self.client, self.upstream, stages)
