"""The parts of the deployment and how they are. What nothing is known of is `unknown`, never healthy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from meliora.errors import StoreError
from meliora.server.context import ControlContext, DiskSeen, Heard, SpoolSeen
from meliora.store.gateways import ALIVE_US as GATEWAY_ALIVE_US
from meliora.store.gateways import GatewaySeen
from meliora.telemetry.processes import ALIVE_US, WorkerBeat, workers

Status = Literal["healthy", "degraded", "unhealthy", "unknown"]
_WORST: tuple[Status, ...] = ("unhealthy", "degraded", "unknown", "healthy")
_SPOOL_FULL = 0.8
"""Share of the largest spool from which on it is a worry."""
_FULL_BYTES, _FULL_FILES = 1_000_000, 0
"""Room from which down a disk takes nothing any more that is worth the name."""
_TIGHT_BYTES, _TIGHT_FILES = 100_000_000, 1_000
_LATE_US = 10_000_000
_TROUBLES = ("policy_troubles", "preference_troubles", "trial_troubles")


class Part(msgspec.Struct, frozen=True):
    """One part: how it is, why, and the numbers behind it."""

    status: Status
    reason: str = ""
    detail: dict[str, Any] = {}


class Health(msgspec.Struct, frozen=True):
    """The worst of all parts, and each of them."""

    status: Status
    parts: dict[str, Part]


def look(context: ControlContext, heard: Mapping[str, Heard]) -> Health:
    """Look at everything. `heard` is what gateways said here, whether or not the store could take it."""
    now = context.clock.now_us()
    lately = {id: one for id, one in dict(heard).items() if now - one.seen_us <= GATEWAY_ALIVE_US}
    said = {id: one.counters for id, one in lately.items()}
    try:
        context.store.deployment.value("state_version")
        gateways, beats = context.store.gateways.list(now), workers(context.store.deployment, now)
    except StoreError as error:
        store = Part("unhealthy", error.message)
        # What is not known: without the store nobody's sign of life can be read.
        parts = {
            "store": store,
            "gateway": Part("unknown", "The store is away.", _on_baselines(said)),
            "worker": Part("unknown", "The store is away."),
        }
        spool = _spool(context, context.spool(), said, ())
    else:
        parts = {"store": _store(lately.values()), "gateway": _gateways(gateways, now), "worker": _workers(beats, now)}
        said = {one.id: one.counters for one in gateways if one.alive} | said
        spool = _spool(context, context.spool(), said, beats)
    control = Part("healthy", detail={"version": context.version})
    parts = {"control": control, **parts, "spool": spool, "disk": _disk(context.disks())}
    return Health(worst(part.status for part in parts.values()), parts)


def worst(statuses: Iterable[Status]) -> Status:
    """Give the worst: unhealthy, degraded, unknown, healthy."""
    found = set(statuses)
    for status in _WORST:
        if status in found:
            return status
    return "unknown"


def _store(lately: Iterable[Heard]) -> Part:
    """What answers may take nothing: whether it does, it is asked every few seconds, by the gateways' signs of life.

    The last one tells: of a gateway that is gone, the one before it was refused may have been the last.
    """
    last = max(lately, key=lambda one: (one.seen_us, one.refused), default=None)
    if last is None or not last.refused:
        return Part("healthy")
    return Part("unhealthy", f"It answers, and takes nothing: {last.refused}")


def _disk(seen: Sequence[DiskSeen]) -> Part:
    if not seen:
        return Part("unknown", "Nothing is known of the disk.")
    tightest = min(seen, key=lambda one: one.free_bytes)
    detail = {"free_bytes": tightest.free_bytes, "path": tightest.path}
    full = _short(seen, _FULL_BYTES, _FULL_FILES)
    if full:
        return Part("unhealthy", f"The disk of {full} is full: records and documents are lost or refused.", detail)
    tight = _short(seen, _TIGHT_BYTES, _TIGHT_FILES)
    if tight:
        return Part("degraded", f"The disk of {tight} is nearly full.", detail)
    return Part("healthy", "", detail)


def _short(seen: Sequence[DiskSeen], least_bytes: int, least_files: int) -> str:
    """Name what lies on disks with no more room than that."""
    return ", ".join(
        one.path
        for one in seen
        if one.free_bytes <= least_bytes or (one.free_files is not None and one.free_files <= least_files)
    )


def _gateways(seen: tuple[GatewaySeen, ...], now: int) -> Part:
    alive = [one for one in seen if one.alive]
    detail: dict[str, Any] = {"alive": len(alive), "versions": sorted({one.version for one in alive})}
    if not seen:
        return Part("unknown", "No gateway has reported yet.", detail)
    if not alive:
        return Part("unhealthy", "No gateway has reported in the last minute.", detail)
    opened = sorted({name for one in alive for name, view in one.breakers.items() if _is_open(view)})
    late = [one.id for one in alive if now - one.seen_us > _LATE_US]
    if opened:
        return Part("degraded", f"Endpoints that are out: {', '.join(opened[:20])}.", {**detail, "open": opened[:100]})
    held = _on_baselines({one.id: one.counters for one in alive})
    if held:
        why = "halted" if "halted" in held else "cut off from the control process"
        return Part("degraded", f"Gateways serve the baselines: {why}.", {**detail, **held})
    troubles = _troubles(alive)
    if troubles:
        return Part("degraded", troubles[0], {**detail, "troubles": troubles[:100]})
    if late:
        return Part("degraded", "A gateway has not reported for ten seconds.", {**detail, "late": late[:100]})
    return Part("healthy", "", detail)


def _troubles(alive: Iterable[GatewaySeen]) -> list[str]:
    """Give what gateways could not load and serve without, or with an older version of."""
    said = [one.counters.get(name) for one in alive for name in _TROUBLES]
    return sorted({str(why) for found in said if isinstance(found, dict) for why in found.values()})


def _on_baselines(said: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Name the gateways that serve the baselines, by why: `halted`, `lapsed`; empty where none does."""
    found = {why: sorted(id for id, counters in said.items() if counters.get(why)) for why in ("halted", "lapsed")}
    return {why: ids for why, ids in found.items() if ids}


def _is_open(view: Any) -> bool:
    return isinstance(view, dict) and view.get("state") == "open"


def _workers(beats: tuple[WorkerBeat, ...], now: int) -> Part:
    if not beats:
        return Part("unknown", "No worker has reported yet.")
    alive = [beat for beat in beats if now - beat.seen_us <= ALIVE_US]
    silent = sorted(f"{beat.host}:{beat.state_dir}" for beat in beats if beat not in alive)
    detail = {"alive": len(alive), "silent": silent, "versions": sorted({beat.version for beat in alive})}
    if not alive:
        return Part("unhealthy", "No worker has reported lately; calls go on and wait in the spool.", detail)
    errors = [beat.error for beat in alive if beat.error]
    return Part("degraded", errors[0], detail) if errors else Part("healthy", "", detail)


def _spool(
    context: ControlContext,
    seen: SpoolSeen | None,
    said: Mapping[str, Mapping[str, Any]],
    beats: tuple[WorkerBeat, ...],
) -> Part:
    dropped = sum(_count(counters.get("spool_dropped")) for counters in said.values())
    # A gateway that names no error writes again; one that is silent about it is not believed to.
    reasons = [counters.get("spool_error", "") for counters in said.values() if _count(counters.get("spool_dropped"))]
    waiting = seen.bytes_waiting if seen is not None else None
    if waiting is None:
        known = [beat.spool_bytes for beat in beats if beat.spool_bytes is not None]
        waiting = sum(known) if known else None
    quarantined = seen.quarantined if seen is not None else sum(beat.quarantined or 0 for beat in beats)
    detail = {"bytes_waiting": waiting, "dropped": dropped, "quarantined": quarantined}
    if any(reason is not None for reason in reasons):
        why = next((f" ({reason})" for reason in reasons if reason), "")
        return Part("unhealthy", f"{dropped} records could not be written and are lost{why}.", detail)
    if dropped:
        return Part("degraded", f"{dropped} records were lost; records are written again.", detail)
    if waiting is None:
        return Part("unknown", "Nothing is known of the spool.", detail)
    if waiting > _SPOOL_FULL * context.settings.recording.spool_max_bytes:
        return Part("degraded", "The spool is nearly full; records will be dropped.", detail)
    if quarantined:
        return Part("degraded", f"{quarantined} records could not be read and were put aside.", detail)
    return Part("healthy", "", detail)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
