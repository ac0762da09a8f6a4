"""Vectors are taken from an answer only where it is what was asked for."""

import math

import pytest

from meliora.errors import UpstreamBroken
from meliora.gateway.dialects.embeddings import vectors_of


def answer(*vectors, **more):
    return {"data": [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)], **more}


def test_vectors_come_in_the_order_of_the_texts_whatever_order_they_were_sent_in() -> None:
    body = {"data": [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1, 2]}]}
    assert vectors_of(body, 2) == [[1, 2], [3, 4.5]]
    assert vectors_of({"data": [{"embedding": [1]}, {"embedding": [2]}]}, 2) == [[1], [2]]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"data": {}},
        answer([1.0]),
        answer([1.0], [1.0], [1.0]),
        answer([1.0], [1.0, 2.0]),
        answer([], []),
        answer([1.0], [math.nan]),
        answer([1.0], [math.inf]),
        answer([1.0], [1e300]),
        answer([1.0], [10**400]),
        answer([1.0], [True]),
        answer([1.0], ["1.0"]),
        answer([1.0], "AACAPw=="),
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 5, "embedding": [2.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, [2.0]]},
    ],
)
def test_anything_else_is_refused(body) -> None:
    with pytest.raises(UpstreamBroken):
        vectors_of(body, 2)
