"""Kinds of input that several routers share: bounded texts, names and numbers, moments, free JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from starlette.convertors import PathConvertor, register_url_convertor

BIG = 2**53
"""Above every number that is accepted: what JavaScript and both databases keep exactly."""
_JSON_BYTES = 16 * 1024
_MICROS = 1_000_000
_LATEST = 253_402_300_800
"""The year 10000, in seconds."""


class _Rest(PathConvertor):
    """The rest of an address, whatever it holds: Starlette's own `path` ends at a line break."""

    regex = r"[\s\S]*"


register_url_convertor("rest", _Rest())

User = Annotated[str, Path(min_length=1, max_length=200)]
"""A user named by the rest of an address, `{user:rest}`."""


class Body(BaseModel):
    """A request body: closed to names it does not know, so that a typing error is found and not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class CamelBody(BaseModel):
    """A request body whose names may be written in camelCase or snake_case."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), alias_generator=to_camel, populate_by_name=True
    )


def _small(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(msgspec.json.encode(value))
    except (UnicodeEncodeError, RecursionError, msgspec.MsgspecError) as error:
        raise ValueError("this cannot be kept as JSON") from error
    if size > _JSON_BYTES:
        raise ValueError(f"at most {_JSON_BYTES} bytes of JSON")
    return value


def _moment(value: Any) -> int:
    """Read ISO 8601, `YYYY-MM-DD`, or microseconds since the epoch. Without a zone it is UTC."""
    text = str(value).strip()
    if text.isascii() and text.isdigit() and len(text) <= 17:
        return int(text)
    try:
        # A `+` in an address that was not encoded arrives as a space.
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        seconds = found.timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError("write a time like 2026-11-21T08:00:00Z, or microseconds since the epoch") from error
    if not 0 <= seconds < _LATEST:
        raise ValueError("write a time between 1970 and 9999")
    return round(seconds * _MICROS)


Name = Annotated[str, Field(min_length=1, max_length=200)]
LongText = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0, lt=BIG, strict=True)]
Limit = Annotated[int, Field(ge=1, lt=BIG, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_small)]
Moment = Annotated[
    int,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "UTC unless it says otherwise."}),
]
Id = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value), Field(max_length=200)]
"""An id of the application's own; a number is taken as its digits."""

Since = Annotated[Moment | None, Query(description="From this moment on.")]
Until = Annotated[Moment | None, Query(description="Before this moment.")]
PageLimit = Annotated[int, Query(ge=1, le=500, description="Most items of one page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]
Filter = Annotated[str | None, Query(max_length=200)]
