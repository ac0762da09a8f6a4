"""What a call wants of the choice of a model: its request, its key, what is left of the key's budgets, and the hour."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meliora.gateway.admission import Admission
from meliora.gateway.arms import Basis
from meliora.gateway.call import Call
from meliora.gateway.likings import offsets_of
from meliora.gateway.reading import needs_of
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.tries import Means
from meliora.routing.decide import Wanted
from meliora.routing.dialled import FLOOR_HEADER, PAY_HEADER, Dialled, dialled, pace
from meliora.settings.routing import Dial

_HOUR_US = 3_600_000_000


def wanted_of(call: Call, snapshot: Snapshot, basis: Basis, admission: Admission, means: Means) -> Wanted:
    """Put together what the decision takes. Raises `InvalidRequest` for a dial that makes no sense."""
    view, key, headers = call.view, call.key, call.inbound.headers
    assert view is not None
    settings = snapshot.settings.routing.dial
    floor, pay = headers.get(FLOOR_HEADER), headers.get(PAY_HEADER)
    is_learned = basis.learned is not None
    explores = key.explore and not snapshot.safety.halted
    dial = None
    if is_learned or floor is not None or pay is not None:  # without a policy: only to refuse what makes no sense
        dial = _paced(dialled(floor, pay, key, settings), settings, call, admission)
    return Wanted(
        tenant=key.tenant,
        model=view.model,
        text=view.prompt_text,
        needs=needs_of(view, call.dialect),
        input_tokens=view.input_chars // 4,
        max_output=view.max_output_tokens,
        regions=key.regions,
        allowed=key.models,
        dial=dial,
        left_micros=_left(call, admission),
        hour=call.started_us % (24 * _HOUR_US) / _HOUR_US,
        explore=explores,
        uniform=means.random.random() if is_learned and explores else None,
        offsets=_offsets(call, snapshot) if is_learned else None,
        whole=not view.stream and call.dialect != "embeddings",
        task_later=snapshot.settings.recording.content != "off" and not (basis.choices and basis.choices.by_task),
    )


def _offsets(call: Call, snapshot: Snapshot) -> Mapping[str, Mapping[str, float]] | None:
    """Give what the call's user likes, as offsets by task and model."""
    if not snapshot.settings.routing.preferences.enabled:
        return None
    return offsets_of(snapshot.loaded.likings, snapshot.state.secret, call.key.tenant, call.labels.user)


def _left(call: Call, admission: Admission) -> int | None:
    """Give what is left of the key's budgets, as far as it is known."""
    key = call.key
    if key.budget_day_micros is None and key.budget_month_micros is None:
        return None
    spent = admission.ledger.spent(key, call.started_us)
    left = [
        budget - gone
        for budget, gone in zip((key.budget_day_micros, key.budget_month_micros), spent, strict=True)
        if budget is not None and gone is not None
    ]
    return min(left, default=None)


def _paced(dial: Dialled, settings: Dial, call: Call, admission: Admission) -> Dialled:
    """Slow the dial of a key that spends its day's budget too fast; what a request asks for by itself it gets."""
    budget = call.key.budget_day_micros
    if budget is None or not settings.pacing or dial.source == "request":
        return dial
    spent, _ = admission.ledger.spent(call.key, call.started_us)
    if spent is None:
        return dial
    share = pace(spent, budget, call.started_us, settings.pace_floor)
    return dial if share == 1.0 else msgspec.structs.replace(dial, pace=share)
