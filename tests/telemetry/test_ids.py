"""Ids are unique, ordered by time, and only this deployment's pass as issued."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from meliora.telemetry.ids import CallIds, made_us


def ids(secret: bytes = b"s" * 32, now: int = 1_795_219_200_000_000) -> CallIds:
    return CallIds(secret, lambda: now, random.Random(1).randbytes)


def test_an_id_is_issued_by_its_own_deployment_only() -> None:
    made = ids().new()
    assert ids().issued(made)
    assert not ids(secret=b"t" * 32).issued(made)
    assert len(made) == 35


def test_ids_of_later_milliseconds_sort_later() -> None:
    times = [0, 1, 31, 32, 1_795_219_200_000, 1_795_219_200_001, 2**48 - 1]
    made = [ids(now=time * 1000).new() for time in times]
    assert made == sorted(made)
    assert [made_us(one) for one in made] == [time * 1000 for time in times]


def test_ids_of_one_moment_differ_also_when_the_clock_jumps_back() -> None:
    clock = iter([5_000_000, 5_000_000, 1_000, 5_000_000] * 500)
    source = CallIds(b"s" * 32, lambda: next(clock), random.Random(1).randbytes)
    assert len({source.new() for _ in range(2000)}) == 2000


@given(st.integers(0, 34), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyzA_ é"))
def test_an_id_with_any_character_changed_is_not_issued(place: int, character: str) -> None:
    made = ids().new()
    changed = made[:place] + character + made[place + 1 :]
    assert ids().issued(changed) == (changed == made)


@given(st.text(max_size=60))
def test_no_text_makes_the_check_fail(text: str) -> None:
    assert not ids().issued(text)
    assert not ids().issued("call_" + text)
    made_us(text)
