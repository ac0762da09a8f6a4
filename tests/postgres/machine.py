"""One machine of several: a state directory with its processes, as in `tests.survival`, and the questions a person asks it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.gateway.state import State
from meliora.store.store import Store
from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.survival.house import House

MODELS = """
[models.m]
tier = "balanced"
[models.m.price]
input = 10
output = 1000
[[models.k.endpoints]]
provider = "p0"
"""


@dataclass
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: Any


class Machine(House):
    """A house that can be asked."""

    def prepare(self) -> Machine:
        """Make database and key as a first `up` does."""
        super().prepare()
        return self

    def up(self) -> Machine:
        """Start everything as a person does."""
        done = self.meliora("up", "--detach")
        assert done.returncode == 0, done.stderr
        return self

    def ask(self, method: str, path: str, body: Any = None, secret: str | None = None, **headers: str) -> Said:
        """Ask the one port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"authorization": f"Bearer {secret or self.secret}", "content-type": "application/json", **headers}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return Said(answer.status, {n.lower(): v for n, v in answer.getheaders()}, json.loads(text) if text else None)

    def call(self, secret: str | None = None, *, text: str = "Write 3 words", model: str = "m", **more: str) -> Said:
        """Make a model call."""
        body = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": text}]}
        return self.ask("POST", "/v1/chat/completions", body, secret, **more)

    def get(self, path: str) -> Any:
        """Ask for something that is there."""
        said = self.ask("GET", path)
        assert said.status == 200, said
        return said.body

    def state(self) -> State:
        """What its gateway serves by."""
        return msgspec.json.decode((self.layout.root / "state.json").read_bytes(), type=State)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 15.0) -> float:
        """Wait for a condition; give the seconds it took."""
        begin = time.monotonic()
        self.wait(condition, seconds, what)
        return time.monotonic() - begin


@dataclass
class Site:
    """Machines over one database; everything ends with the `with`."""

    root: Path
    provider: FakeProvider
    schema: Schema
    toml: str = MODELS

    def __enter__(self) -> Site:
        self._stack = ExitStack()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def machine(self, name: str, *, store_url: str = "", toml: str = "") -> Machine:
        """Give another machine, with nothing running on it."""
        made = Machine(
            self.root / name,
            self.provider,
            toml=toml + self.toml,
            store_url=store_url or self.schema.url,
        )
        self._stack.enter_context(made)
        return made

    def up(self, *names: str) -> list[Machine]:
        """Give machines that are started at the same moment, each as a person does."""
        machines = [self.machine(name) for name in names]
        with ThreadPoolExecutor(len(machines)) as people:
            return list(people.map(Machine.up, machines))

    def run(self, machines: Sequence[Machine], *processes: str) -> None:
        """Start these processes on prepared machines, and wait until all gateways serve."""
        for machine in machines:
            for name in processes:
                machine.spawn(name)
        for machine in machines:
            machine.wait_ready()

    def store(self) -> Store:
        """Open the database, to be used by `with`."""
        return Store.open(self.schema.url, self.root)

    def execute(self, statement: str, **values: Any) -> None:
        """Change the database behind everybody's back."""
        engine = sa.create_engine(self.schema.url)
        with engine.begin() as connection:
            connection.execute(sa.text(statement), values)
        engine.dispose()
