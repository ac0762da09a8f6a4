"""What a call asks for and what was decided for it, as far as the choice of a model is concerned. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from meliora.gateway.state import ChoiceState
from meliora.routing.dialled import Dialled
from meliora.telemetry.records import RoutingTrace


class Wanted(msgspec.Struct, frozen=True):
    """What a call asks for, as far as the choice of a model is concerned."""

    tenant: str
    model: str
    """A model, an alias, `auto`, `auto:TIER`, or `PROVIDER/MODEL`."""
    text: str = ""
    """System prompt and last user message."""
    needs: frozenset[str] = frozenset()
    """Capabilities: `tools`, `vision`, `json_schema`, `audio`, `embeddings`, `reasoning`."""
    input_tokens: int | None = None
    """Estimate over the whole conversation."""
    max_output: int | None = None
    regions: tuple[str, ...] | None = None
    """Regions the key is confined to."""
    allowed: tuple[str, ...] | None = None
    """Names or globs of the models the key may use."""
    prefer_quality: bool = False
    prefer_speed: bool = False
    dial: Dialled | None = None
    """What quality may cost; None: by the settings."""
    left_micros: int | None = None
    """What is left of the key's budgets, micro-dollars; None: no limit, or not known."""
    hour: float = 0.0
    """Of the day, UTC."""
    explore: bool = False
    """Whether the call may be used to learn."""
    uniform: float | None = None
    """A number drawn from [0, 1), for exploration; None: what looks best is taken, and only the probabilities are told."""
    offsets: Mapping[str, Mapping[str, float]] | None = None
    """The user's preferences: quality points by task (as `preferences.words.same_task` spells it) and model."""
    whole: bool = False
    """Whether the answer is given whole, to a call that may go to several models."""
    task_later: bool = False
    """Whether the task may be left open where the choice does not need it; the call's record tells it."""
    explain: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A call as it is put before a learned policy."""

    wanted: Wanted
    task: str
    dial: Dialled
    dear: tuple[str, ...] = ()
    """Models that would cost more than is left of the key's budgets."""
    cascade: bool = False
    """Whether two models may be asked before a third."""


class Foreseen(msgspec.Struct, frozen=True):
    """What the policy expects of one candidate. None: it does not know the model, or not its price."""

    model: str
    quality: float | None
    low: float | None
    high: float | None
    cost_usd: float | None
    propensity: float
    """Probability with which it was taken."""


class Relay(msgspec.Struct, frozen=True):
    """Two models to ask at once, the cheaper first, and the one to ask where they disagree."""

    first: str
    second: str
    strong: str
    third: str | None = None
    """Asked before the strong one: where it agrees with one of the two, that one's answer stands."""

    @property
    def models(self) -> tuple[str, ...]:
        """Give all of them, in the order in which they are asked."""
        return tuple(model for model in (self.first, self.second, self.third, self.strong) if model is not None)


class Decision(msgspec.Struct, frozen=True):
    """The model to call, why, and what comes after it."""

    model: str
    tier: str | None
    reason: str
    """`asked`, `alias:NAME`, `rule:ID`, `tier:NAME`, `policy:NUMBER`, `classifier:TIER`, `default:TIER`, or `escalated:TIER` (a
    conversation that kept failing); then, each after a semicolon, what changed it: `policy:NUMBER` (within the tier), `explored`,
    `up:TIER` (none of the tier fits), `fallback:MODEL` (that model is out of service), `emergency`."""
    rule_id: str | None
    confidence: float
    task: str
    """Empty where it was left open (`Wanted.task_later`), as is `complexity` then."""
    complexity: float
    chain: tuple[str, ...] = ()
    """Models to go on with, in this order, when this one fails."""
    rejected: tuple[tuple[str, str], ...] = ()
    """Models that were considered, and why not."""
    observed: str | None = None
    """With `mode = observe`, or `routing.learned = observe`: the model that would have been chosen."""
    routing: RoutingTrace | None = None
    """How a learned policy decided, or would have."""
    foreseen: tuple[Foreseen, ...] = ()
    """What it expects of each candidate, where that was asked for."""
    relay: Relay | None = None
    """Two models to ask before the one that was chosen."""
    choice: ChoiceState | None = None
    """The delivered choice that was applied; `;choice:ID` stands in the reason."""
