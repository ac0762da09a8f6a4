"""When the gain of a change of searches counts as shown."""

from __future__ import annotations

import random

import pytest

from meliora.changes.comparing import ALPHA, compared, hopeful


def p_gain(gains: list[float]) -> float:
    found = compared([0.5] * len(gains), [0.5 + one for one in gains], 7).p_gain
    assert found is not None
    return found


def test_a_loss_that_none_of_few_queries_happened_to_show_is_allowed_for() -> None:
    assert p_gain([0.05] * 15) > ALPHA
    assert p_gain([0.05] * 15) == pytest.approx(p_gain([0.06] * 7 + [0.04] * 8), abs=0.02)
    assert p_gain([0.05] * 200) < ALPHA


def test_where_losses_were_seen_none_is_made_up() -> None:
    gains = [0.3, -0.3, 0.2, 0.2, -0.1, 0.1] * 5
    unseen = [0.3, -0.24, 0.2, 0.2, -0.16, 0.1] * 5
    assert sum(gains) == pytest.approx(sum(unseen))
    assert p_gain(gains) < p_gain(unseen)


def test_gains_that_rare_losses_nearly_pay_for_are_not_shown() -> None:
    """Sign flips alone would take this for a gain (p .003): the losses are few, but of the size that pays for all others."""
    assert p_gain([0.05] * 58 + [-0.45] * 2) > ALPHA


def hopes(gains: list[float]) -> bool:
    before = {f"q{at}": 0.5 for at in range(len(gains))}
    return hopeful(before, {f"q{at}": 0.5 + gain for at, gain in enumerate(gains)}, 7)


def test_a_mean_that_is_higher_by_chance_is_no_hope_and_a_gain_is() -> None:
    """Of candidates that gain nothing half have a higher mean; no more than one of twenty is worth a proof."""
    rng = random.Random(3)
    chance = [[rng.gauss(0, 0.2) for _ in range(60)] for _ in range(200)]
    assert sum(sum(one) > 0 for one in chance) > 80
    assert sum(map(hopes, chance)) <= 20
    gaining = [[rng.gauss(0.08, 0.2) for _ in range(60)] for _ in range(50)]
    assert sum(map(hopes, gaining)) >= 40
    assert not hopes([0.1] * 5)


def test_too_few_queries_tell_nothing() -> None:
    assert compared([0.5] * 5, [0.9] * 5, 7).p_gain is None
