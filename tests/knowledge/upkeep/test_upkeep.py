"""Staleness by category and use, relevance from use, plans that are data, an archive that can be undone, and figures of health."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Document, Kept
from meliora.knowledge.upkeep import archive
from meliora.knowledge.upkeep.health import health
from meliora.knowledge.upkeep.plan import Entry, Rules, plan
from meliora.knowledge.upkeep.redundancy import Pair, Redundancy
from meliora.knowledge.upkeep.relevance import Relevance, Shown, relevance
from meliora.knowledge.upkeep.staleness import DAY_US, stale

NOW = 2_000 * DAY_US


def aged(id: str, days: float, category: str = "", used_days: float | None = None) -> Kept:
    at = int(NOW - days * DAY_US)
    used = None if used_days is None else int(NOW - used_days * DAY_US)
    return Kept(
        document=Document(id=id, text=id, category=category),
        seq=1,
        hash=id,
        added_us=at,
        updated_us=at,
        accessed_us=used,
    )


@pytest.mark.parametrize(
    ("category", "days", "used", "confidence"),
    [
        ("configuration", 15, 15, 0.5 + 0.5 / 14),
        ("configuration", 28, 28, 1.0),
        ("configuration", 400, 400, 1.0),
        ("configuration", 400, 13, None),
        ("configuration", 14, 14, None),
        ("configuration", 27, None, None),
        ("configuration", 29, None, 0.9),
        ("history", 700, None, None),
        ("a word of my own", 91, 91, 0.5 + 0.5 / 90),
    ],
)
def test_a_document_is_stale_by_its_category_and_use(
    category: str, days: float, used: float | None, confidence: float | None
) -> None:
    found = stale(aged("a", days, category, used), NOW)
    assert (None if found is None else found.confidence) == (None if confidence is None else pytest.approx(confidence))


def test_what_was_written_anew_is_not_old_though_nobody_has_used_it() -> None:
    written = msgspec.structs.replace(aged("a", 400, "configuration"), updated_us=NOW - DAY_US)
    assert stale(written, NOW) is None
    later = stale(written, NOW + 28 * DAY_US)
    assert later is not None and (later.days, later.confidence) == (29, 0.9)


def test_a_document_of_unknown_age_is_not_called_stale() -> None:
    assert stale(Kept(document=Document(id="a", text="a"), seq=1, hash=""), NOW) is None


def test_relevance_of_what_nobody_saw_is_unknown() -> None:
    assert "b" not in relevance([Shown(document="a", used=True, at_us=NOW)], NOW)


def test_relevance_is_shrunk_and_counts_what_it_rests_on() -> None:
    shown = [Shown(document="a", used=True, at_us=NOW)]
    shown += [Shown(document="b", used=at < 2, at_us=NOW, seen=0.5) for at in range(40)]
    found = relevance(shown, NOW)
    assert 0 < found["b"].score < found["a"].score < 1
    assert found["b"].evidence == 40 and found["b"].weight == pytest.approx(21)


def test_old_showings_count_less() -> None:
    old = [Shown(document="a", used=True, at_us=NOW - 900 * DAY_US) for _ in range(9)]
    new = [Shown(document="a", used=False, at_us=NOW) for _ in range(9)]
    assert relevance([*old, *new], NOW)["a"].score < 0.05


def test_a_showing_with_an_impossible_weight_is_left_out() -> None:
    assert relevance([Shown(document="a", used=False, at_us=NOW, seen=float("nan"))], NOW) == {}


def doubles(*pairs: tuple[str, str]) -> Redundancy:
    made = tuple(Pair(kept=a, archived=b, containment=1, ratio=1) for a, b in pairs)
    return Redundancy(documents=9, pairs=made, queued=(), left_out=0, compared=1)


def test_a_plan_names_each_document_with_its_reason_and_leaves_protected_ones() -> None:
    kept = [
        aged("new", 1, "", 1),
        aged("copy", 1, "", 1),
        aged("old", 999, "configuration"),
        aged("then", 1900, "history"),
    ]
    found = plan("c", kept, NOW, redundancy=doubles(("new", "copy")))
    assert [(one.id, one.reason, one.kept_instead) for one in found.entries] == [
        ("copy", "redundant", "new"),
        ("old", "stale", None),
    ]
    assert found.protected == 1
    assert found.sha256 == plan("c", kept[::-1], NOW, redundancy=doubles(("new", "copy"))).sha256


def test_what_stays_in_place_of_another_is_not_archived_by_the_same_plan() -> None:
    found = plan("c", [aged("old", 999), aged("copy", 999)], NOW, redundancy=doubles(("old", "copy")))
    assert [one.id for one in found.entries] == ["copy"]


def test_what_was_taken_back_out_of_the_archive_is_left_alone_until_it_changes() -> None:
    kept = [aged("new", 1, "", 1), aged("copy", 1, "", 1), aged("old", 999), aged("third", 1, "", 1)]
    found = doubles(("new", "copy"), ("copy", "third"))
    back = {"copy": NOW, "old": NOW}
    assert [one.id for one in plan("c", kept, NOW, redundancy=found, returned=back).entries] == ["third"]
    assert "old" in {one.id for one in plan("c", kept, NOW, returned={"old": kept[2].updated_us - 1}).entries}


def test_what_is_useless_is_planned_only_with_evidence() -> None:
    kept = [aged("a", 1, "", 1), aged("b", 1, "", 1)]
    known = {"a": Relevance(score=0.001, evidence=200, weight=90), "b": Relevance(score=0.001, evidence=3, weight=2)}
    assert [(one.id, one.reason) for one in plan("c", kept, NOW, relevances=known).entries] == [("a", "useless")]


def test_confidence_below_the_least_plans_nothing() -> None:
    kept = [aged("a", 15, "configuration", 15)]
    assert plan("c", kept, NOW).entries == ()
    assert len(plan("c", kept, NOW, rules=Rules(least=0.5)).entries) == 1


class Shelf:
    """An archive in memory."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self.live = {one.document.id: one for one in kept}
        self.gone: dict[str, archive.Archived] = {}

    def archive(self, tenant: str, collection: str, plan: str, entries: Sequence[Entry], at_us: int) -> Sequence[str]:
        for one in entries:
            found = self.live.get(one.id)
            if found and found.hash == one.hash and (one.kept_instead is None or one.kept_instead in self.live):
                self.gone[one.id] = archive.Archived(kept=self.live.pop(one.id), entry=one, plan=plan, at_us=at_us)
        return [one.id for one in entries if one.id in self.gone and self.gone[one.id].plan == plan]

    def restore(self, tenant: str, collection: str, ids: Sequence[str]) -> Sequence[str]:
        for id in ids:
            self.live[id] = self.gone.pop(id).kept
        return ids

    def archived(self, tenant: str, collection: str, plan: str = "", limit: int = 1000) -> Sequence[archive.Archived]:
        return [one for _, one in sorted(self.gone.items()) if plan in ("", one.plan)][:limit]


def test_a_plan_is_carried_out_twice_to_the_same_and_taken_back_whole() -> None:
    kept = [aged("a", 999, "configuration"), aged("b", 999, "configuration"), aged("c", 1)]
    made = plan("c", kept, NOW)
    changed = msgspec.structs.replace(kept[1], hash="another")
    shelf = Shelf([kept[0], changed, kept[2]])
    first = archive.apply(shelf, "t", made, NOW)
    assert first == archive.apply(shelf, "t", made, NOW) == archive.Applied(archived=("a",), left=("b",))
    assert archive.undo(shelf, "t", made) == ("a",)
    assert archive.undo(shelf, "t", made) == ()
    assert sorted(shelf.live) == ["a", "b", "c"]


def test_an_archive_file_gives_the_documents_back() -> None:
    made = plan("c", [aged("a", 999, "configuration")], NOW)
    shelf = Shelf([aged("a", 999, "configuration")])
    archive.apply(shelf, "t", made, NOW)
    body = archive.export("c", shelf.archived("t", "c"), NOW)
    assert archive.documents(body) == ("c", (Document(id="a", text="a", category="configuration"),))
    assert archive.file_name(NOW) == "archive_19750624.json"


@pytest.mark.parametrize(
    "body", [b"", b"[", b"{}", b"[" * 100_000, b'{"version": 2, "collection": "c", "made_us": 1, "entries": []}']
)
def test_a_file_that_is_no_archive_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        archive.documents(body)


def test_health_takes_off_what_is_documented() -> None:
    found = health(total=30, stale=30, redundant=21, relevances=[0.2])
    assert (found.health_score, found.status, found.relevance) == (50, "degraded", 0.2)
    assert found.redundant_share is not None and found.redundant_share.low < 0.7 < found.redundant_share.high
    assert health(total=30, stale=10, redundant=20, relevances=[0.2, 0.9]).health_score == 100


def test_what_is_unknown_is_named_and_not_healthy() -> None:
    found = health(total=1, stale=0, redundant=None, relevances=[])
    assert (found.status, found.relevance, found.unknown) == ("unknown", None, ("redundant", "relevance"))
    assert health(total=0, stale=0, redundant=0, relevances=[]).status == "unknown"
