"""A gateway is killed while a candidate is asked in the shadow: the shown call is recorded once, the shadow counts nowhere."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

from meliora.gateway.state import Overlay, RuleState, TrialState
from meliora.loop.metrics import METRICS
from meliora.runtime.shared import open_store
from tests.gateway.learned import answered, asked_models, upstream
from tests.survival.house import House

TOML = """
[recording]
ingest_interval = 0.05
[providers.p]
base_url = "{url}"
models = ["tiny", "big"]
[models.tiny.price]
input = 1
output = 2
[models.big.price]
input = 10
output = 20
[loop.trial.shadowing]
share = 1.0
"""
OVERLAY = Overlay(rules=(RuleState("new", "default", "2", preferred_model="big", applies_to="all"),))


def ask(house: House) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)
    body = {"model": "tiny", "messages": [{"role": "user", "content": "What is 2+2?"}]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {house.secret}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    text = json.loads(answer.read())["choices"][0]["message"]["content"]
    connection.close()
    return answer.status, text


def test_a_shadow_whose_gateway_was_killed_is_lost_and_counts_nowhere(tmp_path: Path) -> None:
    with upstream({"tiny": answered("4"), "big": [60.0]}) as fake:
        toml = TOML.format(url=fake.base_url_openai)
        with House(tmp_path, fake, bare=toml).prepare() as house, open_store(house.settings) as store:
            store.trials.begin("default", TrialState("chg_1", "default", "shadow", "s", 0, 1.0, OVERLAY))
            house.spawn("control")
            house.spawn("gateway")
            house.wait_ready()
            calls = 0
            while "big" not in asked_models(fake):  # from the first state that has the trial
                assert ask(house) == (200, "4")
                calls += 1
                assert calls < 200
                time.sleep(0.05)
            house.kill("gateway")
            house.spawn("worker")
            house.wait_taken()
            [found] = store.shadows.list("default", "chg_1")
            assert found.state == "open"
            assert store.sink.lose(time.time_ns() // 1000 + 1) == 0, "every call that was answered came to its end"
            [found] = store.shadows.list("default", "chg_1")
            assert found.state == "lost"
            later = time.time_ns() // 1000 + 3_600_000_000
            read = store.shadow_arms.read("default", "chg_1", [(METRICS["error_rate"], False)], later)
            assert (read.units, read.pairs) == (0, 0)
            assert store.shadows.waiting("default", 0, 10) == ()
            with house.store() as connection:
                rows = connection.exec_driver_sql("SELECT state, model, trial FROM calls").all()
            assert [tuple(row) for row in rows] == [("finished", "tiny", None)] * calls
            house.spawn("gateway")
            house.wait_ready()
            assert ask(house) == (200, "4"), "and the next one serves, whose candidate hangs again"
