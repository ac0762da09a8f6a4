"""The embedded index holds to the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.knowledge.filters import passes, read_filter
from meliora.knowledge.index.embedded import Embedded
from meliora.testing import FrozenClock
from tests.knowledge.index.contract import IndexContract, chunk, found, gone, many, put


class TestEmbedded(IndexContract):
    """The suite, on a directory."""

    @pytest.fixture
    def index(self, tmp_path: Path) -> Embedded:
        """Give an empty index."""
        return Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())


def test_a_filter_is_exact_whichever_way_it_is_answered(tmp_path: Path) -> None:
    """Few rows are read one by one, more are told to the engine, and with many it is asked deeper and deeper."""
    index = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
    index.apply(
        [
            put(
                at,
                f"d{at}",
                f"word{at % 7} {'alike ' * (1 + at % 3)}",
                metadata={"n": at, "odd": bool(at % 2), "f": at / 4},
            )
            for at in range(1, 5501)
        ]
    )
    index.apply([gone(6000 + at, f"d{at}") for at in range(1, 50)])
    view = index.view()
    for said in (
        {"n": {"gt": 40, "lte": 5300}},
        {"n": {"gte": 5400}},
        {"odd": True, "n": {"lt": 90}},
        {"f": {"lt": 20.25}, "id": ["d60", "d77", "d90"]},
    ):
        where = read_filter(said)
        assert where is not None
        expected = {
            f"d{at}"
            for at in range(50, 5501)
            if passes(where, {"id": f"d{at}"}, {"n": at, "odd": bool(at % 2), "f": at / 4})
        }
        for leg in ("words", "grams", "dense"):
            given = found(view, "alike", leg, said, limit=6000)
            assert set(given) <= expected
            assert len(given) == len(set(given))
            if leg == "words":
                assert set(given) == expected


def test_what_one_process_applied_the_view_of_another_shows(tmp_path: Path) -> None:
    writer = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
    reader = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
    assert reader.view().documents == 0
    writer.apply([put(1, "a", "text")])
    view = reader.view()
    assert view.documents == 1
    assert reader.view() is view
    writer.apply([put(2, "b", "text")])
    assert reader.view().watermark == 2


def test_a_generation_made_again_under_its_name_is_noticed(tmp_path: Path) -> None:
    index = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
    reader = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
    index.apply([put(1, "a", "text")])
    assert reader.view().documents == 1
    (tmp_path / "index" / "CURRENT").unlink()
    index.apply([put(1, "a", "text"), put(2, "b", "words")])
    assert dict(reader.view().vocabulary()) == {"text": 1, "word": 1}


def test_the_model_is_fitted_again_once_the_collection_has_grown(tmp_path: Path) -> None:
    index = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
    index.apply(many(40))
    assert index.view().vector({"engin": 1.0}) is None
    index.apply(many(20, first=41))
    before = index.view().vector({"engin": 1.0})
    assert before is not None and len(before) <= 15
    index.apply([put(at, f"n{at}", f"violin{at % 40} orchestra music{at % 30}") for at in range(100, 300)])
    after = index.view().vector({"orchestra": 1.0})
    assert after is not None and len(after) > 15
