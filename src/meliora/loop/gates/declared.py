"""Gates and triggers as the settings have them, over the shipped ones."""

from __future__ import annotations

import msgspec

from meliora.errors import SettingsError
from meliora.loop.gates.gate import Gate, Slice, check_all, defaults
from meliora.loop.triggers import Rollback, Trigger
from meliora.settings.loop import Loop, LoopGate, LoopTrigger


def gates_of(loop: Loop) -> tuple[Gate, ...]:
    """Give the gates that hold in the environment of the settings. Raises `InvalidRequest` for one that cannot be judged.

    With `mock_signals` (dev only) recorded and pushed figures are simulated; a query of the user's is asked all the same.
    """
    if loop.mock_signals and loop.environment != "dev":
        raise SettingsError(f"Signals are not simulated in {loop.environment}.", hint="Only dev may simulate.")
    held = {gate.name: gate for gate in defaults()} if loop.shipped_gates else {}
    held |= {gate.name: _gate(gate) for gate in loop.gates}
    checked = check_all(held.values(), loop.environment)
    if not loop.mock_signals:
        return checked
    return tuple(
        msgspec.structs.replace(gate, source="simulated") if gate.kind in ("telemetry", "pushed") else gate
        for gate in checked
    )


def triggers_of(loop: Loop) -> tuple[Trigger, ...]:
    """Give the triggers of the settings, unchecked: `Triggers` holds them against gates and kinds."""
    return tuple(_trigger(trigger) for trigger in loop.triggers)


def _gate(given: LoopGate) -> Gate:
    return Gate(
        name=given.name,
        metric=given.metric,
        direction=given.direction,
        threshold=None if given.relative else given.threshold,
        change=given.threshold if given.relative else None,
        source=given.source,
        query=given.query,
        window_seconds=given.window_seconds,
        every_seconds=given.every_seconds,
        minimum=given.minimum,
        fail_after=given.fail_after,
        pass_after=given.pass_after,
        near=given.near,
        severity=given.severity,
        environments=tuple(given.environments),
        where=Slice(
            model=given.model or None,
            endpoint=given.endpoint or None,
            task=given.task or None,
            feature=given.feature or None,
        ),
    )


def _trigger(given: LoopTrigger) -> Trigger:
    undo = Rollback(
        worse_than=None if given.rollback_relative else given.rollback_at,
        worse_by=given.rollback_at if given.rollback_relative else None,
    )
    return Trigger(
        name=given.name,
        gate=given.gate,
        kinds=tuple(given.kinds),
        diagnosis=given.diagnosis,
        threshold=given.threshold,
        response_seconds=given.response_seconds,
        rollback=undo,
        enabled=given.enabled,
    )
