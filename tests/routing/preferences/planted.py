"""Interactions in memory, and users whose likings are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from meliora.errors import Conflict, NotFound
from meliora.routing.preferences.interactions import Interaction, Mark
from meliora.routing.preferences.words import WORTH, same_task

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class InMemory:
    """Keeps interactions in a list, by tenant."""

    kept: dict[tuple[str, str], Interaction] = field(default_factory=dict)

    def interactions(self, tenant: str, user: str | None, *, rated: bool = False) -> Sequence[Interaction]:
        mine = [one for (owner, _), one in self.kept.items() if owner == tenant and user in (None, one.user_id)]
        if rated:
            mine = [one for one in mine if one.value is not None]
        return sorted(mine, key=lambda one: one.timestamp)

    def marks(self, tenant: str) -> dict[tuple[str, str], Mark]:
        found: dict[tuple[str, str], list[Interaction]] = {}
        for one in self.interactions(tenant, None):
            if one.value is not None:
                found.setdefault((same_task(one.task_type), one.model), []).append(one)
        return {
            at: Mark(sum(one.value or 0 for one in said), len(said), len({one.user_id for one in said}))
            for at, said in found.items()
        }

    def keep(self, tenant: str, interaction: Interaction) -> Interaction:
        held = self.kept.get((tenant, interaction.id))
        if held is not None and held.user_id not in (None, interaction.user_id):
            raise Conflict("It is another user's.")
        self.kept[tenant, interaction.id] = interaction
        return interaction

    def react(self, tenant: str, id: str, feedback: str, at: datetime, metadata: dict[str, Any] | None) -> Interaction:
        held = self.kept.get((tenant, id))
        if held is None:
            raise NotFound("There is no such interaction.")
        said = {"feedback": feedback, "value": WORTH[feedback], "feedback_timestamp": at}
        self.kept[tenant, id] = msgspec.structs.replace(held, **said, metadata=metadata or held.metadata)
        return self.kept[tenant, id]

    def forget(self, tenant: str, user: str) -> int:
        mine = [at for at, one in self.kept.items() if at[0] == tenant and one.user_id == user]
        for at in mine:
            del self.kept[at]
        return len(mine)


def said(model: str, value: float | None, *, task: str = "code", minutes: float = 0, **more: Any) -> Interaction:
    """Make an interaction of user `ann`, so many minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    word = None if value is None else next(word for word, worth in WORTH.items() if worth == value)
    given: dict[str, Any] = {
        "id": f"{model}-{task}-{minutes}",
        "timestamp": at,
        "user_id": "ann",
        "model": model,
        "task_type": task,
        "feedback": word,
        "value": value,
        "feedback_timestamp": None if value is None else at,
    }
    return Interaction(**given | more)


def series(model: str, values: Sequence[float], *, start: float = 0, **more: Any) -> list[Interaction]:
    """Make one interaction a minute."""
    return [said(model, value, minutes=start + place, **more) for place, value in enumerate(values)]
