"""How soon every process obeys the kill switch, and how soon every gateway serves what was promoted: real processes, one PostgreSQL.

Four machines, each with a gateway and its control process, three of them with a worker. The time runs from before the act to when
the last of the seven has acknowledged it in the store, or has the promoted rule in the state that it serves by.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.exc import OperationalError

from benchmarks.gateway.processes import free_port
from benchmarks.loop.postgres import schema
from benchmarks.report import ControlFailed, Figure, Report
from meliora.settings.load import load
from meliora.store.routing.rules import RuleWish
from meliora.store.store import Store
from meliora.supervisor.prepare import prepare

GATEWAYS = 4
WORKERS = 3
TENANT = "default"
TOML = """
[providers.p0]
base_url = "http://127.0.0.1:9/v1"
models = ["m"]
"""
PATIENCE = 60.0
"""Seconds until a process that does not come is taken for dead."""


def measure(report: Report, *, quick: bool, seed: int, postgres: str) -> None:
    """Measure both figures. Raises `ControlFailed` where a process does not come, or never answers."""
    turns = 10 if quick else 100
    try:
        with (
            schema(postgres) as url,
            TemporaryDirectory(prefix="meliora-") as directory,
            _site(Path(directory), url) as roots,
            Store.open(url, roots[0] / "var") as store,
        ):
            _wait(lambda: _alive(store) == (GATEWAYS, WORKERS), "not every process came")
            _kills(report, store, turns, random.Random(seed))
            _promotions(report, store, roots, turns, random.Random(seed))
    except OperationalError as error:
        for name in ("kill_switch_s_max", "propagation_s_max"):
            report.miss(name, f"no PostgreSQL at --postgres: {str(error.orig).splitlines()[0]}")


def _kills(report: Report, store: Store, turns: int, rng: random.Random) -> None:
    taken: list[float] = []
    by_kind: dict[str, float] = {}
    for turn in range(turns):
        time.sleep(0.2 + rng.random() * 0.5)
        act = store.control.resume if turn % 2 else store.control.kill
        began = time.monotonic()
        act("cli", "a drill")
        _wait(lambda: store.control.acks().complete, "a process did not acknowledge")
        taken.append(time.monotonic() - began)
        for one in store.control.acks().processes:
            by_kind[one.kind] = max(by_kind.get(one.kind, 0.0), one.seconds or 0.0)
    if store.control.halted():
        store.control.resume("cli", "the drill is over")
    note = f"{GATEWAYS} gateways and {WORKERS} workers, {turns} turns; beside: by kind as the store has it"
    _add(report, "kill_switch_s_max", taken, 1.0, by_kind, note)


def _promotions(report: Report, store: Store, roots: list[Path], turns: int, rng: random.Random) -> None:
    taken: list[float] = []
    for turn in range(turns):
        time.sleep(0.2 + rng.random() * 0.5)
        began = time.monotonic()
        rule = store.rules.upsert(TENANT, RuleWish(pattern=f"promoted {turn}", preferred_layer="fast"))
        said = rule.id.encode()
        _wait(lambda said=said: all(said in _state(root) for root in roots), "a gateway did not take a rule")
        taken.append(time.monotonic() - began)
    _add(
        report, "propagation_s_max", taken, 2.0, {}, f"a rule, in the state of {GATEWAYS} gateways; {turns} promotions"
    )


def _add(report: Report, name: str, taken: list[float], within: float, beside: dict[str, float], note: str) -> None:
    ordered = sorted(taken)
    more = {
        "median": ordered[len(ordered) // 2],
        "p95": ordered[int(len(ordered) * 0.95)],
        f"within {within:g} s": float(sum(one <= within for one in taken)),
    }
    report.add(Figure(name, ordered[-1], "s", n=len(taken), beside=more | beside, note=note))


def _state(root: Path) -> bytes:
    try:
        return (root / "var" / "state.json").read_bytes()
    except FileNotFoundError:
        return b""


def _alive(store: Store) -> tuple[int, int]:
    kinds = [one.kind for one in store.control.acks().processes if one.alive]
    return kinds.count("gateway"), kinds.count("worker")


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise ControlFailed(what)
        time.sleep(0.01)


@contextmanager
def _site(directory: Path, url: str) -> Iterator[list[Path]]:
    """Start all processes; each ends with the `with`."""
    with ExitStack() as stack:
        roots = []
        for number in range(GATEWAYS):
            root = directory / str(number)
            root.mkdir()
            (root / "meliora.toml").write_text(TOML)
            bare = {name: value for name, value in os.environ.items() if not name.startswith("MELIORA_")}
            variables = {
                **bare,
                "MELIORA_SERVER__PORT": str(free_port()),
                "MELIORA_SERVER__STATE_DIR": str(root / "var"),
                "MELIORA_STORE__URL": url,
            }
            prepare(load(str(root / "meliora.toml"), variables))
            for words in (["serve", "control"], ["serve", "gateway"], *([["work"]] if number < WORKERS else [])):
                stack.enter_context(_process(root, words, variables))
            roots.append(root)
        yield roots


@contextmanager
def _process(root: Path, words: list[str], variables: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "meliora.cli", *words, "--config", str(root / "meliora.toml")]
    with (root / f"{words[-1]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=variables, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
