"""What every part of the settings is made of. Refuses unknown names, so that a typing error is found and not ignored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Tier = Literal["fast", "balanced", "deep", "code"]
Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Section(BaseModel):
    """A part of the settings: immutable, and closed to names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
