"""Every process obeys the kill switch and says so: those that have and the one that has not are told apart by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from meliora.loop.control import Ack
from meliora.store import Store
from meliora.store.engine import connect
from meliora.testing import FakeProvider
from tests.survival.house import House


def test_a_control_process_that_stands_still_is_named_until_it_has_obeyed(
    tmp_path: Path, provider: FakeProvider
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with House(tmp_path / "house", provider, store_url=url) as house:
        house.prepare()
        (tmp_path / "other").mkdir()
        house.spawn("control")
        still = house.spawn("control", tag="-2", MELIORA_SERVER__STATE_DIR=str(tmp_path / "other"))
        house.spawn("worker")
        with Store(connect(url)) as store:

            def heard() -> dict[int, Ack]:
                return {one.pid: one for one in store.control.acks().processes}

            house.wait(lambda: len(heard()) == 3, 60, "not all have begun")
            assert sorted(one.kind for one in heard().values()) == ["control", "control", "worker"]
            os.kill(still, signal.SIGSTOP)
            killed = house.meliora("loop", "kill", "--wait", "0.1")
            name = heard()[still].id
            assert killed.returncode == 1 and name in killed.stdout
            house.wait(lambda: sum(one.seconds is not None for one in heard().values()) == 2, 60, "the others obey")
            told = house.meliora("loop", "status").stdout
            assert "2 of 3 processes obey" in told
            assert [line.split()[1].rstrip(":") for line in told.splitlines() if "no word yet" in line] == [name]
            os.kill(still, signal.SIGCONT)
            house.wait(lambda: store.control.acks().complete, 60, "it obeys when it goes on")
            assert house.end("control-2") == 0
            assert set(heard()) == {house.processes["control"].pid, house.processes["worker"].pid}
