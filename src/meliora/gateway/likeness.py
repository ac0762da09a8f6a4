"""Whether two answers mean the same, by an embedding model: both go to it in one request, beside the call that they belong to.

What cannot be embedded is not alike. Refuses to embed tool calls and empty answers: near texts may call for different things.
"""

from __future__ import annotations

import copy
import math
from operator import mul

import msgspec

from meliora.gateway.call import Call
from meliora.gateway.catalog import Endpoint, Entry
from meliora.gateway.dialects.embeddings import vectors_of
from meliora.gateway.dialects.inspect import inspect_request
from meliora.gateway.dialects.summary import Summary
from meliora.gateway.inbound import Inbound
from meliora.gateway.outgoing import Asked, Outgoing, outgoing
from meliora.gateway.tries import Prepare


def comparable(first: Summary | None, second: Summary | None) -> bool:
    """Say whether both are words and nothing else."""
    return all(one is not None and bool(one.text.strip()) and not one.calls for one in (first, second))


def beside(call: Call) -> Call:
    """Give a call that one of its legs may write into."""
    own = copy.copy(call)
    own.attempts, own.legs = [], []
    own.upstream_seconds = 0.0
    own.entry = own.endpoint = None
    return own


def embedding_call(call: Call, model: str, texts: tuple[str, str]) -> tuple[Call, Prepare]:
    """Give the call beside `call` that embeds texts, and how it is put to an endpoint. Nothing of the client's headers goes with it."""
    own = beside(call)
    own.dialect = "embeddings"
    own.body = {"model": model, "input": list(texts)}
    own.view = inspect_request("embeddings", own.body)
    own.inbound = Inbound({"method": "POST", "path": "/v1/embeddings", "query_string": b"", "headers": ()})
    own.inbound.body = msgspec.json.encode(own.body)
    assert call.span is not None
    asked = Asked(own.inbound, "embeddings", own.body, model, False, False, False, call.span, call.id, call.started_us)

    def prepare(endpoint: Endpoint, entry: Entry) -> Outgoing:
        return outgoing(asked, endpoint, entry.max_output)

    return own, prepare


def cosine(body: object) -> float:
    """Give the cosine of the two vectors of an embeddings answer; 0 where one of them is nothing. Raises `UpstreamBroken`."""
    first, second = vectors_of(body, 2)
    length = math.hypot(*first) * math.hypot(*second)
    return sum(map(mul, first, second)) / length if length > 0 else 0.0
