"""Preferences as documented: tell of interactions, react to them, ask what to use, export, import, forget."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field

from meliora.routing.preferences.interactions import Interaction, moment
from meliora.routing.preferences.tracker import (
    Exported,
    PreferenceStats,
    PreferredSettings,
    Recommendation,
)
from meliora.routing.preferences.words import FeedbackType, task_of
from meliora.server.again import Again, repeatable
from meliora.server.auth import AdminCaller, Caller, FeedbackCaller, HereControl, ReadCaller
from meliora.server.context import Control
from meliora.server.inputs import Body, Count, Filter, Id, JsonObject, Moment, Name, Number, User
from meliora.server.shapes import Answer, says

router = APIRouter(prefix="/preferences", tags=["preferences"], route_class=Again)

_Text = Annotated[str, Field(max_length=1024 * 1024)]
_Models = Annotated[tuple[Name, ...], Field(max_length=200)]
_MOST = 5000


class InteractionFields(Body):
    """One answer that a user got. The prompt itself is never kept."""

    id: Id = Field(default="", description="Told again, it replaces what was told; empty: one is made.")
    timestamp: Moment | None = Field(default=None, description="Default: now.")
    user_id: Id | None = None
    model: Name
    task_type: Name | None = Field(default=None, description="Default: recognised in the prompt, else unknown.")
    prompt: _Text | None = Field(default=None, description="For its task, length and keyed hash.")
    prompt_hash: Annotated[str, Field(max_length=64)] | None = None
    prompt_length: Count | None = None
    response_length: Count | None = Field(default=None, description="Characters.")
    latency_ms: Annotated[Number, Field(ge=0, lt=1e12)] | None = None
    feedback: FeedbackType | None = None
    feedback_timestamp: Moment | None = None
    metadata: JsonObject | None = Field(
        default=None, description="`tone`, `verbosity`, `code_style` and `explanation_depth` are learned from."
    )
    value: Number | None = Field(default=None, description="As exported; what the feedback is worth is known here.")

    def told(self, control: Control) -> Interaction:
        """Give it as it is kept."""
        kept = self.model_dump(exclude={"prompt", "value", "timestamp", "feedback_timestamp"})
        if self.prompt is not None:
            secret = bytes.fromhex(control.store.secret)[:64]
            hashed = blake2b(self.prompt.encode("utf-8", "surrogatepass"), key=secret, digest_size=16).hexdigest()
            kept["prompt_hash"] = self.prompt_hash or hashed
            kept["prompt_length"] = len(self.prompt) if self.prompt_length is None else self.prompt_length
            kept["task_type"] = self.task_type or task_of(self.prompt)
        kept["timestamp"] = moment(control.now_us() if self.timestamp is None else self.timestamp)
        if self.feedback is not None:
            kept["feedback"] = self.feedback.value
            kept["feedback_timestamp"] = moment(self.feedback_timestamp) if self.feedback_timestamp else None
        return Interaction(**kept)


class ReactionFields(Body):
    """What is said of an interaction or a call. The last word stands."""

    interaction_id: Id = Field(description="`id` of an interaction, or `x-meliora-call` of an answer.")
    feedback: FeedbackType
    metadata: JsonObject | None = None


class RecommendFields(Body):
    """For whom and for what. A task, or a prompt in which it is recognised."""

    user_id: Id | None = None
    task_type: Name | None = None
    prompt: _Text | None = None
    models: _Models = Field(
        default=(),
        description="To choose from. Default: those rated at this task; where none was, the models on offer.",
    )
    explore: bool = Field(default=False, description="Now and then show what might be better, to learn.")


class ImportFields(Body):
    """What an export gave."""

    format: Annotated[int, Field(ge=1, le=1)] = 1
    user_id: Id | None = Field(default=None, description="Whose they are, where an interaction does not say.")
    interactions: Annotated[list[InteractionFields], Field(max_length=_MOST)]


class Imported(msgspec.Struct, frozen=True):
    """How many interactions were kept."""

    imported: int


class Forgotten(msgspec.Struct, frozen=True):
    """How many interactions of the user count no more."""

    forgotten: int


@router.post("/interaction", **says(Interaction, 409, status=201))
def interaction(fields: InteractionFields, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Tell of an answer that a user got, with or without a word on it. Calls through the gateway are known by themselves."""
    return Answer(control.preferences.keep(caller.tenant, fields.told(control)), status_code=201)


@router.post("/feedback", **says(Interaction, 404))
def feedback(fields: ReactionFields, caller: FeedbackCaller, control: HereControl) -> Answer:
    """React to an interaction or a call: positive, negative, neutral, regenerate, edit, thumbs or stars."""
    return Answer(
        control.preferences.react(caller.tenant, fields.interaction_id, fields.feedback.value, fields.metadata)
    )


@router.post("/recommend", **says(Recommendation))
@repeatable
def recommend(fields: RecommendFields, caller: ReadCaller, control: HereControl) -> Answer:
    """Say which model a user will probably like best, and how sure that is."""
    return Answer(_recommended(fields, caller, control))


@router.get("/recommend", **says(Recommendation))
def recommended(
    caller: ReadCaller,
    control: HereControl,
    user_id: Filter = None,
    task_type: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    prompt: Annotated[str | None, Query(max_length=10_000)] = None,
    models: Annotated[tuple[Name, ...], Query(max_length=200)] = (),
) -> Answer:
    """Say the same; never explores."""
    fields = RecommendFields(user_id=user_id, task_type=task_type, prompt=prompt, models=models)
    return Answer(_recommended(fields, caller, control))


@router.get("/stats", **says(PreferenceStats))
def stats(caller: ReadCaller, control: HereControl, user_id: Filter = None) -> Answer:
    """Show uses, verdicts, latency and the documented score of each model, and how well ratings were foretold."""
    return Answer(control.preferences.stats(caller.tenant, user_id))


@router.get("/style", **says(PreferredSettings))
def style(caller: ReadCaller, control: HereControl, user_id: Filter = None) -> Answer:
    """Show how a user likes answers written: tone, length, verbosity, code style, depth of explanation."""
    return Answer(control.preferences.settings(caller.tenant, user_id))


@router.get("/export", **says(Exported))
def export(caller: ReadCaller, control: HereControl, user_id: Filter = None) -> Answer:
    """Export all that is learned from: the latest 2,000 interactions of a user, or of all."""
    return Answer(control.preferences.exported(caller.tenant, user_id))


@router.post("/import", **says(Imported, 409))
def imported(fields: ImportFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Import what was exported; again, it changes nothing."""
    given = [one.told(control) for one in fields.interactions]
    own = [one if one.user_id is not None else msgspec.structs.replace(one, user_id=fields.user_id) for one in given]
    count = control.preferences.imported(caller.tenant, own)
    control.changed(caller.tenant, caller.key_id, "preferences.import", "", {"interactions": count})
    return Answer(Imported(count))


@router.delete("/users/{user:rest}", **says(Forgotten))
def forget(user: User, caller: AdminCaller, control: HereControl) -> Answer:
    """Forget what a user likes: nothing said or done until now counts any more. Calls and feedback themselves stay."""
    count = control.preferences.forget(caller.tenant, user)
    # The activity log names no person, least of all one who was just forgotten.
    control.changed(caller.tenant, caller.key_id, "preferences.forget", "", {"interactions": count})
    return Answer(Forgotten(count))


def _recommended(fields: RecommendFields, caller: Caller, control: Control) -> Recommendation:
    asked: dict[str, Any] = {"task": fields.task_type, "prompt": fields.prompt, "explore": fields.explore}
    offered = tuple(model.name for model in control.context.offers().all() if model.capabilities != {"embeddings"})
    return control.preferences.recommend(caller.tenant, fields.user_id, models=fields.models, offered=offered, **asked)
