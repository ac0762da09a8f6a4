"""What is worked out once is kept as long as it is used, and no more of it than was said."""

from __future__ import annotations

from meliora.knowledge.text.remembered import Remembered


def test_what_was_asked_for_lately_is_not_made_again_and_what_was_not_is_forgotten():
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    remembered = Remembered(make, most=3, longest=5)
    for key in ("used", "a", "b", "used", "c", "used", "d", "e", "f", "used"):
        assert remembered[key] == key.upper()
    assert made.count("used") == 1
    assert remembered["a"] == "A"
    assert made.count("a") == 2, "it had not been asked for since two tables were filled"
    assert len(remembered) <= 3


def test_what_is_longer_than_a_word_is_made_each_time_and_not_kept():
    made: list[str] = []
    remembered = Remembered(lambda key: made.append(key) or len(made), most=3, longest=5)
    assert [remembered["longer"], remembered["longer"]] == [1, 2]
    assert not remembered
