"""Whole lifecycles under kill -9 at random instructions, with frozen workers, clock jumps, full disks and a lost database.

A kill is survived when nothing that must hold was broken after it (`lawful`). The control takes the fence away and must break.
"""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.exc import OperationalError

from benchmarks.loop.killing import Fell, Killer, Place
from benchmarks.loop.postgres import schema
from benchmarks.report import ControlFailed, Figure, Report
from meliora.stats.proportion import wilson

SHOWN = 25
"""Places of the histogram that are printed."""


def measure(report: Report, *, quick: bool, seed: int, postgres: str) -> None:
    """Measure both figures. Raises `ControlFailed` where nothing breaks without the fence."""
    kills, without = (20, 30) if quick else (1000, 300)
    with TemporaryDirectory(prefix="meliora-") as directory:
        _sqlite(report, Path(directory), kills, without, seed)
    name = "kills_survived_share_postgres"
    try:
        with schema(postgres) as url, schema(postgres) as other, TemporaryDirectory(prefix="meliora-") as directory:
            _postgres(report, Path(directory), (url, other), kills, without, seed)
    except OperationalError as error:
        report.miss(name, f"no PostgreSQL at --postgres: {str(error.orig).splitlines()[0]}")


def _sqlite(report: Report, directory: Path, kills: int, without: int, seed: int) -> None:
    fell = _run(Place(_file(directory / "kept"), directory / "kept"), seed, kills)
    place = Place(_file(directory / "loose"), directory / "loose", keys=False)
    broken = _run(place, seed + 1, without)
    _report(report, "kills_survived_share_sqlite", fell, broken, "one worker; control: a plane without keys and fence")


def _postgres(report: Report, directory: Path, urls: tuple[str, str], kills: int, without: int, seed: int) -> None:
    fell = _run(Place(urls[0], directory / "kept"), seed, kills, slots=3)
    broken = _run(Place(urls[1], directory / "loose", fence=False, keys=False), seed + 1, without, slots=3)
    _report(
        report,
        "kills_survived_share_postgres",
        fell,
        broken,
        "three workers; control: attempts are not compared, the plane has no keys",
    )


def _file(folder: Path) -> str:
    return f"sqlite:///{folder}/meliora.db"


def _run(place: Place, seed: int, kills: int, slots: int = 1) -> Fell:
    place.state_dir.mkdir(parents=True)
    loose = not (place.fence and place.keys)
    looks = 10 if loose else 40
    killer = Killer(place, random.Random(seed), slots=slots, freezes=slots > 1, looks=looks, until_broken=loose)
    return killer.run(kills)


def _report(report: Report, name: str, fell: Fell, broken: Fell, note: str) -> None:
    report.echo(f"\nwhere the kills of {name} fell ({len(fell.places)} places):")
    for place, count in fell.places.most_common(SHOWN):
        report.echo(f"  {count:>4} {place}")
    for fault in fell.faults:
        report.echo(f"  not lawful: {fault}")
    survived = max(0, fell.kills - len(fell.faults))
    low, high = wilson(survived, fell.kills)
    beside = {
        "by itself": float(fell.by_itself),
        "frozen": float(fell.frozen),
        "clock jumps": float(fell.jumps),
        "full disks": float(fell.full),
        "database lost": float(fell.lost),
        "effects outside": float(fell.effects),
        "faults without the fence": float(len(broken.faults)),
        **{f"{state}": float(count) for state, count in sorted(fell.ended.items())},
    }
    report.add(Figure(name, survived / fell.kills, "share", low, high, fell.kills, beside, note))
    if not broken.faults:
        raise ControlFailed(f"{broken.kills} kills without the fence broke nothing, so {name} says nothing")
