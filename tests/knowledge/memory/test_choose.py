"""What is chosen has the most of the turns and sessions that may answer, together; and what the index sees in a turn speaks for it."""

from __future__ import annotations

import math
import random
from itertools import combinations

import pytest

from meliora.knowledge.memory.choose import COVERED, Chosen, choose
from meliora.knowledge.memory.scope import Scope
from meliora.knowledge.memory.terms import name_terms, names_in, terms
from meliora.knowledge.memory.wanted import Wanted
from tests.knowledge.memory.helpers import DAY_US, new_memory, said, texts


def scope_of(sessions: list[list[str]]) -> Scope:
    memory, shelf, _ = new_memory()
    for day, lines in enumerate(sessions):
        memory.append("t", "c", [said("Ada", text, at_us=day * DAY_US, session=str(day)) for text in lines])
    scope = Scope()
    scope.add(shelf.follow("t", "u1", 0, 1000))
    return scope


def chosen(scope: Scope, query: str, limit: int, covered: float = COVERED) -> Chosen:
    return choose(scope, Wanted(query=query, user="u1", limit=limit), 0, covered=covered)


def test_a_session_that_may_answer_is_given_beside_one_with_more_to_say() -> None:
    scope = scope_of([["zebra feed"] * 12, ["zebra feed"] * 3])
    alone = chosen(scope, "zebra feed", 10, covered=0.0)
    both = chosen(scope, "zebra feed", 10)
    assert {hit.session for hit in alone.turns} == {"0"}
    assert {hit.session for hit in both.turns} == {"0", "1"}
    assert len(both.turns) == 10


@pytest.mark.parametrize("seed", range(8))
def test_no_other_turns_have_more_of_what_may_answer(seed: int) -> None:
    rng = random.Random(seed)
    words = ["zebra", "lion", "feed", "keeper", "grass", "gate"]
    scope = scope_of([[" ".join(rng.choices(words, k=rng.randint(1, 5))) for _ in range(3)] for _ in range(3)])
    every = {hit.place: hit for hit in chosen(scope, "zebra feed keeper", scope.size).turns}
    share = {place: math.exp(hit.score) for place, hit in every.items()}

    def worth(places: tuple) -> float:
        met = {every[place].session for place in places}
        whole = sum(share[place] for place, hit in every.items() if hit.session in met)
        return sum(share[place] for place in places) + COVERED * whole

    for limit in (1, 2, 4):
        taken = tuple(hit.place for hit in chosen(scope, "zebra feed keeper", limit).turns)
        assert worth(taken) == pytest.approx(max(map(worth, combinations(every, limit))))


def test_turns_come_best_first_and_none_twice() -> None:
    scope = scope_of([["zebra feed", "zebra", "feed the lion"], ["zebra feed keeper"], ["keeper", "the lion"]])
    turns = chosen(scope, "zebra feed keeper", 5).turns
    scores = [hit.score for hit in turns]
    assert scores == sorted(scores, reverse=True)
    assert len({hit.place for hit in turns}) == len(turns) == 5


def test_irregular_forms_are_one_word() -> None:
    memory, _, _ = new_memory()
    lines = ["I bought a bicycle.", "My children swam.", "The gate was grey."]
    memory.append("t", "c", [said("Ada", text, at_us=at * DAY_US) for at, text in enumerate(lines)])
    assert texts(memory.recall("t", "What did Ada buy?", user="u1", limit=1)) == lines[:1]
    assert texts(memory.recall("t", "Can her child swim?", user="u1", limit=1)) == lines[1:2]


def test_irregular_forms_of_english_leave_other_words_and_languages_alone() -> None:
    assert terms("a red rose")[-1] == "rose"
    german = "Das Fell der Katze ist weich und nicht rau, und die Katze ist auf dem Dach."
    assert "fell" in terms(german)
    assert "fall" not in terms(german)
    assert name_terms("Drew") <= set(terms("What did Drew say?"))


def test_a_question_for_a_name_prefers_a_turn_that_names() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", "The concert was with an old friend of ours.", at_us=0)])
    memory.append("t", "c", [said("Ada", "The concert was with an old friend, Marguerite.", at_us=DAY_US)])
    found = {hit.turn.number: hit.why for hit in memory.recall("t", "Who was at the concert?", user="u1").turns}
    assert "names" in found[2]
    assert "names" not in found[1]
    assert not any("names" in hit.why for hit in memory.recall("t", "How was the concert?", user="u1").turns)


def test_a_speaker_is_no_name_that_a_turn_tells() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ben", "Hello there"), said("Ada", "I like the concert, Ben, on Friday.")])
    assert not any("names" in hit.why for hit in memory.recall("t", "Who likes the concert?", user="u1").turns)


def test_names_are_capitals_within_a_sentence_or_quoted() -> None:
    assert names_in("Then we met Marguerite, Otto and me. Later it rained on Monday in May.") == ("Marguerite", "Otto")
    assert names_in('She read "the sea" twice.') == ('"the sea"',)
    assert names_in("WE MET NOBODY THERE") == names_in("") == names_in("彼は東京へ行った") == ()


def test_an_answer_counts_by_the_question_before_it_and_no_other_turn_does() -> None:
    memory, _, _ = new_memory()
    lines = ["Which restaurant did you book?", "Da Luigi.", "The restaurant is fine.", "Good."]
    memory.append("t", "c", [said("Ada" if at % 2 else "Ben", text) for at, text in enumerate(lines)])
    why = {hit.turn.text: hit.why for hit in memory.recall("t", "restaurant booking", user="u1").turns}
    assert why["Da Luigi."]["answers"] > 0
    assert "answers" not in why["Good."]
    assert why[lines[0]]["opens"] > 0
