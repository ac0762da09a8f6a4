"""The documented class, and what stands behind it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from meliora.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable
from meliora.routing.preferences import FeedbackType, PreferenceTracker
from meliora.routing.preferences.refresh import BATCH, Refresh
from meliora.routing.preferences.tracker import Preferences
from tests.routing.preferences.planted import NOON, InMemory, said


class Clock:
    """Noon, moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


def made(evidence: InMemory | None = None, seed: int = 1) -> tuple[Preferences, InMemory]:
    evidence = evidence or InMemory()
    return Preferences(evidence, 0.1, Clock(), random.Random(seed)), evidence


async def test_the_documented_calls_work_as_documented() -> None:
    tracker = PreferenceTracker(InMemory(), learning_rate=0.1, now=Clock())
    for message in range(4):
        await tracker.track_feedback(
            user_id=1,
            message_id=message,
            feedback_type=FeedbackType.THUMBS_UP,
            model_used="gpt-4",
            task_type="code_generation",
            response_length=500,
            metadata={"tone": "dry"},
        )
    assert await tracker.get_preferred_model(user_id=1, task_type="code_generation") == "gpt-4"
    assert await tracker.get_preferred_model(user_id=2, task_type="code_generation") is None
    settings = await tracker.get_preferred_settings(user_id=1)
    assert settings.tone is not None
    assert settings.length is not None
    assert (settings.tone.value, settings.length.value, settings.code_style) == ("dry", "medium", None)
    activity = await tracker.predict_next_activity(user_id=1)
    assert activity is not None
    assert (activity.task, activity.period) == ("code_generation", "afternoon")
    found = await tracker.get_preferences(user_id=1)
    assert found.preferred_models["code_generation"].score == pytest.approx(1 - 0.5 * 0.9**4)


async def test_the_last_word_on_a_message_stands_and_saying_it_again_changes_nothing() -> None:
    evidence = InMemory()
    tracker = PreferenceTracker(evidence, now=Clock())
    for word in ("thumbs_up", "thumbs_up", "thumbs_down"):
        await tracker.track_feedback(1, 7, word, "gpt-4", "code")
    (kept,) = evidence.interactions("default", "1")
    assert kept.value == 0.0
    assert await tracker.get_preferred_model(1, "code") is None


async def test_a_word_or_a_rate_that_makes_no_sense_is_refused() -> None:
    tracker = PreferenceTracker(InMemory())
    with pytest.raises(InvalidRequest, match="meh"):
        await tracker.track_feedback(1, 7, "meh", "gpt-4", "code")
    with pytest.raises(InvalidRequest, match=r"1\.5"):
        PreferenceTracker(InMemory(), learning_rate=1.5)


def test_a_recommendation_says_how_sure_it_is_and_tries_what_might_be_better() -> None:
    preferences, evidence = made()
    for place in range(30):
        evidence.keep("t", said("a", 1.0 if place % 4 else 0.0, minutes=place))
    sure = preferences.recommend("t", "ann", task="code", models=["a", "b"])
    assert (sure.model, sure.samples, sure.explored) == ("a", 30, False)
    assert 0.5 < sure.confidence < 1
    tried = [preferences.recommend("t", "ann", task="code", models=["a", "b"], explore=True) for _ in range(60)]
    assert {one.model for one in tried} == {"a", "b"}
    assert all(one.explored == (one.model == "b") for one in tried)
    assert preferences.recommend("t", "ann", prompt="Debug this function", models=["a", "b"]).task_type == "code"
    with pytest.raises(InvalidRequest, match="no model"):
        preferences.recommend("t", "ann", task="creative")


def test_others_words_recommend_to_whom_said_nothing_and_never_over_tenants() -> None:
    preferences, evidence = made()
    for user in range(20):
        for model, value in (("a", 0.0), ("b", 1.0)):
            evidence.keep("t", said(model, value, id=f"{user}{model}", user_id=str(user)))
    new = preferences.recommend("t", "new", task="code", models=["a", "b"])
    assert (new.model, new.samples) == ("b", 0)
    stranger = preferences.recommend("other", "new", task="code", models=["a", "b"])
    assert (stranger.model, stranger.confidence) == ("a", pytest.approx(0.5))


def test_what_is_exported_can_be_imported_twice_and_gives_the_same_profile() -> None:
    preferences, evidence = made()
    for place in range(9):
        evidence.keep("t", said("ab"[place % 2], float(place % 2), minutes=place, metadata={"tone": "dry"}))
    exported = preferences.exported("t", "ann")
    other, _ = made()
    for _ in range(2):
        assert other.imported("t", exported.interactions) == 9
    assert other.profile("t", "ann") == preferences.profile("t", "ann")
    assert other.forget("t", "ann") == 9
    assert other.profile("t", "ann").preferred_models == {}


def test_an_import_that_holds_a_wrong_word_changes_nothing() -> None:
    preferences, evidence = made()
    with pytest.raises(InvalidRequest):
        preferences.imported("t", [said("a", 1.0), said("b", 1.0, feedback="meh")])
    assert not evidence.kept


def test_another_users_interaction_cannot_be_replaced_and_an_unknown_one_not_be_rated() -> None:
    preferences, _ = made()
    preferences.keep("t", said("a", 1.0, id="1"))
    with pytest.raises(Conflict):
        preferences.keep("t", said("a", 0.0, id="1", user_id="bob"))
    with pytest.raises(NotFound):
        preferences.react("t", "2", "positive")
    assert preferences.react("t", "1", "edit").value == 0.6


class Tables:
    """Remembers what it was given."""

    def __init__(self, users: dict[tuple[str, str], tuple[int, ...]]) -> None:
        self.users = users
        self.given: dict[tuple[str, str], object] = {}
        self.noted: list[int] = []

    def touched(self) -> tuple[dict[tuple[str, str], tuple[int, ...]], int]:
        return dict(self.users), 77

    def looked(self, at_us: int) -> None:
        self.noted.append(at_us)

    def put(self, tenant, given, read_us) -> None:
        self.given |= {(tenant, user): offsets for user, offsets in given.items()}


def test_offsets_are_computed_for_those_who_spoke_and_noted_only_when_all_are_done() -> None:
    evidence = InMemory()
    for place in range(9):
        evidence.keep("t", said("ab"[place % 2], float(place % 2), minutes=place))
    tables = Tables({("t", name): (1,) for name in ("ann", *(f"u{place}" for place in range(BATCH)))})
    refresh = Refresh(evidence, tables, lambda: 5, rate=0.1, largest=0.1)
    assert refresh.step()
    assert tables.noted == []
    assert not refresh.step()
    assert tables.noted == [77]
    liked = tables.given["t", "ann"]
    assert isinstance(liked, dict)
    assert liked["code"]["b"] > 0 > liked["code"]["a"]
    assert tables.given["t", "u0"] == {}
    tables.given.clear()
    tables.users["t", "u1"] = (2,)
    refresh.step()
    assert list(tables.given) == [("t", "u1")], "the others said nothing new"


def test_what_could_not_be_kept_is_tried_again() -> None:
    class Away(Tables):
        def put(self, tenant, given, read_us) -> None:
            if not self.given:
                self.given = {("tried", ""): 1}
                raise StoreUnavailable("It is away.")
            super().put(tenant, given, read_us)

    tables = Away({("t", "ann"): (1,)})
    refresh = Refresh(InMemory(), tables, lambda: 5, rate=0.1, largest=0.1)
    with pytest.raises(StoreUnavailable):
        refresh.step()
    assert tables.noted == []
    refresh.step()
    assert ("t", "ann") in tables.given
    assert tables.noted == [77]


def test_the_word_of_others_is_looked_at_again_after_five_minutes() -> None:
    evidence, clock = InMemory(), Clock()
    preferences = Preferences(evidence, 0.1, clock)
    asked = {"task": "code", "models": ["a", "b"]}
    assert preferences.recommend("t", "new", **asked).model == "a"
    for user in range(20):
        evidence.keep("t", said("b", 1.0, id=str(user), user_id=str(user)))
    assert preferences.recommend("t", "new", **asked).model == "a"
    clock.at += timedelta(minutes=5)
    assert preferences.recommend("t", "new", **asked).model == "b"
