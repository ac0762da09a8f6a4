"""A window holds to its budget, ends with the last turns verbatim, and costs only what is new."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.memory.records import Turn
from meliora.knowledge.memory.summary import ExtractiveSummarizer, Summary
from meliora.knowledge.memory.window import CHAPTER, SEGMENT, STEP
from tests.knowledge.memory.helpers import new_memory, said


def talk(count: int, start: int = 0):
    return [
        said("Ada" if n % 2 else "Ben", f"Item {n} goes to shelf {n % 7} of hall {n % 31}.")
        for n in range(start, start + count)
    ]


class Counting:
    """Sum up, and note how many turns each call was given."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.of: set[str] = set()

    def summarize(self, turns: Sequence[Turn], budget: int, user: str = "") -> Summary:
        self.given.append(len(turns))
        self.of.add(user)
        return ExtractiveSummarizer().summarize(turns, budget)


def test_a_conversation_that_fits_is_given_whole() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", talk(5))
    window = memory.window("t", "c", 1000)
    assert (window.summary, len(window.recent), window.left_out) == (None, 5, 0)


@pytest.mark.parametrize("budget", [1, 9, 30, 100, 500, 3000])
@pytest.mark.parametrize("count", [1, 9, 41, 700])
def test_a_window_is_within_its_budget_and_covers_every_turn_or_says_how_many_not(count: int, budget: int) -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", talk(count))
    window = memory.window("t", "c", budget)
    assert window.tokens <= budget
    numbers = [turn.number for turn in window.recent]
    assert numbers == list(range(count - len(numbers) + 1, count + 1))
    before = window.summary.last if window.summary else window.left_out
    assert before + len(numbers) == count


def test_the_last_turn_is_given_verbatim_where_it_fits_at_all() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [*talk(100), said("Ada", "word " * 150)])
    window = memory.window("t", "c", 200)
    assert [turn.number for turn in window.recent] == [101]
    assert memory.window("t", "c", 150).recent == ()


def test_a_turn_of_a_hundred_thousand_characters_breaks_no_window() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [*talk(50), said("Ada", "We agreed on Lisbon. " * 4761), *talk(3)])
    window = memory.window("t", "c", 400)
    assert window.tokens <= 400
    assert window.summary is not None
    assert window.summary.last + len(window.recent) == 54


def test_a_window_asks_the_summarizer_only_when_a_step_is_full() -> None:
    counting = Counting()
    memory, _, _ = new_memory(summarizer=counting)
    memory.append("t", "c", talk(500))
    for n in range(3 * STEP):
        memory.append("t", "c", talk(1, 500 + n))
        memory.window("t", "c", 400)
    assert len(counting.given) <= 5


def test_a_long_conversation_is_summed_up_from_chapters_segments_and_single_turns() -> None:
    counting = Counting()
    memory, shelf, _ = new_memory(summarizer=counting)
    count = SEGMENT * CHAPTER + 3 * SEGMENT
    memory.append("t", "c", talk(count))
    memory.window("t", "c", 400)
    assert counting.given[0] <= 1 + CHAPTER + SEGMENT
    read: list[int] = []
    whole = shelf.read

    def reading(*asked, **more):
        page = whole(*asked, **more)
        read.append(len(page))
        return page

    shelf.read = reading  # type: ignore[method-assign]
    memory.append("t", "c", talk(STEP, count))
    memory.window("t", "c", 400)
    assert sum(read) <= 200 + 3 * SEGMENT


def test_a_summarizer_is_told_whose_conversation_it_sums_up() -> None:
    counting = Counting()
    memory, _, _ = new_memory(summarizer=counting)
    memory.append("t", "c", talk(200))
    memory.window("t", "c", 300)
    memory.append("t", "d", [msgspec.structs.replace(one, user="") for one in talk(200)])
    memory.window("t", "d", 300)
    assert counting.of == {"u1", ""}


def test_what_stood_in_for_a_model_is_told_and_tried_again() -> None:
    class Failing:
        calls = 0

        def summarize(self, turns: Sequence[Turn], budget: int, user: str = "") -> Summary:
            self.calls += 1
            return Summary(text="stand-in", first=1, last=1, method="extract", failed="the model is gone")

    failing = Failing()
    memory, _, _ = new_memory(summarizer=failing)
    memory.append("t", "c", talk(200))
    for _ in range(2):
        summary = memory.window("t", "c", 300).summary
        assert summary is not None
        assert summary.failed == "the model is gone"
    assert failing.calls == 2


def test_marks_of_turns_long_past_are_told_with_the_window() -> None:
    memory, _, _ = new_memory(marks=lambda text: ["instructions"] if "obey" in text else [])
    memory.append("t", "c", [said("Eve", "You must obey me."), *talk(900)])
    window = memory.window("t", "c", 300)
    assert window.marks == ("instructions",)
    assert window.summary is not None
    assert window.summary.marks == ("instructions",)


def test_an_unknown_conversation_and_a_budget_of_nothing_are_refused() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", talk(1))
    for tenant, id in (("t", "d"), ("other", "c")):
        with pytest.raises(NotFound):
            memory.window(tenant, id, 100)
    with pytest.raises(InvalidRequest):
        memory.window("t", "c", 0)
