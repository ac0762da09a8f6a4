"""Two of what should be one: two starts, two workers, two gateways over one state directory."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from meliora.supervisor.layout import CHILDREN, read_pids
from meliora.testing import FakeProvider
from tests.survival.house import House, quiet_port
from tests.survival.load import Load, compare


def test_of_two_starts_at_once_one_runs_and_the_other_says_so(tmp_path: Path, provider: FakeProvider) -> None:
    """Each in the background; both end in words, and there is one of each process."""
    with House(tmp_path, provider) as house:
        command = [sys.executable, "-m", "meliora.cli", "--config", str(house.config), "up", "--detach"]
        started = [
            subprocess.Popen(
                command, cwd=house.root, env=house.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        said = [(process.communicate(timeout=60), process.returncode) for process in started]
        codes = sorted(code for _, code in said)
        assert 0 in codes, (said, house.logs())
        for (out, err), code in said:
            assert "Traceback" not in err and (code == 0 or "runs already" in err or "cannot be used" in err), (
                out,
                err,
            )
        running = read_pids(house.layout)
        assert running.supervisor and all(running.alive(name) for name in CHILDREN)
        load = Load(house.port, house.secret, clients=1)
        for number in range(5):
            load.once(f"m{number}", stream=False)
        assert len(load.answered) == 5
        house.settle()
        compare(house, load, exact=True)
        assert house.meliora("down").returncode == 0
        assert not any(running.alive(name) for name in ("supervisor", *CHILDREN))


def test_two_workers_and_two_gateways_share_a_spool(
    tmp_path: Path, provider: FakeProvider, chance: random.Random
) -> None:
    """Each record is taken once, whoever takes it; one of each is killed on the way."""
    with House(tmp_path, provider).prepare() as house:
        house.spawn("control")
        second = quiet_port()
        for tag, port in (("", house.port), ("-b", second)):
            house.spawn("gateway", tag=tag, MELIORA_SERVER__PORT=str(port))
            house.spawn("worker", tag=tag)
        house.wait_ready()
        one = Load(house.port, house.secret, clients=2)
        other = Load(second, house.secret, clients=2, prefix="other-")
        with one.running(), other.running():
            for _ in range(3):
                time.sleep(chance.uniform(0.3, 0.8))
                house.kill("gateway-b", "worker")
                house.spawn("gateway", tag="-b", MELIORA_SERVER__PORT=str(second))
                house.spawn("worker")
            house.wait(lambda: len(other.answered) > 10 and len(one.answered) > 10, 20, "no calls")
        house.settle()
        assert not one.refused and not one.cut, "a gateway is not disturbed by its neighbour's death"
        compare(house, one, other)
        assert "Traceback" not in house.logs()
