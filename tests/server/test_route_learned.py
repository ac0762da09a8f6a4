"""`POST /route` with a learned policy: the gateway's own decision, explained."""

from pathlib import Path

import pytest

from meliora.routing.learned.snapshot import encode
from meliora.store.keys import KeyWish
from meliora.testing.policies import planted
from tests.server.house import House, control_house, error_of

KNOWN = {"simulated-small": (0.7, 0.0002), "simulated-medium": (0.8, 0.002), "simulated-large": (0.95, 0.02)}


def serve(house: House, tenant: str = "default", models=KNOWN) -> int:
    kept = house.store.routing_snapshots
    made = kept.add(tenant, lambda number: encode(planted(models, number=number)), kind="fit", made_by="test")
    return kept.promote(tenant, made.number).number


def client(house: House, tenant: str = "default", **wish):
    issued = house.store.keys.create(tenant, KeyWish(**wish))
    return house.client(issued.secret)


def test_a_policy_decides_and_says_what_it_foresees(tmp_path: Path) -> None:
    with control_house(tmp_path) as house:
        asking = client(house)
        before = asking.post("/route", json={"prompt": "hello"}).json()
        assert before["snapshot"] is None
        assert before["candidates"] == []
        number = serve(house)
        told = asking.post("/route", json={"prompt": "hello", "willingness_to_pay": 0.001}).json()
        assert (told["model"], told["reason"], told["snapshot"], told["dial"]) == (
            "simulated-small",
            f"policy:{number}",
            number,
            "pay:0.001",
        )
        foreseen = {one["model"]: one for one in told["candidates"]}
        large = foreseen["simulated-large"]
        assert (large["quality"], large["cost_usd"]) == (pytest.approx(0.95), pytest.approx(0.02))
        assert large["low"] < 0.95 < large["high"]
        assert sum(one["propensity"] for one in foreseen.values()) == pytest.approx(1.0, abs=1e-4)
        assert foreseen["simulated-code"]["quality"] is None, "the policy does not know it"
        dear = asking.post("/route", json={"prompt": "hello", "willingness_to_pay": 100}).json()
        assert dear["model"] == "simulated-large"
        brief = asking.post("/route", json={"prompt": "hello", "explain": False}).json()
        assert brief["candidates"] == []
        assert serve(house, models={"simulated-medium": (0.9, 0.001)}) == number + 1
        assert asking.post("/route", json={"prompt": "hello"}).json()["reason"] == f"policy:{number + 1}"


def test_a_key_has_its_dial_and_a_tenant_its_own_policy(tmp_path: Path) -> None:
    with control_house(tmp_path) as house:
        serve(house)
        generous = client(house, willingness_to_pay=100.0)
        assert generous.post("/route", json={"prompt": "hello"}).json()["model"] == "simulated-large"
        stranger = client(house, "elsewhere")
        assert stranger.post("/route", json={"prompt": "hello"}).json()["snapshot"] is None


@pytest.mark.parametrize(
    ("dial", "status"),
    [({"quality_floor": 1.5}, 400), ({"quality_floor": 0}, 400), ({"willingness_to_pay": -1}, 400)],
)
def test_a_dial_out_of_range_is_refused(tmp_path: Path, dial: dict, status: int) -> None:
    with control_house(tmp_path) as house:
        serve(house)
        answer = client(house).post("/route", json={"prompt": "hello", **dial})
        assert answer.status_code == status
        assert next(iter(dial)) in str(error_of(answer))


def test_a_floor_that_its_price_does_not_hold_is_refused(tmp_path: Path) -> None:
    with control_house(tmp_path) as house:
        serve(house)
        body = {"prompt": "hello", "quality_floor": 0.98, "willingness_to_pay": 0.001}
        answer = client(house).post("/route", json=body)
        assert answer.status_code == 400
        assert "contradict each other" in error_of(answer)["message"]


def test_a_policy_that_does_not_load_is_not_replaced_by_another(tmp_path: Path) -> None:
    with control_house(tmp_path) as house:
        kept = house.store.routing_snapshots
        made = kept.add("default", lambda number: b"no snapshot", kind="fit", made_by="test")
        kept.promote("default", made.number)
        answer = client(house).post("/route", json={"prompt": "hello"})
        assert error_of(answer)["code"] == "bad_snapshot"
