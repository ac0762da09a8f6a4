"""A stop and a reload under load: no call is cut, and what changed is in force."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from meliora.supervisor.detach import ask
from meliora.testing import FakeProvider
from tests.survival.house import House
from tests.survival.load import Load, compare

PRICED = """
[models.m.price]
input = 1000
output = 1000
[models.n]
endpoints = [{ provider = "p0", model = "n" }]
"""


def test_a_stop_under_load_cuts_no_call(tmp_path: Path, provider: FakeProvider) -> None:
    """What was begun is answered whole; what comes later finds nobody. Again and again."""
    with House(tmp_path, provider).prepare() as house:
        house.spawn("control")
        house.spawn("worker")
        load = Load(house.port, house.secret, clients=6, text="Write 40 words")
        with load.running():
            for _ in range(4):
                house.spawn("gateway")
                house.wait_ready()
                known = len(load.answered)
                house.wait(lambda known=known: len(load.answered) > known + 6, 15, "no calls")
                assert house.end("gateway") in (0, -signal.SIGTERM), house.logs()
        assert not load.halves, load.halves[:3]
        # A gateway that has never heard of any key says so, and does not call a good key wrong.
        assert set(load.refused) <= {503}, load.refused
        house.settle()
        compare(house, load, exact=True)
        with house.store() as connection:
            open_calls = connection.exec_driver_sql("SELECT COUNT(*) FROM calls WHERE state <> 'finished'").scalar()
        assert open_calls == 0, "a call was begun and not ended"


def test_a_stop_of_everything_under_load_cuts_no_call(tmp_path: Path, provider: FakeProvider) -> None:
    """`meliora down` ends the gateway first, after its calls; the rest of the spool waits for the next start."""
    with House(tmp_path, provider) as house:
        assert house.meliora("up", "--detach").returncode == 0, house.logs()
        load = Load(house.port, house.secret, text="Write 40 words")
        with load.running():
            house.wait(lambda: len(load.answered) > 10, 15, "no calls")
            assert house.meliora("down").returncode == 0
        assert not load.halves and not load.refused, (load.halves[:3], load.refused)
        house.spawn("worker")
        house.settle()
        compare(house, load, exact=True)


def test_a_reload_under_load_drops_no_call_and_brings_the_new_model_and_price(
    tmp_path: Path, provider: FakeProvider
) -> None:
    """Calls under way end as they began; settings that are wrong change nothing."""
    with House(tmp_path, provider).prepare() as house:
        house.spawn("control")
        house.spawn("worker")
        pid = house.spawn("gateway")
        house.wait_ready()
        load = Load(house.port, house.secret, text="Write 40 words")
        new = Load(house.port, house.secret, model="n")
        new.once("before", stream=False)
        assert new.refused == {404: 1} or new.refused == {400: 1}, new.refused
        with load.running():
            for number in range(6):
                known = len(load.answered)
                house.wait(lambda known=known: len(load.answered) > known + 3, 15, "no calls")
                wrong, other = "[gateway\nnonsense", PRICED.replace("[models.n]", "[models.other]")
                house.write(wrong if number == 2 else PRICED if number % 2 else other)
                done = _reloads(house)
                os.kill(pid, signal.SIGHUP)
                house.wait(lambda done=done: _reloads(house) > done, 15, "it is not read again")
            house.wait(lambda: _served(new), 10, "the new model is not served")
        assert house.alive("gateway")
        assert not load.halves and not load.refused and not load.cut, (load.halves[:3], load.refused)
        house.settle()
        new.refused.clear()
        compare(house, load, new, exact=True)
        with house.store() as connection:
            cost = connection.exec_driver_sql("SELECT cost_micros FROM calls WHERE model = 'n'").scalar()
        assert cost is None or cost >= 0
        assert "refused" in (house.layout.logs / "gateway.log").read_text()
        assert ask(house.url, "/ready")[0] == 200


def _reloads(house: House) -> int:
    """Count how often the settings were read again, for good or not."""
    log = (house.layout.logs / "gateway.log").read_text()
    return log.count("the settings were reloaded") + log.count("the new settings were refused")


def _served(load: Load) -> bool:
    load.once(f"after-{load.refused.total()}", stream=False)
    return bool(load.answered)
