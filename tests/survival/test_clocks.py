"""The wall clock jumps, back and forth, by seconds and by years: calls are served, timed, priced and recorded once."""

from __future__ import annotations

import random
import time
from pathlib import Path

from meliora.settings.models import Recording
from meliora.testing import FakeProvider, FaultPlan, FaultRule, faults
from meliora.testing.gateway import RunningGateway, key
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import chat, post, settings

NOW = 1_795_219_200_000_000
YEAR = 365 * 86_400 * 1_000_000


class Jumping:
    """A wall clock that is somewhere else at every look, and a monotonic one that is right."""

    def __init__(self, chance: random.Random, jumps: tuple[int, ...]) -> None:
        self._chance = chance
        self._jumps = jumps

    def now_us(self) -> int:
        return NOW + self._chance.choice(self._jumps)

    def monotonic(self) -> float:
        return time.monotonic()


SECONDS = (0, 1, -1_000_000, 2_500_000, -60_000_000, 3_600_000_000, -3_600_000_000)
YEARS = (0, YEAR, -YEAR, 30 * YEAR, -50 * YEAR, -NOW, -NOW - 1_000_000)


def test_calls_are_served_and_timed_while_the_clock_jumps(tmp_path: Path, chance: random.Random) -> None:
    """Durations come from the clock that does not jump; ids stay unique; nothing waits or divides by a jump."""
    for jumps in (SECONDS, YEARS):
        with (
            FakeProvider(FaultPlan(rules=[FaultRule(faults.Status(500), share=0.1)])) as provider,
            RunningGateway(
                settings(tmp_path / str(len(jumps)) / str(jumps[1]), provider), clock=Jumping(chance, jumps)
            ) as gateway,
        ):
            answers = [post(gateway, "/v1/chat/completions", chat(stream=n % 2 == 0)) for n in range(60)]
            records = gateway.finished(60)
        assert {answer.status for answer in answers} <= {200, 500, 503}
        good = [answer for answer in answers if answer.status == 200]
        assert len(good) > 20
        ids = [answer.headers["x-meliora-call"] for answer in answers]
        assert sorted(ids) == sorted(record.id for record in records) and len(set(ids)) == 60
        for record in records:
            assert 0 <= record.ended_us - record.started_us < 20_000_000
            assert record.ttft_us is None or 0 <= record.ttft_us < 20_000_000
            assert all(0 <= one.ended_us - one.started_us < 20_000_000 for one in record.attempts)


def test_rates_count_by_the_clock_that_does_not_jump(tmp_path: Path, chance: random.Random) -> None:
    """A jump neither gives a minute's allowance again nor locks anybody out."""
    keys = [key(requests_per_minute=5)]
    clock = Jumping(chance, SECONDS)
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider), keys=keys, clock=clock) as gateway:
        statuses = [post(gateway, "/v1/chat/completions", chat()).status for _ in range(12)]
    assert statuses.count(200) == 5 and statuses.count(429) == 7


def test_a_budget_survives_days_that_come_and_go(tmp_path: Path, chance: random.Random) -> None:
    """Periods follow the date wherever it jumps: what is used up stays so, what is allowed stays allowed."""
    keys = [
        key(budget_day_micros=1_000_000, budget_month_micros=1_000_000),
        key("spent", "mel_spent-key-of-a-test", budget_day_micros=0),
    ]
    with (
        FakeProvider() as provider,
        RunningGateway(settings(tmp_path, provider), keys=keys, clock=Jumping(chance, YEARS)) as gateway,
    ):
        allowed = [post(gateway, "/v1/chat/completions", chat()).status for _ in range(10)]
        spent = [
            post(gateway, "/v1/chat/completions", chat(), secret="mel_spent-key-of-a-test").status for _ in range(10)
        ]
    assert set(allowed) == {200} and set(spent) == {429}


def test_everything_is_recorded_once_while_the_clock_of_all_processes_jumps(
    tmp_path: Path, chance: random.Random
) -> None:
    """Ingest, sums and roll-ups take calls of any time; what is young by its own date is not thrown away."""
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, recording=Recording(ingest_interval=0.01, retention_days=100_000))
        with RunningMeliora(made, clock=Jumping(chance, SECONDS)) as meliora:
            answers = []
            for number in range(30):
                answers.append(post(meliora.gateway, "/v1/chat/completions", chat(stream=number % 2 == 0)))
                if number % 10 == 9:
                    meliora.settle()
            meliora.settle()
            ids = {answer.headers["x-meliora-call"] for answer in answers if answer.status == 200}
            assert len(ids) == 30
            with meliora.store.engine.connect() as connection:
                rows = connection.exec_driver_sql("SELECT id, state, outcome FROM calls").all()
                counted = connection.exec_driver_sql("SELECT SUM(calls) FROM usage_daily").scalar()
            assert sorted(row[0] for row in rows) == sorted(ids)
            assert {tuple(row[1:]) for row in rows} == {("finished", "ok")}
            assert counted == 30
