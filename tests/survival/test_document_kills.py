"""Documents are put, indexed, deleted and re-indexed while everything dies: never half an index, nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from pathlib import Path

import pytest

from meliora.testing import FakeProvider
from tests.survival.documents import People, Shelf, check, documents
from tests.survival.house import House

ROUNDS = int(os.environ.get("MELIORA_TEST_SOAK") or 6)
"""Kills. The long run has as many as it is told."""


def _kill_in_turn(house: House, people: People, chance: random.Random, writers: list[threading.Thread]) -> None:
    """Kill what is asked for, and start it again at once; then the next."""
    victims: list[tuple[str, ...]] = [("worker",), (), ("control",), (), ("gateway", "worker"), ()]
    for number in range(ROUNDS):
        time.sleep(chance.uniform(0.2, 1.2))
        names = victims[number % len(victims)]
        for name in names:
            house.kill(name)
        for name in names:
            house.spawn(name)
        if not names and people.indexing:
            chance.choice(people.indexing).kill()
    for writer in writers:
        writer.join(200 + 10 * ROUNDS)
        assert not writer.is_alive(), f"a writer does not come to its end\n{house.logs()}"


@pytest.mark.timeout(300 + 20 * ROUNDS)
def test_however_processes_die_documents_are_kept_once_and_found(
    tmp_path: Path, provider: FakeProvider, chance: random.Random
) -> None:
    """Two clients put and delete, two commands index at once, one builds the index again and again, and one searches."""
    with House(tmp_path, provider).prepare() as house:
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready(90)
        shelf, old = Shelf(house), documents(150, "old")
        house.wait(lambda: shelf.put(old)[0] == 200, 60, "documents are not taken")
        house.wait(shelf.up_to_date, 60, "the first documents are not indexed")
        people = People(shelf, old)
        files = [documents(60 * ROUNDS, name) for name in ("here", "there")]
        for name, some in zip(("here", "there"), files, strict=True):
            (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)))
        posted = [documents(50 * ROUNDS, name) for name in ("one", "other")]
        writers = [threading.Thread(target=people.putting, args=(some, at)) for at, some in enumerate(posted)]
        writers += [
            threading.Thread(target=people.command, args=("knowledge", "index", str(tmp_path / f"{name}.jsonl")))
            for name in ("here", "there")
        ]
        beside = [threading.Thread(target=people.searching, args=(3,))]
        beside += [threading.Thread(target=lambda: people.command("knowledge", "rebuild"))]
        for one in (*writers, *beside):
            one.start()
        try:
            _kill_in_turn(house, people, chance, writers)
            beside[1].join(60)
        finally:
            people.stop.set()
            for process in list(people.indexing):
                process.kill()
            for one in (*writers, *beside):
                one.join(30)
        assert not people.wrong, "\n".join(people.wrong[:20])
        assert people.answered > ROUNDS, "nobody was answered"
        house.wait(shelf.up_to_date, 60, "the index does not catch up")
        kept = {one["id"] for some in (old, *posted, *files) for one in some} - people.deleted
        assert {one["id"] for some in posted for one in some} == people.acknowledged
        check(shelf, kept)
        assert shelf.standing()["generation"] != "1", "it was never built again"
