"""A key's budget and rates over several gateways, hammered through all of them at once."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.postgres.machine import Machine, Site

GATEWAYS = 3
CLIENTS = 3
"""Clients of each gateway."""
BUDGET = 600_000
SHARE = 0.05
MAX_TOKENS = 8
PROMPT = "Write 4 words"


def hammer(machines: list[Machine], secret: str, until: Callable[[Counter[int]], bool]) -> list[Counter[int]]:
    """Call through all machines at once until each has seen enough; give how often each answered with which status."""
    body = json.dumps({"model": "m", "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": PROMPT}]})
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}

    def client(machine: Machine, seen: Counter[int], lock: threading.Lock) -> None:
        connection = HTTPConnection("127.0.0.1", machine.port, timeout=30)
        while not until(seen):
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            answer.read()
            with lock:
                seen[answer.status] += 1
            if answer.status != 200:
                time.sleep(0.05)
        connection.close()

    seen = [Counter[int]() for _ in machines]
    with ThreadPoolExecutor(len(machines) * CLIENTS) as clients:
        running = [
            clients.submit(client, machine, counts, lock)
            for machine, counts, lock in zip(machines, seen, [threading.Lock() for _ in machines], strict=True)
            for _ in range(CLIENTS)
        ]
        for one in running:
            one.result(90)
    return seen


def test_three_gateways_keep_to_one_budget_and_to_one_rate(
    tmp_path: Path, provider: FakeProvider, schema: Schema, record_property: Callable[[str, object], None]
) -> None:
    """What is spent lies between 85% of the budget and the budget with the overshoot that is declared."""
    with Site(tmp_path, provider, schema) as site:
        machines = [site.machine(name, toml=f"[gateway]\nbudget_slice = {SHARE}\n").prepare() for name in "abc"]
        site.run(machines, "control", "gateway")
        machines[0].spawn("worker")
        for machine in machines:
            machine.until(lambda machine=machine: machine.state().gateways == GATEWAYS, "not all gateways are counted")
        key = _key(machines, budget_day_micros=BUDGET)
        end = time.monotonic() + 30
        seen = hammer(machines, key["secret"], lambda counts: counts[429] >= 6 or time.monotonic() > end)
        for machine in machines[1:]:
            machine.spawn("worker")
        for machine in machines:
            machine.settle()
        spent, dearest = _spent(machines[0], key["key"]["id"])
        estimate = (len(PROMPT) // 4 + 1) * 10 + MAX_TOKENS * 1000
        over = GATEWAYS * (SHARE * BUDGET + estimate) + GATEWAYS * CLIENTS * max(0, dearest - estimate)
        record_property("spent of the budget", f"{spent / BUDGET:.1%}, at most {1 + over / BUDGET:.1%} declared")
        assert 0.85 * BUDGET <= spent <= BUDGET + over, (spent, seen)
        assert all(counts[200] and set(counts) == {200, 429} for counts in seen), seen
        quota = machines[1].get(f"/api/v1/quotas/{key['key']['id']}")["budgets"][0]
        assert quota["spent_micros"] == spent

        key = _key(machines, requests_per_minute=60)
        begin = time.monotonic()
        seen = hammer(machines, key["secret"], lambda counts: counts[429] >= 6 or time.monotonic() > begin + 30)
        passed = time.monotonic() - begin
        through = sum(counts[200] for counts in seen)
        record_property("of 60 requests a minute", f"{through} in {passed:.1f} s")
        assert 60 - GATEWAYS <= through <= 60 + passed + GATEWAYS, seen


def _key(machines: list[Machine], **limits: int) -> dict:
    """Make a key that all machines know. Asking for the models costs nothing."""
    key = machines[0].ask("POST", "/api/v1/keys", {"name": "limited", **limits}).body
    for machine in machines:
        machine.until(
            lambda machine=machine: machine.ask("GET", "/v1/models", secret=key["secret"]).status == 200, "no key"
        )
    return key


def _spent(machine: Machine, key_id: str) -> tuple[int, int]:
    with machine.store() as connection:
        query = "SELECT SUM(cost_micros), MAX(cost_micros) FROM calls WHERE key_id = %s"
        spent, dearest = connection.exec_driver_sql(query, (key_id,)).one()
    return int(spent), int(dearest)
