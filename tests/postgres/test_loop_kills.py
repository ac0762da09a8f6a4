"""Three workers of the loop over one PostgreSQL are killed, frozen and thawed late: every lifecycle stays lawful."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.loop.killing import Killer, Place
from tests.postgres.conftest import Schema


def test_lifecycles_stay_lawful_however_their_workers_die(tmp_path: Path, schema: Schema) -> None:
    chance = random.Random(5)
    fell = Killer(Place(schema.url, tmp_path), chance, slots=3, freezes=True, looks=10).run(20)
    assert fell.faults == []
    assert fell.kills >= 20 and fell.frozen
    assert sum(fell.ended.values()) >= 5, "there were hardly any lifecycles"
