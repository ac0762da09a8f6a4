"""I1: feedback as documented, by the application's own message id, at any time."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post

PATH = "/api/v1/learning/feedback"
WORTH = {
    "thumbs_up": 1.0,
    "thumbs_down": 0.0,
    "rating_1": 0.2,
    "rating_2": 0.4,
    "rating_3": 0.6,
    "rating_4": 0.8,
    "rating_5": 1.0,
}


def call(meliora: RunningMeliora, message_id: str) -> str:
    body = {"model": "simulated-small", "messages": [{"role": "user", "content": "hello"}]}
    answer = post(meliora.gateway, "/v1/chat/completions", body, x_meliora_message_id=message_id)
    assert answer.status == 200
    return answer.headers["x-meliora-call"]


def test_i01_the_documented_request_is_taken_before_and_after_the_call_is_ingested(meliora: RunningMeliora) -> None:
    """The first word comes while the call is in the spool; the last one stands, and the history is kept."""
    call_id = call(meliora, "123")
    given = {
        "message_id": 123,
        "feedback_type": "thumbs_up",
        "model_used": "gpt-4",
        "task_type": "code_generation",
        "response_length": 500,
        "comment": "good",
        "metadata": {"tone": "dry"},
    }
    first = post(meliora.gateway, PATH, given)
    assert first.status == 200, first.body
    assert first.json["pending"] is True
    assert (first.json["value"], first.json["call_id"], first.json["metadata"]) == (1.0, call_id, {"tone": "dry"})
    meliora.settle()
    later = post(meliora.gateway, PATH, {"call_id": call_id, "feedback_type": "rating_2", "user_id": 1})
    assert later.status == 200, later.body
    kept = get(meliora.gateway, f"{PATH}/{call_id}").json
    assert (kept["feedback"]["value"], kept["feedback"]["user_id"], kept["feedback"]["pending"]) == (0.4, "1", False)
    assert [word["feedback_type"] for word in kept["history"]] == ["thumbs_up", "rating_2"]
    shown = get(meliora.gateway, f"/api/v1/calls/{call_id}").json
    assert shown["feedback"]["feedback_type"] == "rating_2"


def test_i01_each_kind_has_its_worth(meliora: RunningMeliora) -> None:
    """As the documents number them."""
    call_id = call(meliora, "m")
    given = {kind: post(meliora.gateway, PATH, {"call_id": call_id, "feedback_type": kind}) for kind in WORTH}
    assert {kind: answer.json["value"] for kind, answer in given.items()} == WORTH


def test_i01_an_id_that_never_existed_is_an_error(meliora: RunningMeliora) -> None:
    """Nothing is kept for it."""
    call_id = call(meliora, "m")
    forged = call_id[:-1] + ("0" if call_id[-1] != "0" else "1")
    for wrong in ({"message_id": "never"}, {"call_id": "call_nope"}, {"call_id": forged}, {"response_id": "never"}):
        answer = post(meliora.gateway, PATH, {**wrong, "feedback_type": "thumbs_up"})
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found"), wrong
    for wrong in ({"feedback_type": "meh", "call_id": call_id}, {"feedback_type": "thumbs_up"}):
        assert post(meliora.gateway, PATH, wrong).status == 400
    assert get(meliora.gateway, PATH).json["items"] == []
