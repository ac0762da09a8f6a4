"""Two answers checked by a third model, for what must not be wrong. Every leg is an ordinary call under the caller's own key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field, model_validator

from meliora.errors import InvalidRequest, MelioraError, Overloaded
from meliora.routing.crosscheck import CrossChecked, Seats, cross_check, unchecked
from meliora.server.again import Again
from meliora.server.auth import CallCaller, HereControl
from meliora.server.choice import Chooser, Question, chooser_of
from meliora.server.context import CHECKS, Control
from meliora.server.inputs import Body, Limit, Name
from meliora.server.routers.decisions import Messages, Text, question_of
from meliora.server.shapes import Answer, says

router = APIRouter(tags=["routing"], route_class=Again)

FEATURE = "crosscheck"
"""Feature under which the legs are recorded, so that `GET /api/v1/analytics/usage?by=feature` shows what checking costs."""


class CheckFields(Body):
    """A prompt or a conversation, and how much depends on the answer."""

    prompt: Text | None = None
    messages: Messages | None = None
    stakes: Literal["low", "medium", "high", "critical"] = Field(
        default="high", description="Below what `[routing.crosscheck]` names, one model answers alone."
    )
    models: (
        Annotated[
            tuple[Name, Name], Field(description="The two that answer. Default: what `auto` takes, and the next best.")
        ]
        | None
    ) = None
    reviewer: Name | None = Field(default=None, description="Default: a model of the deep tier that gave no answer.")
    arbitrator: Name | None = Field(
        default=None, description="Default: another of the deep tier, or else the reviewer."
    )
    max_tokens: Limit | None = Field(default=None, description="Counted in the choice of the models.")

    @model_validator(mode="after")
    def _asks_something(self) -> CheckFields:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("write either `prompt` or `messages`")
        return self


@router.post("/routing/crosscheck", **says(CrossChecked, 404, 429, 502, 504))
def crosscheck(asked: CheckFields, request: Request, caller: CallCaller, control: HereControl) -> Answer:
    """Let two models answer and a third compare; where they contradict each other an arbitrator of the deep tier settles it."""
    settings = control.context.settings.routing.crosscheck
    messages = [{"role": "user", "content": asked.prompt}] if asked.messages is None else asked.messages
    body: dict[str, Any] = {"model": "auto", "messages": messages}
    if asked.max_tokens is not None:
        body["max_tokens"] = asked.max_tokens
    chooser, question = chooser_of(control, caller.tenant), question_of(caller, body)
    with _one_of_few(control):
        ask = control.context.ask(_secret(request), FEATURE, settings.timeout)
        if asked.stakes not in settings.stakes:
            model = asked.models[0] if asked.models is not None else chooser.choose(question).model
            listed = " or ".join(settings.stakes) or "none"
            why = f"The stakes are {asked.stakes}; answers are checked where they are {listed}."
            return Answer(unchecked(messages, model, ask, why))
        return Answer(
            cross_check(messages, _seats(chooser, question, asked, settings.reviewer, settings.arbitrator), ask)
        )


def _seats(chooser: Chooser, question: Question, asked: CheckFields, reviewer: str, arbitrator: str) -> Seats:
    """Choose who does what. Raises `InvalidRequest` where there are not three models for it, `UnknownModel` for a name that is none."""
    for name in (*(asked.models or ()), asked.reviewer or reviewer, asked.arbitrator or arbitrator):
        if name:
            chooser.choose(replace(question, body={**question.body, "model": name}))
    first = asked.models[0] if asked.models is not None else chooser.choose(question).model
    if asked.models is not None and asked.models[0] == asked.models[1]:
        raise InvalidRequest("One model cannot check itself.", hint="Name two.", field="models")
    second = asked.models[1] if asked.models is not None else _other(chooser, question, "auto", {first})
    if second is None:
        raise InvalidRequest("A cross-check takes three models, and one can serve this call.", field="models")
    judge = asked.reviewer or reviewer or _other(chooser, _plain(question), "auto:deep", {first, second})
    if judge is None or judge in (first, second):
        raise InvalidRequest("A cross-check takes a third model to compare the answers.", field="reviewer")
    settler = asked.arbitrator or arbitrator or _other(chooser, _plain(question), "auto:deep", {first, second, judge})
    return Seats(first, second, judge, settler or judge)


def _other(chooser: Chooser, question: Question, ask: str, taken: set[str]) -> str | None:
    """Give what would be chosen if these models were not there; None where nothing else can serve the call."""
    left = tuple(model.name for model in chooser.offers.all() if model.name not in taken)
    if not left:
        return None
    try:
        return chooser.choose(replace(question, body={**question.body, "model": ask}, available=left)).model
    except MelioraError as error:
        if isinstance(error, InvalidRequest):
            return None
        raise


def _plain(question: Question) -> Question:
    """Give a question of words alone: whoever judges needs neither eyes nor tools."""
    words = msgspec.json.encode(question.body["messages"]).decode()
    return replace(question, body={"model": "auto:deep", "messages": [{"role": "user", "content": words}]})


def _secret(request: Request) -> str:
    """Give the caller's key as it came; without one, the calls are as anonymous as this one."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "anonymous")


@contextmanager
def _one_of_few(control: Control) -> Iterator[None]:
    """Let a few in at a time. Raises `Overloaded` for one too many."""
    if not control.checking.acquire(blocking=False):
        raise Overloaded(f"{CHECKS} cross-checks are running.", retry_after=5)
    try:
        yield
    finally:
        control.checking.release()
