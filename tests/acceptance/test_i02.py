"""I2: feedback becomes preferred models by task, tone, length, habits and the next activity, by a moving average and counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meliora.routing.learned.snapshot import encode
from meliora.routing.preferences import FeedbackType, PreferenceTracker
from meliora.settings.models import Server, Settings
from meliora.settings.routing import Exploration, Routing
from meliora.testing.policies import planted
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import post
from tests.server.house import House, control_house

NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path, switched: None) -> Iterator[House]:
    with control_house(tmp_path) as made:
        yield made


def test_i02_the_documented_class_learns_from_the_documented_calls(house: House) -> None:
    """EMA of 0.1 from the prior 0.5; morning, afternoon, evening, night; short, medium, long."""
    at = [NINE]
    tracker = PreferenceTracker(house.store.preferences, learning_rate=0.1, now=lambda: at[0])

    async def use() -> None:
        for message in range(20):
            evening = message % 2
            at[0] = NINE - timedelta(days=20 - message) + timedelta(hours=10 * evening)
            await tracker.track_feedback(
                user_id=1,
                message_id=message,
                feedback_type=FeedbackType.THUMBS_UP,
                model_used="gpt-4" if evening else "small",
                task_type="code_generation" if evening else "conversation",
                response_length=500,
                metadata={"tone": "dry"},
            )
        assert await tracker.get_preferred_model(user_id=1, task_type="code_generation") == "gpt-4"
        assert await tracker.get_preferred_model(user_id=1, task_type="conversation") == "small"
        settings = await tracker.get_preferred_settings(user_id=1)
        assert settings.length is not None and settings.length.value == "medium"
        assert settings.tone is not None and settings.tone.value == "dry"
        at[0] = NINE + timedelta(hours=10)
        activity = await tracker.predict_next_activity(user_id=1)
        assert activity is not None
        assert (activity.task, activity.period) == ("code_generation", "evening")
        assert 0.6 < activity.confidence < activity.probability < 1
        found = await tracker.get_preferences(user_id=1)
        assert found.preferred_models["code_generation"].score == pytest.approx(1 - 0.5 * 0.9**10)

    asyncio.run(use())


def test_i02_one_late_good_word_does_not_make_a_model_preferred(house: House) -> None:
    """What the original got wrong: the model of the last feedback above 0.7 was the preferred one."""
    tracker = PreferenceTracker(house.store.preferences)

    async def use() -> str | None:
        for message in range(21):
            liked = message < 15 or message == 20
            word = FeedbackType.RATING_5 if liked else FeedbackType.RATING_1
            await tracker.track_feedback(1, message, word, "good" if message < 15 else "bad", "code")
        return await tracker.get_preferred_model(1, "code")

    assert asyncio.run(use()) == "good"


def test_i02_a_hundred_noisy_words_are_enough_to_know_most_users(house: House) -> None:
    """Ten users, three models, a gap of 0.2, one label in ten flipped. Measured properly by `benchmarks.routing`."""
    source, right = random.Random(4), 0
    tracker = PreferenceTracker(house.store.preferences)
    for user in range(10):
        likes = dict(zip("abc", source.sample([0.75, 0.55, 0.45], 3), strict=True))
        labels = [(model, source.random() < likes[model]) for model in "abc" for _ in range(33)]
        noisy = [(model, up != (source.random() < 0.1)) for model, up in labels]

        async def use(user: int, noisy: list[tuple[str, bool]]) -> str | None:
            for message, (model, up) in enumerate(noisy):
                word = FeedbackType.THUMBS_UP if up else FeedbackType.THUMBS_DOWN
                await tracker.track_feedback(user, message, word, model, "code")
            return await tracker.get_preferred_model(user, "code")

        right += asyncio.run(use(user, noisy)) == max(likes, key=likes.__getitem__)
    assert right >= 8


def test_i02_what_a_user_says_of_answers_moves_auto_for_them_alone(tmp_path: Path, switched: None) -> None:
    """Feedback on calls, through the worker and the gateway's state, to the next call of the same user and task."""
    settings = Settings(
        server=Server(state_dir=tmp_path / "state"), routing=Routing(exploration=Exploration(enabled=False))
    )
    known = {"simulated-small": (0.80, 0.001), "simulated-large": (0.83, 0.001)}
    with RunningMeliora(settings) as meliora:
        meliora.store.routing_snapshots.add(
            "default", lambda number: encode(planted(known, number=number)), kind="fit", made_by="test"
        )
        meliora.store.routing_snapshots.promote("default", 1)
        meliora.wait(lambda: bool(meliora.gateway.gateway.snapshot.loaded.policies), 10)

        def ask(model: str, user: str) -> tuple[str, str]:
            body = {"model": model, "messages": [{"role": "user", "content": "Fix this Python function, please"}]}
            answer = post(meliora.gateway, "/v1/chat/completions", body, x_meliora_user=user)
            assert answer.status == 200, answer.body
            return answer.headers["x-meliora-model"], answer.headers["x-meliora-call"]

        assert ask("auto", "ann")[0] == "simulated-large"
        for _ in range(6):
            for model, word in (("simulated-small", "thumbs_up"), ("simulated-large", "thumbs_down")):
                given = {"call_id": ask(model, "ann")[1], "feedback_type": word}
                assert post(meliora.gateway, "/api/v1/learning/feedback", given).status == 200
        meliora.settle()
        meliora.settle()
        meliora.wait(lambda: bool(meliora.gateway.gateway.snapshot.loaded.likings), 10)
        assert ask("auto", "ann")[0] == "simulated-small"
        assert ask("auto", "bob")[0] == "simulated-large"
