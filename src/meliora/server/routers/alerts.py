"""Alerts: what people were told, and what an Alertmanager tells us. What comes in is a signal to measure by, never an instruction."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from meliora.loop.alerts import AlertRow
from meliora.server.again import Again
from meliora.server.auth import FeedbackCaller, HereControl, ReadCaller
from meliora.server.inputs import Cursor, PageLimit
from meliora.server.shapes import Answer, says
from meliora.store.cursors import Page
from meliora.store.loop.alerts import Incoming

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], route_class=Again)

OWN = "meliora"
"""Label `source` of what went out from here."""


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("this holds characters that cannot be printed")
    return text


Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain)]
Value = Annotated[str, Field(max_length=200), AfterValidator(_plain)]


class Foreign(BaseModel):
    """Another system's body: what is not known of it is left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class AlertFields(Foreign):
    """One alert as Alertmanager sends it. Annotations are not kept."""

    status: Literal["firing", "resolved"]
    labels: Annotated[dict[Label, Value], Field(max_length=64)]
    startsAt: datetime | None = None  # noqa: N815 - Alertmanager's name
    fingerprint: Annotated[str, Field(max_length=64, pattern=r"^[0-9A-Za-z]*$")] = ""


class Notification(Foreign):
    """What Alertmanager's webhook sends."""

    version: Annotated[str, Field(max_length=10)] = "4"
    alerts: Annotated[list[AlertFields], Field(max_length=200)]


class TakenAlerts(msgspec.Struct, frozen=True):
    """How many alerts were taken, and how many left since they came from here."""

    taken: int
    own: int


@router.post("/alertmanager", **says(TakenAlerts))
def alertmanager(said: Notification, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Take what an Alertmanager's webhook receiver sends; what went out from here is left aside.

    Each alert is an observation of the metric `alert:NAME`: 1 while it fires, else 0. A gate with `source = "pushed"` and
    `query = "alert:NAME"` acts on it.
    """
    foreign = [_incoming(one, control.now_us()) for one in said.alerts if one.labels.get("source") != OWN]
    control.store.alerts.came(caller.tenant, foreign)
    for one in foreign:
        context = {"category": one.severity, "fingerprint": one.fingerprint}
        control.store.metrics.record(caller.tenant, f"alert:{one.name}", float(one.firing), "", context)
    return Answer(TakenAlerts(len(foreign), len(said.alerts) - len(foreign)))


@router.get("", **says(Page[AlertRow]))
def listed(
    caller: ReadCaller,
    control: HereControl,
    status: Literal["firing", "resolved"] | None = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Answer:
    """List alerts, the last seen first: what was told from here, and what came in."""
    return Answer(control.store.alerts.list(caller.tenant, status=status, limit=limit, cursor=cursor))


def _incoming(said: AlertFields, now_us: int) -> Incoming:
    labels = dict(said.labels)
    name = labels.get("alertname") or "unnamed"
    known = said.fingerprint or sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()[:16]
    severity = labels.get("severity", "")
    return Incoming(
        fingerprint=known,
        name=name[:190],
        severity=severity if severity in ("info", "warning", "critical") else "warning",
        firing=said.status == "firing",
        labels=dict(sorted(labels.items())[:32]),
        began_us=_micros(said.startsAt, now_us),
    )


def _micros(at: datetime | None, now_us: int) -> int:
    """Give a time; one that is none, or lies ahead, is now."""
    if at is None:
        return now_us
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    try:
        found = round(aware.timestamp() * 1e6)
    except (OverflowError, ValueError, OSError):
        return now_us
    return found if 0 < found <= now_us else now_us
