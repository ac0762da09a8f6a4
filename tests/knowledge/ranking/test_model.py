"""A reranker's file says what it is, comes back as it was, and is refused where it does not fit."""

import sys
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from meliora.errors import Conflict, InvalidRequest, MissingExtra
from meliora.knowledge.ranking.features import NAMES, schema
from meliora.knowledge.ranking.model import Boosting, read
from meliora.knowledge.ranking.train import train


@pytest.fixture(scope="module")
def model(collection):
    return train(collection[1], Boosting(rounds=20, bags=2, least=20), seed=3)


def altered(model, **said) -> bytes:
    head, _, body = model.write().partition(b"\n")
    return msgspec.json.encode(msgspec.json.decode(head) | said) + b"\n" + body


def test_what_was_written_scores_the_same(model, collection):
    data = model.write()
    again = read(data)
    assert again.sha256 == model.sha256 == sha256(data).hexdigest()
    for one in collection[1]:
        assert (again.score(one.table) == model.score(one.table)).all()


def test_contributions_sum_to_the_score(model, collection):
    for one in collection[1][:10]:
        found = model.contributions(one.table)
        assert set(found[0]) == {*NAMES, "bias"}
        assert np.allclose([sum(row.values()) for row in found], model.score(one.table), atol=1e-9)


def test_no_candidates_have_no_scores(model):
    empty = np.zeros((0, len(NAMES)))
    assert model.score(empty).tolist() == [] and model.contributions(empty) == []


def test_one_row_scores_as_it_does_among_others(model, collection):
    table = collection[1][0].table
    assert model.score(table[3:4])[0] == model.score(table)[3]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"schema": "0123"}, ("0123", schema())),
        ({"analysis": "0"}, ("'0'", "text analysis")),
        ({"format": "meliora.reranker/2"}, ("meliora.reranker/2", "meliora.reranker/1")),
    ],
)
def test_a_file_of_another_version_is_refused_and_both_are_named(model, said, names):
    with pytest.raises(Conflict) as refused:
        read(altered(model, **said))
    assert all(name in str(refused.value) for name in names)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"\xff\xfe" + data,
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b" ",
        lambda data: data[:-400] + b"9" * 400,
        lambda data: data.partition(b"\n")[0],
        lambda data: data.partition(b"\n")[0] + b"\n",
    ],
)
def test_a_damaged_file_is_refused(model, spoil):
    with pytest.raises(InvalidRequest):
        read(spoil(model.write()))


@pytest.mark.parametrize(
    "said", [{"sizes": []}, {"sizes": [-5]}, {"blend": "much"}, {"unknown": 1}, {"training": None}]
)
def test_a_head_that_does_not_hold_together_is_refused(model, said):
    with pytest.raises(InvalidRequest):
        read(altered(model, **said))


@pytest.mark.parametrize("data", [b"[]\n", b"1\n", b'{"format": 7}\n', b"{}\n"])
def test_a_file_of_something_else_is_refused(data):
    with pytest.raises(Conflict, match="format"):
        read(data)


def test_trees_that_lightgbm_does_not_know_are_refused(model):
    body = b"no trees"
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read(altered(model, sizes=[len(body)], trees=sha256(body).hexdigest()).partition(b"\n")[0] + b"\n" + body)


def test_without_lightgbm_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtra, match=r"meliora\[knowledge\]"):
        read(model.write())
