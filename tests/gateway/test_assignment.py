"""Who is in which arm: evenly, independently of other trials, for ever the same, and never back while the share grows."""

import math
import subprocess
import sys
from itertools import pairwise

import pytest

from meliora.gateway.assignment import Split

USERS = [f"user-{number}" for number in range(20_000)]


def overlaid(salt: str, share: float) -> list[bool]:
    split = Split(salt, "user", share)
    return [split.of(user, None, "key_1")[0] for user in USERS]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (("ann", None, "key_1"), (True, "ua5b7365005803094")),
        (("ann", "chat-7", "key_1"), (True, "ua5b7365005803094")),
        ((None, None, "key_1"), (False, "k82b6907581e201ce")),
    ],
)
def test_a_unit_has_its_place_for_ever(asked, given) -> None:
    """Literal values: another hash would move people from one arm to the other in the middle of a trial."""
    assert Split("salt", "user", 0.2).of(*asked) == given


def test_another_process_comes_to_the_same() -> None:
    code = "from meliora.gateway.assignment import Split; print(Split('salt', 'user', 0.2).of('ann', None, 'key_1'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "(True, 'ua5b7365005803094')"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.9])
def test_a_share_is_had_by_that_share_of_units(share: float) -> None:
    had = sum(overlaid("even", share))
    assert abs(had - share * len(USERS)) < 4 * math.sqrt(len(USERS) * share * (1 - share))


def test_buckets_are_uniform() -> None:
    """Chi-squared over twenty steps of the share; 43.8 is its 0.999 quantile at nineteen degrees of freedom."""
    steps = 20
    below = [sum(overlaid("even", (at + 1) / steps)) for at in range(steps)]
    cells = [now - before for now, before in zip(below, [0, *below[:-1]], strict=True)]
    expected = len(USERS) / steps
    assert sum((cell - expected) ** 2 / expected for cell in cells) < 43.8


def test_trials_with_different_salts_split_independently() -> None:
    first, second = overlaid("one", 0.5), overlaid("two", 0.5)
    both = sum(a and b for a, b in zip(first, second, strict=True))
    assert abs(both - sum(first) * sum(second) / len(USERS)) < 4 * math.sqrt(len(USERS) * 0.25 * 0.75)


def test_who_has_the_overlay_keeps_it_while_the_share_grows() -> None:
    stages = [overlaid("ramp", share) for share in (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)]
    for before, after in pairwise(stages):
        assert all(now for was, now in zip(before, after, strict=True) if was)
    assert not any(stages[0])
    assert all(stages[-1])


@pytest.mark.parametrize(
    ("unit", "asked", "kind"),
    [
        ("user", ("ann", "s", "k"), "u"),
        ("user", (None, "s", "k"), "s"),
        ("user", ("", "", "k"), "k"),
        ("session", ("ann", "s", "k"), "s"),
        ("session", ("ann", None, "k"), "k"),
        ("key", ("ann", "s", "k"), "k"),
    ],
)
def test_a_call_without_its_trials_unit_falls_back_to_session_then_key(unit, asked, kind) -> None:
    assert Split("salt", unit, 0.5).of(*asked)[1][0] == kind


def test_a_user_and_a_session_of_one_name_are_two_units() -> None:
    split = Split("salt", "user", 0.5)
    assert split.of("x", None, "k")[1][1:] != split.of(None, "x", "k")[1][1:]


@pytest.mark.parametrize(("share", "had"), [(-1.0, False), (math.nan, False), (2.0, True), (math.inf, True)])
def test_a_share_that_is_none_is_nobody_or_everybody(share: float, had: bool) -> None:
    assert Split("salt", "user", share).of("ann", None, "k")[0] is had


def test_a_name_that_is_no_unicode_has_its_place_too() -> None:
    assert Split("salt", "user", 1.0).of("\udcff", None, "k")[0]
