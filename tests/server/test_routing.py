"""The learned policy over HTTP: listed, proved, put in service and taken back; published to gateways within one look."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from meliora.gateway.state import State
from meliora.routing.learned.snapshot import encode
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.telemetry.records import RoutedCandidate, RoutingTrace
from meliora.testing.policies import planted
from tests.server.house import House, error_of, finished

URL = "/api/v1/routing"


def add(
    house: House, low: float | None, *, good: float = 0.9, trunk: str = "planted", anchor: int | None = None
) -> int:
    """Keep a candidate whose replay against `anchor` has this lower bound."""
    policy = planted({"small": (good, 0.001), "large": (0.95, 0.01)})
    policy = replace(policy, embedding=replace(policy.embedding, id=trunk))
    word = {"against": anchor, "against_anchor": anchor, "low": low, "verdict": "as the replay says"}
    kept = house.store.routing_snapshots.add(
        "default",
        lambda number: encode(replace(policy, number=number)),
        kind="calibrated",
        made_by="test",
        evidence={"replay": word},
    )
    return kept.number


def state(house: House) -> State:
    return msgspec.json.decode(house.gateway().get("/internal/state").content, type=State)


def test_a_candidate_that_has_proved_better_serves_and_reaches_the_gateways(house: House) -> None:
    admin, before = house.client(house.key()), state(house)
    number = add(house, 0.01)
    assert admin.get(f"{URL}/status").json()["serving"] is None
    promoted = admin.post(f"{URL}/snapshots/{number}/promote").json()
    assert (promoted["state"], promoted["evidence"]["proof"]["proved"]) == ("serving", True)
    after = state(house)
    assert after.version > before.version and after.policies["default"].number == number
    blob = house.gateway().get(f"/internal/policies/default/{number}")
    assert blob.content == house.store.routing_snapshots.blob("default", number)
    assert admin.get(f"{URL}/status").json()["serving"]["number"] == number
    assert [entry["action"] for entry in admin.get("/api/v1/activity").json()["items"]][:1] == ["routing.promote"]


def test_one_that_has_not_is_refused_and_served_by_force_with_a_word_about_it(house: House) -> None:
    admin = house.client(house.key())
    number = add(house, -0.01)
    refused = admin.post(f"{URL}/snapshots/{number}/promote")
    assert refused.status_code == 409 and "as the replay says" in error_of(refused)["message"]
    forced = admin.post(f"{URL}/snapshots/{number}/promote", json={"force": True}).json()
    assert forced["state"] == "serving" and forced["evidence"]["forced"] is True
    assert forced["evidence"]["proof"]["proved"] is False


def test_a_replay_against_another_policy_proves_nothing_about_this_one(house: House) -> None:
    admin = house.client(house.key())
    admin.post(f"{URL}/snapshots/{add(house, 0.01)}/promote")
    other = add(house, 0.01, trunk="another", anchor=None)
    proof = admin.post(f"{URL}/snapshots/{other}/evaluate").json()
    assert (proof["method"], proof["proved"], proof["running"]) == ("none", False, 1)
    right = add(house, 0.01, trunk="another", anchor=1)
    assert admin.post(f"{URL}/snapshots/{right}/evaluate").json()["proved"] is True


def test_a_candidate_of_the_same_trunk_is_held_against_logged_traffic(house: House) -> None:
    admin = house.client(house.key())
    admin.post(f"{URL}/snapshots/{add(house, 0.01)}/promote")
    candidate = add(house, None, good=0.2)
    policy = planted({"small": (0.9, 0.001), "large": (0.95, 0.01)})
    candidates = (RoutedCandidate("small", 0.5, 0.5, 0.9, 1000), RoutedCandidate("large", 0.5, 0.5, 0.95, 10_000))
    phi = policy.predict("hello").phi.astype("<f2").tobytes()
    records = []
    for place in range(80):
        model = "small" if place % 2 else "large"
        trace = RoutingTrace(1, "planted", phi, candidates, model)
        cost = 1000 if place % 2 else 10_000
        call = house.store.call_ids.new()
        records.append(finished(call, house.clock.now_us(), routing=trace, model=model, cost_micros=cost))
    house.record(*records)
    house.ingest()
    for record in records:
        house.store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=record.id))
    rewarded(house)
    proof = admin.post(f"{URL}/snapshots/{candidate}/evaluate", json={"days": 1}).json()
    assert (proof["method"], proof["proved"]) == ("logged", False)
    assert proof["evidence"]["decisions"] == 80 and proof["evidence"]["difference"]["value"] < 0
    assert admin.post(f"{URL}/snapshots/{candidate}/promote").status_code == 409


def rewarded(house: House) -> None:
    from meliora.runtime.learning import rewarder

    while rewarder(house.context.settings, house.store).step():
        pass


def test_a_rollback_goes_back_and_the_gateways_hear_of_it(house: House) -> None:
    admin = house.client(house.key())
    for _ in range(2):
        admin.post(f"{URL}/snapshots/{add(house, None)}/promote", json={"force": True})
    assert admin.post(f"{URL}/rollback").json()["serving"]["number"] == 1
    assert state(house).policies["default"].number == 1
    assert admin.post(f"{URL}/rollback").json() == {"serving": None}
    assert state(house).policies == {}
    assert admin.post(f"{URL}/rollback").status_code == 404
    assert admin.post(f"{URL}/rollback", json={"number": 2}).json()["serving"]["number"] == 2
    shown = admin.get(f"{URL}/snapshots").json()["items"]
    assert [(one["number"], one["state"]) for one in shown] == [(2, "serving"), (1, "retired")]


def test_a_policy_that_does_not_load_is_not_promoted(house: House) -> None:
    admin = house.client(house.key())
    admin.post(f"{URL}/snapshots/{add(house, 0.01)}/promote")
    torn = house.store.routing_snapshots.add("default", lambda _: b"torn", kind="fit", made_by="test").number
    refused = admin.post(f"{URL}/snapshots/{torn}/promote", json={"force": True})
    assert refused.status_code == 409 and "no routing snapshot" in error_of(refused)["message"]
    assert state(house).policies["default"].number == 1


def test_an_outcome_shows_what_it_counted_for(house: House) -> None:
    admin = house.client(house.key())
    policy = planted({"small": (0.9, 0.001), "large": (0.95, 0.01)})
    phi = policy.predict("hello").phi.astype("<f2").tobytes()
    trace = RoutingTrace(1, "planted", phi, (RoutedCandidate("small", 1.0, 1.0, 0.9, None),), "small")
    call = house.call(routing=trace, model="small")
    plain = house.call()
    house.ingest()
    admin.post("/api/v1/learning/feedback", json={"call_id": call, "feedback_type": "rating_2"})
    house.store.outcomes.score("default", call, "polite", 0.5)
    rewarded(house)
    shown = admin.get(f"{URL}/outcomes/{call}").json()
    assert (shown["reward"], shown["source"], shown["scores"]) == (0.4, "feedback", {"polite": 0.5})
    assert admin.get(f"{URL}/outcomes/{plain}").status_code == 404


def test_bytes_of_a_policy_are_for_gateways_alone(house: House) -> None:
    number = add(house, None)
    assert house.gateway().get(f"/internal/policies/default/{number}").status_code == 200
    assert house.gateway().get("/internal/policies/default/99").status_code == 404
    assert house.client(house.key()).get(f"/internal/policies/default/{number}").status_code == 404


def test_a_policy_begins_without_data_and_reaches_the_gateways(house: House) -> None:
    admin = house.client(house.key())
    refused = admin.post(f"{URL}/start")
    assert refused.status_code == 400 and "No reference model is declared" in error_of(refused)["message"]
    unknown = admin.post(f"{URL}/start", json={"reference": "gpt-99"})
    assert unknown.status_code == 400 and "'gpt-99' is not in the pool" in error_of(unknown)["message"]
    made = admin.post(f"{URL}/start", json={"reference": "simulated-large"}).json()
    assert (made["number"], made["kind"], made["state"]) == (1, "prior", "serving")
    assert made["evidence"]["origin"] == "shipped prior, no outcomes yet"
    assert state(house).policies["default"].number == 1
    assert [entry["action"] for entry in admin.get("/api/v1/activity").json()["items"]][:1] == ["routing.start"]
    reader = house.client(house.key("default", "read"))
    assert reader.post(f"{URL}/start", json={"reference": "simulated-large"}).status_code == 403
    other = house.client(house.key("other"))
    assert other.get(f"{URL}/status").json()["serving"] is None, "each tenant begins for itself"


def test_a_start_does_not_replace_what_knows_more(house: House) -> None:
    admin = house.client(house.key())
    admin.post(f"{URL}/snapshots/{add(house, 0.01)}/promote")
    refused = admin.post(f"{URL}/start", json={"reference": "simulated-large"})
    assert refused.status_code == 409 and "serves already" in error_of(refused)["message"]
