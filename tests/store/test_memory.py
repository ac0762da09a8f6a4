"""Conversations keep their order, whoever writes at once, and of an erased person nothing stays but that they were erased."""

from __future__ import annotations

import threading

import pytest

from meliora.errors import Conflict, NotFound
from meliora.knowledge.memory.records import Said, Standing
from meliora.knowledge.memory.summary import Summary
from meliora.telemetry.retention import DAY_US
from tests.store.test_housekeeping import everything


def say(text: str = "hello", **more) -> Said:
    return Said(speaker=more.pop("speaker", "Ann"), text=text, user=more.pop("user", "ann"), **more)


@pytest.fixture
def memory(store):
    return store.memory


def test_turns_come_back_as_they_were_said(memory) -> None:
    said = say("Grüße \0", message="m1", at_us=5, session="s", metadata={"tags": ("x",), "n": 1}, marks=("secrets",))
    assert memory.append("t", "c", [said], 9).numbers == (1,)
    [turn] = memory.read("t", "c")
    assert (turn.conversation, turn.number, turn.speaker, turn.text) == ("c", 1, "Ann", "Grüße \ufffd")
    assert (turn.at_us, turn.user, turn.session, turn.message, turn.seq) == (5, "ann", "s", "m1", 1)
    assert (turn.metadata, turn.marks) == ({"tags": ("x",), "n": 1}, ("secrets",))


def test_a_message_is_kept_once_whatever_its_text(memory) -> None:
    first = memory.append("t", "c", [say(message="m1"), say("no id"), say("again", message="m1")], 1)
    assert (first.numbers, first.added) == ((1, 2, 1), 2)
    second = memory.append("t", "c", [say("other", message="m1"), say("no id")], 1)
    assert (second.numbers, second.added) == ((1, 3), 1)
    assert memory.append("t", "d", [say(message="m1")], 1).added == 1
    assert [one.text for one in memory.read("t", "c")] == ["hello", "no id", "no id"]
    assert memory.append("t", "c", [], 1).numbers == ()


def test_a_clock_that_was_put_back_reorders_nothing(memory) -> None:
    memory.append("t", "c", [say(at_us=100), say(), say(at_us=50), say()], 60)
    memory.append("t", "c", [say()], 40)
    assert [one.at_us for one in memory.read("t", "c")] == [100, 100, 50, 60, 60]
    found = memory.conversation("t", "c")
    assert (found.turns, found.first_us, found.last_us, found.user) == (5, 100, 60, "ann")


def test_a_conversation_belongs_to_one_user(memory) -> None:
    memory.append("t", "c", [say(), say(user="", speaker="bot")], 1)
    assert [one.user for one in memory.read("t", "c")] == ["ann", "ann"]
    for turns in ([say(user="bob")], [say(), say(user="bob")]):
        with pytest.raises(Conflict, match="another user"):
            memory.append("t", "c", turns, 1)
    memory.append("t", "nobody's", [say(user="")], 1)
    with pytest.raises(Conflict):
        memory.append("t", "nobody's", [say()], 1)
    assert len(memory.read("t", "c")) == 2
    assert [one.id for one in memory.conversations("t", "")] == ["nobody's"]
    assert [one.id for one in memory.conversations("t", "ann")] == ["c"]


def test_turns_are_read_by_range_and_by_place(memory) -> None:
    memory.append("t", "c", [say(str(at)) for at in range(1, 8)], 1)
    memory.append("t", "d", [say("d")], 1)
    assert [one.number for one in memory.read("t", "c", first=3, last=5)] == [3, 4, 5]
    assert [one.number for one in memory.read("t", "c", first=6, limit=1)] == [6]
    assert memory.read("t", "unknown") == memory.read("other", "c") == ()
    found = memory.fetch("t", [("d", 1), ("c", 9), ("c", 2), ("d", 1)])
    assert [one and one.text for one in found] == ["d", None, "2", "d"]
    assert memory.count("t") == 8
    assert memory.count("other") == 0
    with pytest.raises(NotFound):
        memory.conversation("other", "c")


def test_a_user_is_followed_over_all_conversations(memory) -> None:
    memory.append("t", "c", [say(), say()], 1)
    memory.append("t", "x", [say(user="bob")], 1)
    memory.append("t", "d", [say()], 1)
    assert [(one.conversation, one.seq) for one in memory.follow("t", "ann", 1, 10)] == [("c", 2), ("d", 3)]
    assert memory.standing("t", "ann") == Standing(3, 0)
    assert memory.standing("t", "bob") == Standing(1, 0)
    assert memory.standing("t", "nobody") == Standing(0, 0)


def test_writers_at_once_lose_nothing_and_number_without_gaps(memory) -> None:
    def write(conversation: str) -> None:
        for at in range(12):
            memory.append("t", conversation, [say(message=f"{threading.get_ident()}-{at}")], 1)

    writers = [threading.Thread(target=write, args=(conversation,)) for conversation in ("c", "c", "d")]
    for one in writers:
        one.start()
    for one in writers:
        one.join(30)
    assert [one.number for one in memory.read("t", "c")] == list(range(1, 25))
    assert sorted(one.seq for one in memory.follow("t", "ann", 0, 100)) == list(range(1, 37))


def test_an_erased_user_is_forgotten_and_what_was_derived_is_void(memory) -> None:
    memory.append("t", "c", [say(), say()], 1)
    memory.append("t", "x", [say(user="bob")], 1)
    memory.keep_summary("t", "c", Summary(text="ann said", first=1, last=2, method="extract"))
    found = memory.erase("t", "ann")
    assert (found.conversations, found.turns) == (1, 2)
    assert memory.standing("t", "ann") == Standing(2, 1)
    assert memory.summaries("t", "c") == memory.read("t", "c") == ()
    memory.append("t", "c", [say()], 1)
    assert [(one.number, one.seq) for one in memory.read("t", "c")] == [(1, 3)]
    assert memory.count("t") == 2


def test_erasing_a_person_takes_their_documents_and_conversations_along(store, memory, engine) -> None:
    from tests.store.test_knowledge_documents import document

    for collection in ("c", "d"):
        store.knowledge_documents.put("t", collection, [document("a", user="zoe"), document("b")])
    memory.append("t", "zoe-talk", [say("I am zoe", user="zoe")], 1)
    store.knowledge_documents.put("other", "c", [document("a", user="zoe")])
    found = store.housekeeping.erase("t", "zoe")
    assert (found.documents, found.conversations, found.turns) == (2, 1, 1)
    assert found.counts()["documents"] == 2
    assert store.knowledge_documents.get("other", "c", "a").document.user == "zoe"
    store.housekeeping.erase("other", "zoe")
    assert "zoe" not in everything(engine)
    changes = store.knowledge_documents.changes("t", "c", 2, 10)
    assert [(one.seq, one.id, one.kept) for one in changes] == [(3, "a", None)]
    assert memory.standing("t", "zoe") == Standing(1, 1)


def test_conversations_in_which_nothing_more_is_said_go_with_what_was_derived_of_them(store, memory, clock) -> None:
    memory.append("t", "old", [say()], 1)
    memory.append("t", "still", [say()], 1)
    clock.now += 10 * DAY_US
    memory.append("t", "still", [say()], 1)
    assert store.housekeeping.drop_conversations(clock.now - 5 * DAY_US, 100) == 1
    assert [one.id for one in memory.conversations("t", "ann")] == ["still"]
    assert memory.standing("t", "ann") == Standing(3, 1)
    assert store.housekeeping.drop_conversations(clock.now - 5 * DAY_US, 100) == 0


def test_a_summary_is_kept_once_for_its_turns_and_method(memory) -> None:
    memory.append("t", "c", [say()], 1)
    for text in ("one", "two"):
        memory.keep_summary("t", "c", Summary(text=text, first=1, last=1, method="extract", marks=("markup",)))
    [found] = memory.summaries("t", "c")
    assert (found.text, found.marks, found.failed) == ("two", ("markup",), "")
    assert memory.summaries("other", "c") == ()
    with pytest.raises(NotFound):
        memory.keep_summary("t", "unknown", found)
