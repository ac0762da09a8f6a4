"""What a user said can be taken along and taken away: after an erasure nothing of it is found, here or in another process."""

from __future__ import annotations

import threading

import pytest

from meliora.errors import MelioraError, NotFound
from meliora.knowledge.memory.recall import Recall
from tests.knowledge.memory.helpers import new_memory, said, texts


def test_an_erasure_leaves_nothing_findable_and_touches_nobody_else() -> None:
    gone: list[tuple[str, str]] = []

    def eraser(tenant: str, user: str) -> int:
        gone.append((tenant, user))
        return 3

    memory, shelf, _ = new_memory(erasers={"embeddings": eraser})
    for user in ("u1", "u2"):
        memory.append("t", f"of {user}", [said("Ada", f"zebra {n} of {user}", user=user) for n in range(100)])
    memory.append("other", "of u1", [said("Ada", "zebra")])
    memory.recall("t", "zebra", user="u1")
    memory.window("t", "of u1", 300)
    counts = memory.erase("t", "u1")
    assert counts["conversations"] == 1
    assert counts["turns"] == 100
    assert counts["indexed"] == 100
    assert counts["summaries"] > 0
    assert counts["embeddings"] == 3
    assert gone == [("t", "u1")]
    assert memory.recall("t", "zebra", user="u1").turns == ()
    assert list(memory.export("t", "u1")) == []
    with pytest.raises(NotFound):
        memory.window("t", "of u1", 300)
    with pytest.raises(NotFound):
        memory.recall("t", "zebra", conversation="of u1")
    assert shelf.count("t") == 100
    assert len(memory.recall("t", "zebra", user="u2").turns) == 10
    assert len(memory.recall("other", "zebra", user="u1").turns) == 1


def test_another_process_forgets_too_and_a_conversation_of_the_same_name_starts_anew() -> None:
    memory, shelf, clock = new_memory()
    other = type(memory)(shelf, clock, recall=Recall(shelf))
    memory.append("t", "c", [said("Ada", f"secret zebra {n}", message=f"m{n}") for n in range(100)])
    assert "secret" in str(other.window("t", "c", 200).summary)
    other.recall("t", "secret", user="u1")
    memory.erase("t", "u1")
    assert other.recall("t", "secret", user="u1").turns == ()
    memory.append("t", "c", [said("Ada", f"open lion {n}", message=f"m{n}") for n in range(100)])
    assert other.recall("t", "secret", user="u1").turns == ()
    assert texts(other.recall("t", "lion 7", user="u1"))[0] == "open lion 7"
    assert "secret" not in str(other.window("t", "c", 200))


def test_an_erasure_while_others_recall_gives_nothing_afterwards() -> None:
    memory, _, _ = new_memory()
    memory.append("t", "c", [said("Ada", f"zebra {n}") for n in range(500)])
    failed: list[Exception] = []

    def recall() -> None:
        try:
            for _ in range(50):
                memory.recall("t", "zebra", user="u1")
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=recall) for _ in range(3)]
    for thread in threads:
        thread.start()
    memory.erase("t", "u1")
    assert memory.recall("t", "zebra", user="u1").turns == ()
    for thread in threads:
        thread.join()
    assert failed == []


def test_an_eraser_that_fails_stops_no_other_and_is_named() -> None:
    asked: list[str] = []

    def broken(tenant: str, user: str) -> int:
        raise OSError("disk gone")

    def working(tenant: str, user: str) -> int:
        asked.append(user)
        return 1

    memory, shelf, _ = new_memory(erasers={"vectors": broken, "profile": working})
    memory.append("t", "c", [said("Ada", "zebra")])
    with pytest.raises(MelioraError, match="vectors"):
        memory.erase("t", "u1")
    assert asked == ["u1"]
    assert shelf.count("t") == 0


def test_erasing_an_unknown_user_deletes_nothing() -> None:
    memory, _, _ = new_memory()
    assert memory.erase("t", "u9")["turns"] == 0


def test_an_export_has_every_turn_in_its_order() -> None:
    memory, _, _ = new_memory()
    for start in range(0, 2500, 500):
        memory.append("t", "c", [said("Ada", f"n{start + n}") for n in range(500)])
    memory.append("t", "b", [said("Ada", "first by name", metadata={"channel": "mail"})])
    memory.append("t", "x", [said("Eve", "not mine", user="u2")])
    rows = list(memory.export("t", "u1"))
    assert [row["text"] for row in rows] == ["first by name", *(f"n{n}" for n in range(2500))]
    assert rows[0]["metadata"] == {"channel": "mail"}
