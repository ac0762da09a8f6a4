"""`POST /route`: which model, and why, without making the call."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter
from pydantic import Field, model_validator

from meliora.routing.preferences.offsets import Offsets
from meliora.server.again import Again, repeatable
from meliora.server.auth import CallCaller, Caller, HereControl
from meliora.server.choice import Asker, Choice, Question, chooser_of
from meliora.server.context import Control
from meliora.server.inputs import Body, Id, Limit, Name
from meliora.server.shapes import Answer, says

router = APIRouter(tags=["routing"], route_class=Again)

_Text = Annotated[str, Field(max_length=1024 * 1024)]


class RouteFields(Body):
    """A prompt, or the messages of a chat, and what is wanted of the model."""

    prompt: _Text | None = None
    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)] | None = None
    system_prompt: _Text | None = None
    model: Name = Field(default="auto", description="A model, an alias, `auto` or `auto:TIER`.")
    prefer_quality: bool = False
    prefer_speed: bool = False
    max_tokens: Limit | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=1000)] | None = None
    available_models: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Choose among these only: the model's fallbacks first, then the first of the list."
    )
    quality_floor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None, description="Share of the reference model's quality to hold; null: the key's or the settings'."
    )
    willingness_to_pay: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        default=None, description="US dollars for an answer of quality 1 in place of one of quality 0."
    )
    user_id: Id | None = Field(
        default=None,
        description="Whose preferences move a learned policy's choice a little, and whose arm of a trial decides.",
    )
    explain: bool = Field(
        default=True,
        description="Say of each model that was not taken why, and of each candidate what a learned policy foresees.",
    )

    @model_validator(mode="after")
    def _asks_something(self) -> RouteFields:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("write either `prompt` or `messages`")
        return self

    def chat(self) -> dict[str, Any]:
        """Give it as a request of the chat dialect."""
        turns = [{"role": "user", "content": self.prompt}] if self.messages is None else self.messages
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        body: dict[str, Any] = {"model": self.model, "messages": [*system, *turns]}
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        if self.tools:
            body["tools"] = self.tools
        return body


@router.post("/route", **says(Choice, 404))
@repeatable
def route(asked: RouteFields, caller: CallCaller, control: HereControl) -> Answer:
    """Decide as the gateway would, exploration left aside, and say why. Nothing is called, recorded or charged."""
    key = caller.key
    choice = chooser_of(control, caller.tenant, Asker(caller.key_id, asked.user_id)).choose(
        Question(
            tenant=caller.tenant,
            body=asked.chat(),
            prefer_quality=asked.prefer_quality,
            prefer_speed=asked.prefer_speed,
            regions=key.regions if key is not None else None,
            allowed=key.models if key is not None else None,
            available=asked.available_models,
            key=key,
            quality_floor=asked.quality_floor,
            willingness_to_pay=asked.willingness_to_pay,
            offsets=_offsets(asked, caller, control),
            explain=asked.explain,
        )
    )
    return Answer(choice if asked.explain else msgspec.structs.replace(choice, rejected=()))


def _offsets(asked: RouteFields, caller: Caller, control: Control) -> Offsets | None:
    wished = control.context.settings.routing.preferences
    if asked.user_id is None or not wished.enabled:
        return None
    return control.preferences.offsets(caller.tenant, asked.user_id, wished.largest)
