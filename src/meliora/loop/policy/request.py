"""What a policy is asked: an actor, an action, a target and the facts. What is not known is the careful default."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from meliora.loop.audit.entry import word
from meliora.loop.change import Environment

ActorKind = Literal["person", "agent", "gate", "schedule", "system"]
Action = Literal[
    "propose",
    "prove",
    "try",
    "deliver",
    "keep",
    "roll_back",
    "pause",
    "resume",
    "approve",
    "reject",
    "kill",
    "start",
    "stop",
    "trigger",
    "set_gate",
    "set_flag",
]
Touches = Literal["auth", "policy", "audit", "secrets", "schema", "history", "content", "code"]

RESTORING: frozenset[Action] = frozenset({"roll_back", "pause", "kill", "stop"})
"""What only makes things safer: a broken policy does not stand in its way."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `key` is a key id, `cli`, or the name of a gate, a schedule or a part of Meliora."""

    kind: ActorKind
    key: str
    role: Literal["admin", "member", "none"] = "none"
    scopes: tuple[str, ...] = ()
    tenant: str = "default"

    @property
    def name(self) -> str:
        """Give the actor as the audit names it: a person or agent by key, all others with their kind."""
        return self.key if self.kind in ("person", "agent") else word(f"{self.kind}:{self.key}")


LOOP = Actor(kind="system", key="loop", role="admin")
"""The loop itself, as it takes the edges of changes."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What it is about. `kind` is a kind of change, or `loop`, `flag`, `gate`, `policy`."""

    id: str
    kind: str
    surface: str = ""
    tenant: str = "default"
    protected: bool = False
    destructive: bool = False
    touches: tuple[Touches, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at the edge. `rules/meliora.cedarschema` says what each means."""

    environment: Environment
    simulated: bool = False
    proposer: str = ""
    proposer_kind: ActorKind = "system"
    auto_promote: bool = False
    proved: bool = False
    trial_needed: bool = True
    trial_won: bool = False
    rehearsed: bool = False
    backed_up: bool = False
    sandboxed: bool = False
    approved: bool = False
    approver: str = ""
    degraded: bool = False
    halted: bool = False
    running: bool = True
    within_caps: bool = True
    changes_today: int = 0
    cycles_today: int = 0
    spent_micros: int = 0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question to the policies."""

    actor: Actor
    action: Action
    target: Target
    facts: Facts

    def plain(self) -> dict[str, Any]:
        """Give it as the audit keeps it and as policies see it: ids that are not one word stand as a hash."""
        plain = msgspec.to_builtins(self)
        for part, name in (("actor", "key"), ("actor", "tenant"), ("target", "id"), ("target", "kind")):
            plain[part][name] = word(plain[part][name])
        for part, name in (("target", "surface"), ("target", "tenant"), ("facts", "proposer"), ("facts", "approver")):
            plain[part][name] = word(plain[part][name]) if plain[part][name] else ""
        plain["actor"]["scopes"] = sorted(plain["actor"]["scopes"])
        plain["target"]["touches"] = sorted(plain["target"]["touches"])
        return plain


def cedar(plain: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Give a plain request as Cedar takes it: the request, and the entities it is about."""
    actor, target = dict(plain["actor"]), dict(plain["target"])
    kind, facts = actor.pop("kind").capitalize(), dict(plain["facts"])
    facts["proposer_kind"] = facts["proposer_kind"].capitalize()
    who, what = {"type": kind, "id": actor["key"]}, {"type": "Target", "id": target.pop("id")}
    asked = {
        "principal": who,
        "action": {"type": "Action", "id": plain["action"]},
        "resource": what,
        "context": facts,
    }
    return asked, [{"uid": who, "attrs": actor, "parents": []}, {"uid": what, "attrs": target, "parents": []}]
