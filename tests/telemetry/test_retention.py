"""Retention goes by the days that are set, a batch at a time."""

from __future__ import annotations

from meliora.telemetry.retention import BATCH, DAY_US, Pruner


class Rows:
    """Counts what it is asked to delete."""

    def __init__(self, contents: int, calls: int, searches: int = 0) -> None:
        self.contents = contents
        self.searches = searches
        self.calls = calls
        self.asked: list[tuple[str, int]] = []

    def drop_contents(self, before_us: int, limit: int) -> int:
        self.asked.append(("contents", before_us))
        gone = min(limit, self.contents)
        self.contents -= gone
        return gone

    def drop_calls(self, before_us: int, limit: int) -> int:
        self.asked.append(("calls", before_us))
        gone = min(limit, self.calls)
        self.calls -= gone
        return gone

    def drop_search_contents(self, before_us: int, limit: int) -> int:
        self.asked.append(("search contents", before_us))
        return 0

    def drop_searches(self, before_us: int, limit: int) -> int:
        self.asked.append(("searches", before_us))
        gone = min(limit, self.searches)
        self.searches -= gone
        return gone

    def drop_conversations(self, before_us: int, limit: int) -> int:
        self.asked.append(("conversations", before_us))
        return 0

    def forget_deletions(self, before_us: int, limit: int) -> int:
        self.asked.append(("deletions", before_us))
        return 0

    def forget_segments(self, before_us: int) -> int:
        self.asked.append(("segments", before_us))
        return 0


def test_content_is_never_kept_longer_than_its_call() -> None:
    rows = Rows(0, 0)
    Pruner(rows, lambda: 100 * DAY_US, content_days=50, call_days=10).step()
    assert rows.asked[:2] == [("contents", 90 * DAY_US), ("calls", 90 * DAY_US)]


def test_others_get_their_turn_between_batches_and_a_run_is_bounded() -> None:
    rows = Rows(3 * BATCH, BATCH // 2)
    pauses: list[int] = []
    pruner = Pruner(rows, lambda: 100 * DAY_US, content_days=1, call_days=10)
    assert pruner.run(most=2, pause=lambda: pauses.append(1)).more
    assert len(pauses) == 2
    rest = pruner.run(pause=lambda: pauses.append(1))
    assert (rest.contents, rest.more, rows.contents, rows.calls) == (BATCH, False, 0, 0)


def test_searches_go_with_calls_and_conversations_only_where_their_days_are_set() -> None:
    rows = Rows(0, 0, BATCH + 1)
    pruner = Pruner(rows, lambda: 100 * DAY_US, content_days=5, call_days=10)
    assert pruner.run(pause=lambda: None).searches == BATCH + 1
    assert ("searches", 90 * DAY_US) in rows.asked
    assert ("search contents", 95 * DAY_US) in rows.asked
    assert ("deletions", 10 * DAY_US) in rows.asked
    assert "conversations" not in dict(rows.asked)
    Pruner(rows, lambda: 100 * DAY_US, content_days=5, call_days=10, conversation_days=2).step()
    assert ("conversations", 98 * DAY_US) in rows.asked
