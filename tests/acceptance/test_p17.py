"""P17: trials by unit that stick and are counted by outcome, shifts that are found in what was recorded, and feedback that is kept."""

from __future__ import annotations

from pathlib import Path

from meliora.gateway.assignment import Split
from meliora.testing.stack import RunningMeliora
from tests.acceptance.lives import living
from tests.gateway.asking import get, post


def test_p17_a_user_stays_in_an_arm_and_a_share_that_grows_moves_users_one_way(switched: None) -> None:
    """Ten thousand users, the same in every process, in the proportions of the shares."""
    users = [f"user-{number}" for number in range(10_000)]
    arms = {
        share: {user for user in users if Split("salt", "user", share).of(user, None, "k")[0]} for share in (0.05, 0.2)
    }
    assert arms[0.05] < arms[0.2]
    assert all(abs(len(found) / len(users) - share) < 0.015 for share, found in arms.items())
    again = {user for user in users if Split("salt", "user", 0.2).of(user, "another session", "another key")[0]}
    assert again == arms[0.2]
    other = {user for user in users if Split("another trial", "user", 0.2).of(user, None, "k")[0]}
    assert abs(len(other & arms[0.2]) / len(users) - 0.04) < 0.01


def test_p17_what_a_trial_counts_is_outcomes_by_arm(tmp_path: Path, switched: None) -> None:
    """Units and outcomes of both arms, with the difference and its interval."""
    with living(tmp_path) as life:
        cycle = life.breach()
        life.run()
        (trial, *_) = life.artifact(cycle.id, "ab_test_results.json")["tests"]
        assert "2000" in str(trial) and "reward" in str(trial)


def test_p17_feedback_is_kept_with_its_call(meliora: RunningMeliora) -> None:
    """In the store, not in the memory of a process."""
    body = {"model": "simulated-small", "messages": [{"role": "user", "content": "hello"}]}
    call = post(meliora.gateway, "/v1/chat/completions", body).headers["x-meliora-call"]
    meliora.settle()
    given = {"call_id": call, "feedback_type": "thumbs_up"}
    assert post(meliora.gateway, "/api/v1/learning/feedback", given).status == 200
    meliora.stop_control()
    meliora.start_control()
    meliora.wait(lambda: get(meliora.gateway, "/api/v1/learning/feedback").status == 200, 10)
    (kept,) = get(meliora.gateway, "/api/v1/learning/feedback").json["items"]
    assert kept["call_id"] == call
