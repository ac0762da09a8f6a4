"""When the gain of a change of searches counts as shown."""

from __future__ import annotations

import pytest

from meliora.changes.comparing import ALPHA, compared


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


def test_too_few_queries_tell_nothing() -> None:
    assert compared([0.5] * 5, [0.9] * 5, 7).p_gain is None
