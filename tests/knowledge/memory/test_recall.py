"""Recall finds what was said by its words and those around it, by whom and when; of one user, in one tenant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.memory.recall import Recall
from meliora.knowledge.memory.signals import WEIGHTS
from meliora.testing import FrozenClock
from meliora.testing.turns import TurnsInMemory
from tests.knowledge.memory.helpers import DAY_US, HOUR_US, new_memory, said, texts


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def test_a_turn_is_found_by_its_words_in_any_of_their_forms() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "We painted the kitchen."), said("Ben", "The car broke down.")])
    assert texts(memory.recall("t", "painting kitchens", user="u1"))[0] == "We painted the kitchen."


def test_an_answer_is_found_by_the_question_before_it() -> None:
    memory, _, _ = new_memory()
    filler = [said("Ben", f"Nothing new, number {number}.", at_us=number * DAY_US) for number in range(20)]
    asked = [
        said("Ada", "Which restaurant did you book?", at_us=30 * DAY_US),
        said("Ben", "Da Luigi.", at_us=30 * DAY_US),
    ]
    memory.append("t", "c", [*filler, *asked])
    assert "Da Luigi." in texts(memory.recall("t", "restaurant booking", user="u1", limit=2))


def test_the_speaker_whom_a_query_names_comes_first() -> None:
    memory, _, _ = new_memory()
    for name, day in (("Ada Byron", 0), ("Ben", 1), ("Cid", 2)):
        memory.append("t", "c", [said(name, "I went hiking in the hills.", at_us=day * DAY_US)])
    for name in ("Ada", "Ben", "Cid"):
        found = memory.recall("t", f"What was {name}'s hiking like?", user="u1").turns[0]
        assert found.turn.speaker.startswith(name)
        assert found.why["speaker"] > 0


def test_a_date_in_the_query_prefers_turns_of_that_day_and_those_that_tell_of_it() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "The parade was loud.", at_us=at("2023-06-09T12:00"))])
    memory.append("t", "c", [said("Ada", "The parade was quiet.", at_us=at("2023-05-07T12:00"))])
    memory.append("t", "c", [said("Ada", "The parade two weeks ago was long.", at_us=at("2023-08-16T12:00"))])
    for query, text in (("7 May 2023", "quiet"), ("in June", "loud"), ("2023-06-09", "loud"), ("August 2023", "long")):
        assert text in texts(memory.recall("t", f"parade {query}", user="u1"))[0]


def test_a_query_of_last_week_is_read_by_the_clock() -> None:
    memory, _, clock = new_memory()
    now = clock.now_us()
    for days in (40, 20, 7, 0):
        memory.append("t", "c", [said("Ada", f"Standup notes of {days}.", at_us=now - days * DAY_US)])
    assert texts(memory.recall("t", "standup notes last week", user="u1"))[0] == "Standup notes of 7."


def test_a_word_that_nobody_said_stands_for_one_spelled_like_it() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "The restaurant was closed."), said("Ben", "My bicycle is new.")])
    found = memory.recall("t", "resturant", user="u1")
    assert texts(found)[0] == "The restaurant was closed."
    assert found.terms == ("restaur",)


def test_filters_hold_for_every_turn() -> None:
    memory, _, _ = new_memory()
    for number in range(10):
        memory.append("t", "c", [said("Ada" if number % 2 else "Ben", f"zebra {number}", at_us=number * HOUR_US)])
    memory.append("t", "d", [said("Ada", "zebra elsewhere", at_us=3 * HOUR_US)])
    by_ada = memory.recall("t", "zebra", user="u1", speaker="ada").turns
    assert {hit.turn.speaker for hit in by_ada} == {"Ada"}
    span = memory.recall("t", "zebra", user="u1", conversation="c", since_us=3 * HOUR_US, until_us=5 * HOUR_US)
    assert sorted(texts(span)) == ["zebra 3", "zebra 4"]
    assert texts(memory.recall("t", "zebra", user="u1", speaker="Eve")) == []
    assert texts(memory.recall("t", "zebra", user="u1", since_us=5, until_us=5)) == []


def test_what_others_said_before_it_counts_no_more_than_what_a_turn_says_itself() -> None:
    """Where the turns of one speaker alone are asked for, none of them may have the word, and the turns before them do."""
    memory, _, _ = new_memory()
    filler = [said("Ben", f"Nothing new, number {number}.", at_us=number * DAY_US) for number in range(20)]
    asked = [said("Ada", "Have you seen the zebra?", at_us=30 * DAY_US), said("Ben", "No.", at_us=30 * DAY_US)]
    memory.append("t", "c", [*filler, *asked])
    found = memory.recall("t", "zebra", user="u1", speaker="Ben").turns[0]
    assert found.turn.text == "No."
    assert found.why["answers"] == WEIGHTS["answers"] and found.why["before"] == WEIGHTS["before"]
    assert found.score < sum(weight for weight in WEIGHTS.values() if weight > 0) + 1


def test_an_empty_query_gives_the_newest_turns_that_pass() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada" if number % 2 else "Ben", f"n{number}") for number in range(9)])
    assert texts(memory.recall("t", " ", user="u1", speaker="Ada", limit=2)) == ["n7", "n5"]


@pytest.mark.parametrize("query", ["quantum", "?!…", "the of and", "🚲", "\x00", "a" * 10_000, "[" * 500, "(a+)+$"])
def test_a_query_that_nothing_answers_gives_nothing(query: str) -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ben", "zebra")])
    assert memory.recall("t", query, user="u1").turns == ()
    assert memory.recall("t", query, user="nobody").turns == ()


def test_what_cannot_be_asked_is_refused() -> None:
    memory, _, _ = new_memory()
    for asked in ({"limit": 0}, {"limit": 201}, {"query": "x" * 10_001}):
        with pytest.raises(InvalidRequest):
            memory.recall("t", **{"query": "zebra", "user": "u1", **asked})


def test_what_a_signal_added_is_told_and_sums_to_the_score() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "When is the zebra fed?"), said("Ben", "Yesterday, at noon, as ever.")])
    for hit in memory.recall("t", "When did Ben feed the zebra?", user="u1").turns:
        assert sum(hit.why.values()) == pytest.approx(hit.score, abs=1e-2)


def test_sessions_are_told_from_pauses_or_named_by_the_caller() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "zebra", at_us=0), said("Ben", "yes", at_us=HOUR_US)])
    memory.append("t", "c", [said("Ada", "other things", at_us=9 * HOUR_US)])
    memory.append("t", "c", [said("Ada", "more zebra", at_us=9 * HOUR_US, session="evening")])
    found = memory.recall("t", "zebra", user="u1")
    spans = {one.session: (one.first, one.last, one.turns) for one in found.sessions}
    assert spans["#1"] == (1, 2, 2)
    assert spans["evening"] == (4, 4, 1)


def test_conversations_that_take_turns_keep_their_own_neighbours() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "Which restaurant did you book?")])
    memory.append("t", "d", [said("Eve", "Utter silence.")])
    memory.append("t", "c", [said("Ben", "Da Luigi.")])
    found = texts(memory.recall("t", "restaurant", user="u1"))
    assert set(found) == {"Which restaurant did you book?", "Da Luigi."}


def test_neither_tenant_nor_user_sees_another_ones_turns() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c1", [said("Ada", "my zebra")])
    memory.append("t", "c2", [said("Eve", "her zebra", user="u2")])
    memory.append("t", "c3", [said("Bot", "nobody's zebra", user="")])
    memory.append("other", "c1", [said("Ada", "their zebra")])
    assert texts(memory.recall("t", "zebra", user="u1")) == ["my zebra"]
    assert texts(memory.recall("t", "zebra", user="u2")) == ["her zebra"]
    assert texts(memory.recall("t", "zebra")) == ["nobody's zebra"]
    assert texts(memory.recall("t", "zebra", conversation="c2")) == ["her zebra"]
    assert texts(memory.recall("other", "zebra", user="u1")) == ["their zebra"]
    for tenant, asked in (("other", {"conversation": "c2"}), ("t", {"conversation": "c2", "user": "u1"})):
        with pytest.raises(NotFound):
            memory.recall(tenant, "zebra", **asked)


def test_a_new_process_finds_what_the_old_one_did() -> None:
    memory, shelf, clock = new_memory()
    memory.append("t", "c", [said("Ada", f"zebra number {number} of the herd") for number in range(300)])
    before = memory.recall("t", "zebra 17", user="u1")
    after, _, _ = new_memory(recall=Recall(shelf))
    assert after.recall("t", "zebra 17", user="u1").turns == before.turns
    assert isinstance(clock, FrozenClock)


def test_indexes_past_the_limit_are_dropped_and_come_back() -> None:
    shelf = TurnsInMemory()
    recall = Recall(shelf, most_turns=10)
    memory, _, _ = new_memory(recall=recall)
    memory = type(memory)(shelf, FrozenClock(), recall=recall)
    for user in ("a", "b", "c"):
        memory.append("t", user, [said("Ada", f"zebra of {user}", user=user)] * 8)
        assert set(texts(memory.recall("t", "zebra", user=user))) == {f"zebra of {user}"}
    assert recall.forget("t", "a") == 0
    assert set(texts(memory.recall("t", "zebra", user="a"))) == {"zebra of a"}


def test_an_index_takes_up_only_what_is_new() -> None:
    memory, shelf, _ = new_memory()
    memory.append("t", "c", [said("Ada", "zebra")] * 50)
    memory.recall("t", "zebra", user="u1")
    read: list[int] = []
    follow = shelf.follow

    def counting(tenant: str, user: str, after: int, limit: int):
        page = follow(tenant, user, after, limit)
        read.append(len(page))
        return page

    shelf.follow = counting  # type: ignore[method-assign]
    memory.append("t", "c", [said("Ada", "lion")])
    assert texts(memory.recall("t", "lion", user="u1", limit=1)) == ["lion"]
    assert read == [1]
