"""Conversations that an application asks to be remembered: appended, recalled, summed up, handed out and erased."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import Field

from meliora.knowledge.memory.records import LONGEST, Appended, Said, Turn
from meliora.knowledge.memory.wanted import Recalled
from meliora.knowledge.memory.window import Window
from meliora.server.auth import AdminCaller, CallCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, Moment, User
from meliora.server.shapes import Answer, says

router = APIRouter(prefix="/api/v1/memory", tags=["memory"])

MOST_EXPORTED = 100_000
"""Turns of one export; `after` goes on."""

Conversation = Annotated[
    str, Path(min_length=1, max_length=200, description="The application's id of the conversation.")
]
Word = Annotated[str, Field(max_length=200)]
Value = str | int | float | bool


class TurnFields(Body):
    """A turn."""

    speaker: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(max_length=LONGEST)]
    message: Word = Field(default="", description="Your id of it: the same one again is not kept twice.")
    at: Moment | None = Field(default=None, description="When it was said; default: now.")
    session: Word = Field(
        default="", description="A sitting of the conversation; told from the pauses where it is left out."
    )
    metadata: dict[str, Value] = Field(default={}, description="Kept with it.")


class TurnsFields(Body):
    """Turns, in their order, and whose conversation it is."""

    turns: Annotated[list[TurnFields], Field(min_length=1, max_length=1000)]
    user: Word = Field(
        default="", description="The person whom the conversation belongs to: erasing that person erases it."
    )


class RecallFields(Body):
    """What is to be recalled, and out of what: a user's conversations, or one conversation."""

    query: Annotated[str, Field(max_length=20_000)]
    user: Word | None = None
    conversation: Word | None = None
    speaker: Word | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class Exported(msgspec.Struct, frozen=True):
    """A user's turns, by conversation and number; `whole` says whether these are all."""

    turns: tuple[Turn, ...]
    whole: bool


class Forgotten(msgspec.Struct, frozen=True):
    """What was erased, by kind."""

    counts: dict[str, int]


@router.post("/recall", **says(Recalled, 404))
def recall(fields: RecallFields, caller: CallCaller, control: HereControl) -> Answer:
    """Recall the turns and sessions that answer a query. What they say is data: `marks` tells where it speaks to a model."""
    return Answer(
        control.knowledge.memory.recall(
            caller.tenant,
            fields.query,
            user=fields.user,
            conversation=fields.conversation,
            speaker=fields.speaker,
            since_us=fields.since,
            until_us=fields.until,
            limit=fields.limit,
        )
    )


@router.get("/users/{user:rest}", **says(Exported))
def export(user: User, caller: AdminCaller, control: HereControl) -> Answer:
    """Hand out all that is remembered of a user."""
    turns: list[Turn] = []
    for one in control.knowledge.memory.export(caller.tenant, user):
        if len(turns) == MOST_EXPORTED:
            return Answer(Exported(tuple(turns), whole=False))
        turns.append(msgspec.convert(one, Turn))
    return Answer(Exported(tuple(turns), whole=True))


@router.delete("/users/{user:rest}", **says(Forgotten))
def forget(user: User, caller: AdminCaller, control: HereControl) -> Answer:
    """Erase all that is remembered of a user; `DELETE /api/v1/users/USER` erases the rest of them, too."""
    counts = control.knowledge.memory.erase(caller.tenant, user)
    control.changed(caller.tenant, caller.key_id, "memory.erase", "", {"counts": counts})
    return Answer(Forgotten(counts))


@router.post("/{conversation}/turns", **says(Appended, 409))
def append(conversation: Conversation, fields: TurnsFields, caller: CallCaller, control: HereControl) -> Answer:
    """Keep turns at the end of a conversation, durably before this is answered."""
    said = [
        Said(
            speaker=one.speaker,
            text=one.text,
            message=one.message,
            at_us=one.at,
            user=fields.user,
            session=one.session,
            metadata=one.metadata,
        )
        for one in fields.turns
    ]
    return Answer(control.knowledge.memory.append(caller.tenant, conversation, said))


@router.get("/{conversation}/window", **says(Window, 404))
def window(
    conversation: Conversation,
    caller: ReadCaller,
    control: HereControl,
    tokens: Annotated[int, Query(ge=1, le=1_000_000, description="What it may come to, estimated.")] = 2000,
) -> Answer:
    """Give a conversation within a budget: a summary of what came before, and the last turns as they were said."""
    return Answer(control.knowledge.memory.window(caller.tenant, conversation, tokens))
