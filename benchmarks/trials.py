"""What a trial costs a call, how fast the kill switch is, how long an analysis takes. Run: `python -m benchmarks.trials`.

The kill switch is turned in the database, past the control processes, and counts as taken when the last of the gateways has
acknowledged it there. With `--url postgresql+psycopg://...` each gateway has a control process of its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import timeit
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from meliora.gateway.assignment import Split
from meliora.gateway.state import Overlay, TrialState
from meliora.loop.metrics import METRICS
from meliora.settings.models import Server, Settings, Store
from meliora.store.bulk import insert_rows, rows_of_calls
from meliora.store.engine import connect, database_url, writing
from meliora.store.gateways import GatewaySeen
from meliora.store.migrate import upgrade
from meliora.store.store import Store as Kept
from meliora.telemetry.records import CallFinished
from meliora.testing.gateway import RunningGateway
from meliora.testing.stack import RunningMeliora

METRIC_SETS = {
    "calls": ("error_rate", "cost_per_call", "latency_mean"),
    "calls and feedback": ("error_rate", "cost_per_call", "latency_mean", "reward", "satisfaction"),
    "p95": ("latency_p95",),
}


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="database; empty: SQLite")
    parser.add_argument("--calls", type=int, default=1_000_000, help="calls of the trial that is analysed")
    parser.add_argument("--gateways", type=int, default=4)
    parser.add_argument("--turns", type=int, default=20, help="turns of the kill switch")
    asked = parser.parse_args()
    split = Split("salt", "user", 0.2)
    runs = timeit.repeat(lambda: split.of("user-12345", "chat-1", "key_1"), number=2000, repeat=200)
    print(f"assignment: {min(runs) / 2000 * 1e6:.2f} us a call")
    with TemporaryDirectory(prefix="meliora-") as directory:
        kill(Path(directory), asked.url, asked.gateways, asked.turns)
    with TemporaryDirectory(prefix="meliora-") as directory:
        analysis(Path(directory), asked.url, asked.calls)


def kill(directory: Path, url: str, gateways: int, turns: int) -> None:
    """Turn the kill switch and wait for the last acknowledgement."""
    with ExitStack() as stack:
        first = stack.enter_context(RunningMeliora(_settings(directory / "0", url)))
        for number in range(1, gateways):
            if url:
                stack.enter_context(RunningMeliora(_settings(directory / str(number), url)))
            else:
                # On one machine: they share its control process, each by a state directory that leads there.
                other = directory / str(number)
                other.mkdir()
                (other / "control.sock").symlink_to(directory / "0" / "control.sock")
                stack.enter_context(RunningGateway(_settings(other, url), keys=(), secret=first.store.secret))
        store = first.store
        first.wait(lambda: len(_alive(store)) >= gateways, 20)
        taken = []
        for turn in range(turns):
            time.sleep(0.2 + random.random() * 0.6)
            began = time.perf_counter()
            epoch = (store.control.resume if turn % 2 else store.control.kill)("cli", "benchmark")
            while any(gateway.kill_epoch != epoch for gateway in _alive(store)):
                time.sleep(0.002)
            taken.append(time.perf_counter() - began)
        store.control.resume("cli", "benchmark")
    print(
        f"kill switch, {gateways} gateways: median {statistics.median(taken):.3f} s, greatest {max(taken):.3f} s of {turns} turns"
    )


def analysis(directory: Path, url: str, count: int) -> None:
    """Read a trial of so many calls."""
    engine = connect(database_url(url, directory))
    upgrade(engine)
    with Kept(engine) as store:
        draw, now = random.Random(1), store.trials._clock_us()
        trial = TrialState(f"chg_{now}", "bench", "trial", "s", 0, 0.5, Overlay())
        store.trials.begin("bench", trial)
        store.trials.ramp("bench", trial.change, 1, 0.5)
        for at in range(0, count, 20_000):
            made = [_call(draw, trial.change, now - 3_600_000_000 + at + one) for one in range(min(20_000, count - at))]
            with writing(engine) as connection:
                insert_rows(connection, *rows_of_calls(made, [], at + 1))
        store.trials.end("bench", trial.change)
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE calls")
        for name, metrics in METRIC_SETS.items():
            began = time.perf_counter()
            found = store.arms.read("bench", trial.change, "trial", [METRICS[one] for one in metrics], now)
            units = sum(one.units for one in found)
            print(f"analysis, {count} calls of {units} units, {name}: {time.perf_counter() - began:.2f} s")


def _settings(state_dir: Path, url: str) -> Settings:
    return Settings(server=Server(state_dir=state_dir), store=Store(url=url))


def _alive(store: Kept) -> list[GatewaySeen]:
    return [gateway for gateway in store.gateways.list(time.time_ns() // 1000) if gateway.alive]


def _call(draw: random.Random, change: str, started_us: int) -> CallFinished:
    unit = draw.randrange(50_000)
    return CallFinished(
        id=f"call_{change}_{started_us}",
        tenant="bench",
        key_id="key_1",
        gateway="g",
        started_us=started_us,
        ended_us=started_us + int(draw.lognormvariate(13, 1)),
        dialect="chat",
        model_asked="auto",
        outcome="error" if draw.random() < 0.02 else "ok",
        status=200,
        cost_micros=draw.randrange(2000),
        trial=change,
        trial_phase="trial",
        trial_stage=draw.randrange(3),
        arm="candidate" if unit % 2 else "baseline",
        trial_unit=f"u{unit:016x}",
    )


if __name__ == "__main__":
    main()
