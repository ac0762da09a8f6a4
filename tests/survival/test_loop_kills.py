"""A worker of the loop is killed at random instructions, its clock jumps, its disk is full: every lifecycle stays lawful.

The long run, on both databases, is `python -m benchmarks.loop --only kills`.
"""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.loop.killing import Killer, Place


def test_lifecycles_stay_lawful_however_their_worker_dies(tmp_path: Path, chance: random.Random) -> None:
    fell = Killer(Place(f"sqlite:///{tmp_path}/meliora.db", tmp_path), chance, looks=10).run(20)
    assert fell.faults == []
    assert fell.kills == 20
    assert fell.by_itself and fell.by_itself < fell.kills, "both ways of being killed"
    assert sum(fell.ended.values()) >= 5, "there were hardly any lifecycles"
