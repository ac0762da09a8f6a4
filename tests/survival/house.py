"""A state directory and its processes, each of them real, started and killed by itself or under `meliora up`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from meliora.errors import SettingsError
from meliora.settings.load import load
from meliora.settings.models import Settings
from meliora.store.engine import connect, database_url
from meliora.supervisor.detach import ask
from meliora.supervisor.layout import CHILDREN, Layout, free_port, read_pids
from meliora.supervisor.prepare import prepare
from meliora.telemetry.spool import SpoolReader

TOML = """
[gateway.retry]
attempts = 1
[recording]
ingest_interval = 0.05
segment_bytes = 65536
[providers.p0]
base_url = "{url}"
models = ["m"]
"""


def quiet_port() -> int:
    """Give a free port that the system gives to nobody by itself, so that it is still free when a process gets to it.

    A port that the system chose may be the end of anybody's connection a moment later, and each time its server is down.
    """
    chance = random.SystemRandom()
    while True:
        try:
            return free_port("127.0.0.1", chance.randrange(12_000, 30_000))
        except SettingsError:
            continue


class Place(Protocol):
    """Where a provider is."""

    @property
    def base_url_openai(self) -> str:
        """The address with the version."""
        ...


@dataclass
class House:
    """Processes over one state directory; everything that is started ends with the `with`."""

    root: Path
    provider: Place
    toml: str = ""
    """More settings."""
    bare: str | None = None
    """All settings, in place of the usual ones."""
    environ: dict[str, str] = field(default_factory=dict)
    store_url: str = ""
    port: int = field(default_factory=quiet_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.write(self.toml)
        self.layout = Layout(self.root / "var")

    def __enter__(self) -> House:
        return self

    def __exit__(self, *raised: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)
        running = read_pids(self.layout)
        for name in ("supervisor", *CHILDREN):
            pid = running.alive(name)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)

    # -- settings ----------------------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "meliora.toml"

    def write(self, more: str) -> None:
        """Write the settings."""
        usual = TOML.format(url=self.provider.base_url_openai) if self.bare is None else self.bare
        self.config.write_text(usual + more, encoding="utf-8")

    @property
    def variables(self) -> dict[str, str]:
        """The environment of every process."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("MELIORA_")}
        own = {"MELIORA_SERVER__PORT": str(self.port), "MELIORA_SERVER__STATE_DIR": str(self.layout.root)}
        if self.store_url:
            own["MELIORA_STORE__URL"] = self.store_url
        return {**bare, **own, **self.environ}

    @property
    def settings(self) -> Settings:
        """The settings as the processes read them."""
        return load(str(self.config), self.variables)

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spool(self) -> Path:
        """Where gateways write."""
        return self.layout.root / "spool"

    # -- processes ---------------------------------------------------------------------------------------------------

    def prepare(self) -> House:
        """Make database and key as a first `up` does."""
        prepare(self.settings)
        return self

    def meliora(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "meliora.cli", "--config", str(self.config), *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.variables, capture_output=True, text=True, check=False, timeout=90
        )

    def spawn(self, name: str, *, tag: str = "", preexec: Callable[[], None] | None = None, **more: str) -> int:
        """Start `gateway`, `control` or `worker` and give its pid; `tag` tells two of a kind apart."""
        self.layout.make()
        words = {"gateway": ["serve", "gateway"], "control": ["serve", "control"], "worker": ["work"]}[name]
        command = [sys.executable, "-m", "meliora.cli", *words, "--config", str(self.config)]
        with (self.layout.logs / f"{name}{tag}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**self.variables, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=preexec,
            )
        self.processes[name + tag] = process
        return process.pid

    def kill(self, *names: str) -> None:
        """End processes as a lost machine would."""
        for name in names:
            self.processes[name].kill()
        for name in names:
            self.processes.pop(name).wait(10)

    def end(self, name: str, seconds: float = 40.0) -> int:
        """End a process as it should be, and give its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(seconds)

    def alive(self, name: str) -> bool:
        """Whether a process runs."""
        return self.processes[name].poll() is None

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Wait until the gateway serves."""
        self.wait(lambda: ask(self.url, "/ready")[0] == 200, seconds, "the gateway is not ready")

    def wait(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait for a condition; raises `AssertionError` with the ends of the logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{self.logs()}"
            time.sleep(0.03)

    def logs(self) -> str:
        """Give the end of each log."""
        texts = (
            f"--- {p.name}\n{p.read_text(errors='replace')[-3000:]}" for p in sorted(self.layout.logs.glob("*.log"))
        )
        return "\n".join(texts)

    def health(self) -> dict[str, Any]:
        """Give `/health`, empty where it cannot be had."""
        return ask(self.url, "/health", timeout=20.0)[1] or {}

    @property
    def secret(self) -> str:
        """The first admin key."""
        return self.layout.admin_key.read_text().strip()

    # -- what is in the store ----------------------------------------------------------------------------------------

    @contextmanager
    def store(self) -> Iterator[sa.Connection]:
        """Read the database."""
        engine = connect(database_url(self.store_url, self.layout.root))
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def caught_up(self) -> bool:
        """Whether the worker has taken all that is in the spool."""
        reader = SpoolReader(self.spool)
        with self.store() as connection:
            rows = connection.exec_driver_sql('SELECT segment, "offset" FROM spool_segments').all()
        taken = {row[0]: row[1] for row in rows}
        return all(taken.get(name, 0) >= reader.size(name) for name in reader.segments())

    def wait_taken(self, seconds: float = 20.0) -> None:
        """Wait until the worker has taken and removed every segment; their writers are dead."""
        self.wait(lambda: not list(self.spool.glob("*.spool")), seconds, "segments stay in the spool")

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until the worker has caught up."""
        self.wait(self.caught_up, seconds, "the worker does not catch up")
