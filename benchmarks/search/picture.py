"""Draws one life of the loop over searches: people come with new words, and what they are answered falls and is repaired.

`python -m benchmarks.search.picture --data DIR --seed SEED FILE.svg`
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from benchmarks.plots import Point, lines
from benchmarks.search.loop import A_DAY, CLEAN_DAYS, DAY, MOST_DAYS, PEOPLE, Planted, ground, plant, score
from benchmarks.search.made import synthetic
from benchmarks.search.sets import Judged, folders, load
from benchmarks.search.shifts import Query
from benchmarks.search.town import Town, opened
from benchmarks.search.users import Asking
from meliora.loop.states import State

COMES: Mapping[Planted, str] = {"jargon": "new words come", "typos": "people mistype", "index": "the index is damaged"}
TOLD: Mapping[State, str] = {
    State.PROVED: "cause found, repair proved",
    State.TRYING: "trial begins",
    State.WATCHING: "delivered",
    State.KEPT: "kept",
}


@dataclass
class Line:
    """What was seen, hour by hour."""

    points: list[Point] = field(default_factory=list)
    marks: dict[str, Point] = field(default_factory=dict)
    came: dict[str, dict[State, Point]] = field(default_factory=dict)
    """By change: when it was first seen in each state."""


def lived(judged: Judged, planted: Planted, seed: int) -> Line:
    """Live one life until its repair is kept or its days are over, and give the true NDCG@10 of all queries, as they are asked then."""
    rng, line = random.Random(seed), Line()
    queries = [Query(one, judged.queries[one], judged.grades[one]) for one in sorted(judged.queries)]
    with ground(judged) as first, TemporaryDirectory(prefix="meliora-picture-") as name:
        folder = Path(name) / "state"
        shutil.copytree(first.folder, folder)
        with opened(folder, queries, rng, a_day=A_DAY, people=PEOPLE) as town:
            began = town.clock.now_us()
            probe = [(one, one.text) for one in queries]
            asking = Asking()
            town.live(asking, CLEAN_DAYS * DAY, lambda: _look(town, line, probe, began))
            asking, _ = plant(town, planted, queries, rng, seed)
            probe = [(one, asking(one, random.Random(seed + at))) for at, one in enumerate(queries)]
            _look(town, line, probe, began)
            line.marks[COMES[planted]] = line.points[-1]
            town.live(asking, (MOST_DAYS + 4) * DAY, lambda: _look(town, line, probe, began))
    kept = next((states for states in line.came.values() if State.KEPT in states), {})
    line.marks |= {TOLD[state]: point for state, point in kept.items()}
    return line


def _look(town: Town, line: Line, probe: Sequence[tuple[Query, str]], began: int) -> bool:
    """Note how well people are answered now, and where the change stands; say whether it is kept."""
    line.points.append(((town.clock.now_us() - began) / 3.6e9, score(town, list(probe)) / len(probe)))
    changes = [one for one in town.changes() if one.state in TOLD]
    for one in changes:
        line.came.setdefault(one.id, {}).setdefault(one.state, line.points[-1])
    return any(one.state is State.KEPT for one in changes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, help="folder of collections; the largest is taken. Without it a made one")
    parser.add_argument("--planted", choices=sorted(COMES), default="jargon")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args(arguments)
    sets = [load(one) for one in folders(told.data)] or [synthetic(told.seed)]
    judged = max(sets, key=lambda one: len(one.queries))
    line = lived(judged, told.planted, told.seed)
    drawn = lines(
        f"One life of the loop over searches ({judged.name}, {A_DAY:,} searches a day)",
        "hours",
        "NDCG@10 of what people ask",
        {"what is served": line.points},
        line.marks,
        logarithmic=False,
    )
    told.file.write_text(drawn, encoding="utf-8")
    for name, (hour, value) in line.marks.items():
        print(f"{hour:7.1f} h  {value:.3f}  {name}")


if __name__ == "__main__":
    main()
