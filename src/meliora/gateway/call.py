"""One call: everything known of it while it is served, in one object that only its own task touches."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.gateway.arms import Arm, Basis
from meliora.gateway.catalog import Endpoint, Entry
from meliora.gateway.dialects.inspect import RequestView
from meliora.gateway.inbound import Inbound
from meliora.gateway.state import KeyState
from meliora.gateway.tracing import Span
from meliora.routing.decide import Decision, Wanted
from meliora.telemetry.records import Attempt, Dialect, Leg

MAX_TAGS = 16
_MAX_TAG = 200


class Labels(msgspec.Struct, frozen=True):
    """What the application says about a call, in headers of its own."""

    user: str | None = None
    session: str | None = None
    feature: str | None = None
    message_id: str | None = None
    tags: dict[str, str] | None = None
    kept: bool = True
    """Whether the texts of the call may be kept, where the settings keep any."""


class Text(msgspec.Struct, frozen=True):
    """Content as it is kept: masked and cut, None where none is."""

    text: str | None = None
    masked: int = 0
    cut: bool = False


NOTHING = Text()


class Asked(msgspec.Struct, frozen=True):
    """What a record keeps of a request."""

    text: Text
    task: str | None
    prompt_hash: str | None
    features: dict[str, float]
    size: int


class Call:
    """The state of one call."""

    __slots__ = (
        "arm",
        "asked",
        "attempts",
        "basis",
        "body",
        "cached",
        "decided",
        "decision",
        "dialect",
        "endpoint",
        "entry",
        "finished",
        "gone",
        "id",
        "inbound",
        "key",
        "labels",
        "legs",
        "loss",
        "span",
        "started",
        "started_us",
        "strong_started",
        "ttft_us",
        "upstream_seconds",
        "view",
        "wanted",
    )

    def __init__(self, call_id: str, dialect: Dialect, inbound: Inbound, key: KeyState, started_us: int) -> None:
        self.id = call_id
        self.dialect: Dialect = dialect
        self.inbound = inbound
        self.key = key
        self.started_us = started_us
        self.started = 0.0
        """Monotonic seconds."""
        self.body: dict[str, Any] = {}
        self.view: RequestView | None = None
        self.labels = Labels()
        self.asked: Asked | None = None
        """What the record needs of the request, once the request itself is let go."""
        self.span: Span | None = None
        self.basis: Basis | None = None
        """What it is decided by."""
        self.arm: Arm | None = None
        """The arm of a trial that it counts in."""
        self.wanted: Wanted | None = None
        """What was wanted of the decision."""
        self.decided: Decision | None = None
        """The decision before any model was asked."""
        self.decision: Decision | None = None
        self.entry: Entry | None = None
        self.endpoint: Endpoint | None = None
        self.attempts: list[Attempt] = []
        self.legs: list[Leg] = []
        """Models that were asked beside the one that answers, or before it."""
        self.strong_started = 0.0
        """Monotonic seconds when the strong model of a cascade was asked; 0 where it was not."""
        self.loss: tuple[str, ...] = ()
        self.ttft_us: int | None = None
        self.upstream_seconds = 0.0
        """Time spent waiting for upstreams, up to the first content of a stream."""
        self.cached = False
        self.finished = False
        """Its end is recorded."""
        self.gone = ""
        """Why the client is no longer there: `left` or `stalled`; empty while it is."""

    @property
    def model(self) -> str:
        """The model that answers, as far as is known; empty before the decision."""
        if self.decision is None:
            return ""
        return self.entry.name if self.endpoint is not None and self.entry is not None else self.decision.model

    @property
    def under_way(self) -> bool:
        """Whether a provider was at work on it when it was cancelled."""
        return bool(self.attempts) and self.attempts[-1].error == "cancelled"

    @property
    def reason(self) -> str:
        """Why this model: the decision's reason, `fallback:MODEL` where another one had to take over, or `cache`."""
        if self.cached:
            return "cache"
        if self.decision is None:
            return ""
        decided = self.decision.model
        return self.decision.reason if self.model == decided else f"fallback:{decided}"


def labels_of(inbound: Inbound, user: str | None) -> Labels:
    """Read `x-meliora-user`, `-session`, `-feature`, `-message-id`, `-tags` (`name=value,name=value`) and `-content` (`off`)."""
    headers = inbound.headers
    raw = headers.get(b"x-meliora-tags")
    if raw is None and _LABELS.isdisjoint(headers):
        return Labels(user=_cut(user))
    return Labels(
        user=_label(inbound, b"x-meliora-user") or _cut(user),
        session=_label(inbound, b"x-meliora-session"),
        feature=_label(inbound, b"x-meliora-feature"),
        message_id=_label(inbound, b"x-meliora-message-id"),
        tags=_tags(raw.decode("utf-8", "replace")) if raw else None,
        kept=_may_keep(inbound),
    )


_CONTENT = b"x-meliora-content"
_LABELS = frozenset((b"x-meliora-user", b"x-meliora-session", b"x-meliora-feature", b"x-meliora-message-id", _CONTENT))


def _may_keep(inbound: Inbound) -> bool:
    said = _label(inbound, _CONTENT)
    if said not in (None, "off"):
        raise InvalidRequest(
            f"The header x-meliora-content does not read: {said!r}.",
            hint="Write off, or leave it away: what is kept of other calls stands in the settings.",
            field="x-meliora-content",
        )
    return said is None


def _cut(user: str | None) -> str | None:
    """The body's user is the provider's to judge, and passes whole; what is kept of it has a bound."""
    return user if user is None or len(user) <= _MAX_TAG else user[:_MAX_TAG]


def _label(inbound: Inbound, name: bytes) -> str | None:
    raw = inbound.headers.get(name)
    if raw is None:
        return None
    value = raw.decode("utf-8", "replace").strip()
    if len(value) > _MAX_TAG:
        raise InvalidRequest(f"The header {name.decode()} is longer than {_MAX_TAG} characters.", field=name.decode())
    return value or None


def _tags(raw: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in raw.split(","):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not part.strip():
            continue
        if not equals or not name or len(name) > _MAX_TAG or len(value) > _MAX_TAG or len(tags) >= MAX_TAGS:
            raise InvalidRequest(
                f"The header x-meliora-tags does not read: {part[:80]!r}.",
                hint=f"Write name=value,name=value; at most {MAX_TAGS} of {_MAX_TAG} characters.",
                field="x-meliora-tags",
            )
        tags[name] = value.strip()
    return tags
