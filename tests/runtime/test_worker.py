"""What the worker is put together of."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from meliora.clock import SystemClock
from meliora.runtime.shared import private_dir, spool_dir
from meliora.runtime.worker import Task, Worker, build
from meliora.settings.models import Server, Settings
from meliora.store import Store
from meliora.store.engine import connect
from meliora.store.migrate import upgrade
from meliora.telemetry.records import CallFinished
from meliora.telemetry.spool import SpoolWriter
from meliora.testing import FrozenClock


def test_a_call_whose_task_the_gateway_left_open_is_kept_with_its_task(tmp_path: Path) -> None:
    """Read from the request that its record holds, by the settings of the deployment."""
    settings = Settings(server=Server(state_dir=tmp_path))
    engine, clock = connect(f"sqlite:///{tmp_path / 'test.db'}"), FrozenClock()
    upgrade(engine)
    text = '{"model": "m", "messages": [{"role": "user", "content": "Write a function in Python."}]}'
    record = CallFinished(
        id="c1",
        tenant="default",
        key_id="k",
        gateway="g",
        started_us=clock.now_us(),
        ended_us=clock.now_us(),
        dialect="chat",
        model_asked="m",
        outcome="ok",
        status=200,
        confidence=1.0,
        content="full",
        request_text=text,
    )
    writer = SpoolWriter(private_dir(spool_dir(settings)))
    writer.append(msgspec.json.encode(record))
    writer.close()
    with Store(engine) as store:
        [ingest] = [task for task in build(settings, store, clock).tasks if task.name == "ingest"]
        ingest.step()
        call = store.calls.get("default", "c1")
    assert call is not None
    assert call.task == "code"


def test_a_task_that_takes_long_does_not_hold_up_the_kill_switch() -> None:
    let_go, looked = threading.Event(), threading.Semaphore(0)

    def slow() -> bool:
        let_go.wait(20)
        return False

    def look() -> bool:
        looked.release()
        return False

    worker = Worker([Task("slow", slow, 60), Task("switch", look, 0.001, alone=True)], SystemClock())
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        assert all(looked.acquire(timeout=20) for _ in range(3))
    finally:
        worker.stop()
        let_go.set()
        running.join(20)
    assert not running.is_alive()
