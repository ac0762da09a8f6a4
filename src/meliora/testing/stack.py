"""All of Meliora in this process: gateway, control app and worker over SQLite, for tests that walk the whole way.

The worker does its work when it is told to (`settle`), so that no test has to wait for it. Not for production.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

import uvicorn

from meliora.clock import Clock, SystemClock
from meliora.gateway.state import State
from meliora.runtime.control import Offers, bind
from meliora.runtime.control import build as build_control
from meliora.runtime.knowledge.plane import knowledge_of
from meliora.runtime.shared import control_socket, effective, open_store, private_dir
from meliora.runtime.worker import Worker
from meliora.runtime.worker import build as build_worker
from meliora.settings.models import Settings
from meliora.store.engine import connect, database_url
from meliora.store.keys import KeyWish
from meliora.store.migrate import upgrade
from meliora.testing.gateway import SECRET, RunningGateway, no_list


@dataclass
class RunningMeliora:
    """Everything, at `base_url`, to be used by `with`. `SECRET` opens an admin key of the tenant `default`."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)

    def __enter__(self) -> RunningMeliora:
        settings = effective(self.settings)
        state_dir = private_dir(settings.server.state_dir)
        engine = connect(database_url(settings.store.url, state_dir))
        upgrade(engine)
        engine.dispose()
        self.store = open_store(settings)
        admin = KeyWish(name="admin", scopes=("admin", "call", "feedback", "read"))
        key = self.store.keys.open(SECRET, self.clock.now_us())  # another one over the same database has made it
        if key is None:
            key = self.store.keys.create("default", admin, secret=SECRET).key
        self.start_control()
        self.worker: Worker = build_worker(settings, self.store, self.clock)
        self.gateway = RunningGateway(settings, keys=(), clock=self.clock, secret=self.store.secret)
        self.gateway.__enter__()
        self.wait_for_keys(key.id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.stop()
        self.stop_control()
        self.store.close()

    def start_control(self) -> None:
        """Serve the control app, also again after `stop_control`."""
        settings = effective(self.settings)
        offers = Offers(settings, self.clock, self.store, no_list)
        self._open = ExitStack()
        self._knowledge = self._open.enter_context(knowledge_of(settings, self.store, self.clock))
        app = build_control(
            settings, self.store, self.clock, offers, lambda: f"http://127.0.0.1:{self.gateway.port}", self._knowledge
        )
        config = uvicorn.Config(
            app, loop="uvloop", lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1
        )
        self._control = uvicorn.Server(config)
        bound = bind(control_socket(settings))
        self._thread = threading.Thread(target=self._control.run, args=([bound],), name="control", daemon=True)
        self._thread.start()

    def stop_control(self) -> None:
        """Let the control app be away; calls go on."""
        self._control.should_exit = True
        self._thread.join(timeout=30)
        self._open.close()

    def settle(self) -> None:
        """Let the worker do all it has to do now."""
        for task in self.worker.tasks:
            task.due = 0.0
        self.worker.once()
        if self.worker.errors:
            raise RuntimeError(f"The worker failed: {self.worker.errors}")

    def wait_for_keys(self, key_id: str, seconds: float = 10.0) -> None:
        """Wait until the gateway knows a key."""
        self.wait(lambda: any(key.id == key_id for key in self._state().keys), seconds)

    def wait_for_rules(self, count: int, seconds: float = 10.0) -> None:
        """Wait until the gateway has so many rules from the store."""
        self.wait(lambda: len(self._state().rules) == count, seconds)

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition; raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("What was waited for did not come.")
            time.sleep(0.01)

    def _state(self) -> State:
        return self.gateway.gateway.snapshot.state
