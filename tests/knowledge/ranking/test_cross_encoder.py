"""A second look orders the first ten anew, and whatever happens to it, the search has its answer."""

import sys
from threading import Event

import pytest

from meliora.errors import MissingExtra
from meliora.knowledge.ranking.cross_encoder import FIRST, LONGEST, SecondLook, SentenceTransformers


class Longest:
    """Likes long texts."""

    def __init__(self):
        self.seen = []

    def score(self, query, texts):
        self.seen.append((query, list(texts)))
        return [float(len(text)) for text in texts]


class Says:
    def __init__(self, scores):
        self.scores = scores

    def score(self, query, texts):
        if isinstance(self.scores, Exception):
            raise self.scores
        return self.scores


class Waits:
    """Answers when it is let go."""

    def __init__(self):
        self.go = Event()
        self.done = Event()

    def score(self, query, texts):
        self.go.wait(10)
        self.done.set()
        return [0.0] * len(texts)


def test_the_first_ten_are_ordered_anew_and_the_rest_stay():
    found = SecondLook(Longest())("q", [*("x" * n for n in range(1, FIRST + 1)), "y" * 99])
    assert found.order == (*range(FIRST - 1, -1, -1), FIRST) and found.skipped == ""
    assert len(found.scores) == FIRST


def test_texts_are_cut_and_equal_scores_keep_their_order():
    encoder = Longest()
    assert SecondLook(encoder)("q", ["x" * 9 * LONGEST, "y" * 8 * LONGEST]).order == (0, 1)
    assert [len(text) for text in encoder.seen[0][1]] == [LONGEST, LONGEST]


def test_nothing_to_look_at_asks_nobody():
    encoder = Longest()
    assert SecondLook(encoder)("q", []).order == () and not encoder.seen


@pytest.mark.parametrize("scores", [RuntimeError("broken"), [1.0], [1.0, float("nan")], ["a", "b"], None])
def test_an_encoder_that_fails_leaves_the_order_and_says_why(scores):
    found = SecondLook(Says(scores))("q", ["a", "b"])
    assert found.order == (0, 1) and found.scores == () and "cross-encoder" in found.skipped


def test_a_slow_encoder_is_not_waited_for_nor_asked_again_while_it_is_busy():
    encoder = Waits()
    look = SecondLook(encoder, seconds=0.01)
    assert "longer than 0.01 s" in look("q", ["a"]).skipped
    assert "busy" in look("q", ["a"]).skipped
    encoder.go.set()
    assert encoder.done.wait(10)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    encoder = SentenceTransformers("any")
    with pytest.raises(MissingExtra, match=r"meliora\[cross-encoder\]"):
        encoder.score("q", ["a"])
    assert "MissingExtra" in SecondLook(encoder)("q", ["a"]).skipped
