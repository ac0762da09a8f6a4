"""Several machines over one database: what is changed on one holds on all, each moves its own spool, and sums add up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meliora.store.budgets import periods_of
from meliora.store.gateways import ALIVE_US
from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.postgres.machine import Machine, Site
from tests.survival.load import Load, compare

WITHIN = 2.0
"""Seconds after which a change on one machine must hold on the others."""


def later(machine: Machine, condition: Callable[[], bool]) -> float:
    """Give the seconds until a condition holds on a machine."""
    return machine.until(condition, "a change does not arrive", 10)


def test_what_one_machine_changes_holds_on_the_other_within_two_seconds(
    tmp_path: Path, provider: FakeProvider, schema: Schema, record_property: Callable[[str, object], None]
) -> None:
    """Keys are made, ruled and ended, each at a random moment of the other's rhythm."""
    with Site(tmp_path, provider, schema) as site:
        one, other = site.up("one", "other")
        _each_has_an_admin_key(one, other)
        took: dict[str, list[float]] = {"made": [], "ruled": [], "ended": []}
        chance = random.Random(7)
        for number in range(7):
            here, there = (one, other) if number % 2 else (other, one)
            made = here.ask("POST", "/api/v1/keys", {"name": f"k{number}"}).body
            secret = made["secret"]
            took["made"].append(later(there, lambda secret=secret, there=there: there.call(secret).status == 200))

            rule = {"pattern": f"law {number}$", "preferred_model": "k"}
            assert here.ask("POST", "/api/v1/rules", rule).status == 201
            text = f"about law {number}"
            took["ruled"].append(later(there, lambda there=there, text=text: _model(there, text) == "k"))
            time.sleep(chance.uniform(0, 0.3))

            assert here.ask("DELETE", f"/api/v1/keys/{made['key']['id']}").status == 200
            took["ended"].append(later(here, lambda secret=secret, here=here: here.call(secret).status == 401))
            took["ended"][-1] += later(there, lambda secret=secret, there=there: there.call(secret).status == 401)
        for what, times in took.items():
            record_property(f"seconds until {what}", f"{max(times):.2f} at most of {len(times)}")
            assert max(times) < WITHIN, (what, times)
        _calls_are_one_deployments(one, other)


def _model(machine: Machine, text: str) -> str:
    return machine.call(text=text, model="auto").headers["x-meliora-model"]


def _each_has_an_admin_key(one: Machine, other: Machine) -> None:
    """The second machine's does not take the place of the first's, and each works on both."""
    assert one.secret != other.secret
    for machine in (one, other):
        machine.until(lambda machine=machine: machine.call(one.secret).status == 200, "the first key")
        machine.until(lambda machine=machine: machine.call(other.secret).status == 200, "the second key")
    names = [key["name"] for key in one.get("/api/v1/keys")["items"]]
    assert names == ["admin", "admin"]
    assert one.state().secret == other.state().secret


def _calls_are_one_deployments(one: Machine, other: Machine) -> None:
    """A call of one machine is known on the other, also before it is ingested; one that nobody made is not."""
    call = one.call().headers["x-meliora-call"]
    word = {"call_id": call, "feedback_type": "rating_4"}
    assert other.ask("POST", "/api/v1/learning/feedback", word).status == 200
    forged = call[:-3] + ("000" if call[-3:] != "000" else "111")
    assert other.ask("POST", "/api/v1/learning/feedback", {**word, "call_id": forged}).status == 404
    one.settle()
    one.until(lambda: not one.get(f"/api/v1/learning/feedback/{call}")["feedback"]["pending"], "it is never linked")
    assert other.get(f"/api/v1/calls/{call}")["id"] == call


def test_each_machine_moves_its_own_spool_and_a_lost_ones_slice_comes_back(
    tmp_path: Path, provider: FakeProvider, schema: Schema
) -> None:
    """Three gateways under load; the third is lost, and what it held of a budget is leased again."""
    with Site(tmp_path, provider, schema) as site:
        machines = first, second, third = [site.machine(name).prepare() for name in ("first", "second", "third")]
        site.run((first, second), "control", "gateway", "worker")
        site.run((third,), "control", "gateway")
        key = first.ask("POST", "/api/v1/keys", {"name": "shared", "budget_day_micros": 1_000_000}).body
        keyed = [Load(machine.port, key["secret"], prefix=f"key-{machine.root.name}-") for machine in machines]
        for machine, load in zip(machines, keyed, strict=True):
            machine.until(lambda load=load: answers(load), "the key does not open")
        third.until(lambda: held(site, key) > 100_000, "no slices are held")
        loads = [Load(machine.port, first.secret, clients=2, prefix=f"{machine.root.name}-") for machine in machines]
        with loads[0].running(), loads[1].running(), loads[2].running():
            first.until(lambda: all(len(load.answered) > 20 for load in loads), "no calls")
            first.until(lambda: first.state().gateways == 3, "the third gateway is not counted")
            lost = f"%-{third.processes['gateway'].pid}-%"
            third.kill("gateway", "control")
        before = held(site, key)
        _a_minute_passes(site, lost)
        first.until(lambda: first.state().gateways == 2, "a lost gateway is counted on")
        # The next time that somebody leases, the lost one's is taken back.
        first.until(lambda: answers(keyed[0]) and held(site, key) < before, "a lost slice is not taken back", 20)
        first.settle()
        second.settle()
        with first.store() as connection:
            calls = connection.exec_driver_sql("SELECT COUNT(*) FROM calls WHERE gateway LIKE %s", (lost,))
            assert calls.scalar() == 0, "another machine's spool was touched"
        third.spawn("worker")
        third.settle()
        compare(first, *loads, *keyed)
        assert not any(load.refused for load in loads)


def answers(load: Load) -> bool:
    """Make one call and say whether it went well."""
    known = len(load.answered)
    load.once(f"{load.prefix}{time.monotonic_ns()}", stream=False)
    return len(load.answered) > known


def held(site: Site, key: dict[str, Any]) -> int:
    """What gateways hold of a key's budget of the day."""
    now = int(time.time() * 1e6)
    with site.store() as store:
        status = store.budgets.status("default", key["key"]["id"], now)
    return next(one.held_micros for one in status if one.period == periods_of(now)[0])


def _a_minute_passes(site: Site, gateway: str) -> None:
    """Let the time pass after which a silent gateway counts as lost."""
    for table, column, name in (("gateways", "seen_us", "id"), ("budget_leases", "updated_us", "gateway")):
        statement = f"UPDATE {table} SET {column} = {column} - :us WHERE {name} LIKE :name"
        site.execute(statement, us=ALIVE_US + 1, name=gateway)
