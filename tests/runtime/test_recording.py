"""What searches were written to goes once it is old, whether anybody searches again or not."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from meliora.knowledge.service import Searched, Who
from meliora.runtime.acknowledging import obeying
from meliora.runtime.knowledge.plane import plane_of
from meliora.runtime.knowledge.recording import SearchRecorder
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.store.store import Store
from meliora.telemetry.spool import OLDEST_SECONDS, SpoolReader, SpoolWriter
from meliora.testing import FrozenClock


def a_search() -> Searched:
    who = Who(tenant="default", key="k", user="ann")
    return Searched(
        id="srch_1", who=who, collection="c", feature=None, at_us=1, ended_us=2, query="my salary", answer=None
    )


def test_a_segment_of_searches_is_closed_when_it_is_old_though_nobody_searches_again(
    clock: FrozenClock, tmp_path: Path
) -> None:
    spool = SpoolWriter(tmp_path, clock=clock.monotonic)
    recorder = SearchRecorder(Settings(), "00" * 32, "control", spool)
    recorder(a_search())
    (segment,) = SpoolReader(tmp_path).segments()
    clock.advance(OLDEST_SECONDS - 1)
    recorder.rest()
    assert SpoolReader(tmp_path).live(segment)
    clock.advance(1)
    recorder.rest()
    assert not SpoolReader(tmp_path).live(segment), "what is taken in of it is deleted with it"


def test_a_control_process_closes_what_is_old_by_itself(store: Store, clock: FrozenClock, tmp_path: Path) -> None:
    settings, rested = Settings(server=Server(state_dir=tmp_path)), threading.Event()
    plane = replace(plane_of(settings, store, clock), rest=rested.set)
    with obeying(settings, store, clock, "one", plane, signals=False):
        assert rested.wait(60)
