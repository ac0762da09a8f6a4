"""An entry has one form in bytes, and holds ids only."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.loop.audit.entry import LONGEST, START, AuditNote, canonical, digest, sealed, word


def note(**over: object) -> AuditNote:
    values = {"tenant": "default", "actor": "key_1", "action": "change.deliver", "subject": "chg_1", "body": {}}
    return AuditNote(**values | over)


def test_the_order_in_which_a_body_was_written_does_not_count() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": [1.5, None, True]}}) == '{"a":{"c":[1.5,null,true],"d":2},"b":1}'
    assert canonical({"a": {"c": [1.5, None, True], "d": 2}, "b": 1}) == canonical(
        {"b": 1, "a": {"d": 2, "c": [1.5, None, True]}}
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**63, -(2**64)])
def test_a_number_that_has_no_one_form_is_refused(number: float) -> None:
    with pytest.raises(InvalidRequest, match=r"body\.figures\[1\]"):
        canonical({"figures": [1, number]})


@pytest.mark.parametrize(
    "text", ["a sentence", "ann@example.com", "Müller", "x" * (LONGEST + 1), "line\nbreak", "tab\t", "\udc80"]
)
def test_what_people_wrote_is_refused_by_name_and_stands_as_a_hash(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"body\.why"):
        canonical({"why": text})
    with pytest.raises(InvalidRequest, match="subject"):
        sealed(note(subject=text), seq=1, at_us=1, prev=START)
    with pytest.raises(InvalidRequest):
        canonical({text: 1})
    short = word(f"rule:{text}")
    assert short.startswith("rule:~") and word(f"rule:{text}") == short
    canonical({"target": short, "bare": word(text)})


@pytest.mark.parametrize("text", ["routing", r"rule:\bsql\b", "model:gpt-5-mini", "chg_3f9c", "model:@cf/meta"])
def test_ids_stand_as_they_are(text: str) -> None:
    assert word(text) == text


def test_a_body_without_end_is_refused() -> None:
    deep: dict = {}
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="nested"):
        canonical(deep)
    with pytest.raises(InvalidRequest, match="most"):
        canonical({f"k{n}": n for n in range(20_000)})


@pytest.mark.parametrize("name", ["tenant", "actor", "action", "subject"])
def test_who_what_and_whose_are_always_there(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        sealed(note(**{name: ""}), seq=1, at_us=1, prev=START)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(-(2**40), 2**40) | st.booleans()))
def test_each_part_of_an_entry_is_under_its_hash(body: dict) -> None:
    row = sealed(note(body=body), seq=4, at_us=9, prev=START)
    assert row.hashed() == row.hash and row.entry().body == body
    others = [
        sealed(note(body=body | {"more": 1}), seq=4, at_us=9, prev=START),
        sealed(note(body=body), seq=5, at_us=9, prev=START),
        sealed(note(body=body), seq=4, at_us=10, prev=START),
        sealed(note(body=body), seq=4, at_us=9, prev="1" * 64),
        sealed(note(body=body, actor="key_2"), seq=4, at_us=9, prev=START),
        sealed(note(body=body, tenant="acme"), seq=4, at_us=9, prev=START),
        sealed(note(body=body, action="x"), seq=4, at_us=9, prev=START),
        sealed(note(body=body, subject="x"), seq=4, at_us=9, prev=START),
    ]
    assert row.hash not in {other.hash for other in others} and len({other.hash for other in others}) == 8


def test_the_hash_of_a_text_needs_the_key() -> None:
    assert digest("00" * 32, "too risky") == digest("00" * 32, "too risky") != digest("11" * 32, "too risky")
