"""A calibration, put together: which models there are and what they cost, who scores, what comes of it as a snapshot."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from meliora.errors import Forbidden, InvalidRequest, Unauthorized
from meliora.gateway.state import KeyState
from meliora.routing.learning.calibrate import Ask, Journal, ModelPrice, journal_path, table_of
from meliora.routing.learning.prompts import Prompt
from meliora.routing.learning.records import Snapshot
from meliora.routing.learning.scorers import EXPECTED, Expected, Scorer, build
from meliora.runtime.asking import OwnGateway
from meliora.runtime.learning import FEATURE, judge_by
from meliora.runtime.warming import make_ready
from meliora.settings import Settings
from meliora.settings.secret import resolve_secret
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy
    from meliora.routing.learning.embedded import Embedded
    from meliora.routing.learning.embedding import Vectors, WordVectors

log = structlog.get_logger(__name__)


def key_of(store: Store, secret: str, now_us: int) -> KeyState:
    """Give the key that calls are charged to; its tenant is the one that is calibrated. Raises `Unauthorized`, `Forbidden`."""
    key = store.keys.open(secret, now_us)
    if key is None:
        raise Unauthorized("The key is not known here.", hint="`meliora keys create calibration` makes one.")
    if not {"call", "admin"} & set(key.scopes):
        raise Forbidden("The key lacks the scope 'call'.", hint="`meliora keys update` widens it.")
    return key


def models_of(settings: Settings, wanted: Sequence[str]) -> list[str]:
    """Give the models to ask: those that are wanted, else all that write text. Raises `InvalidRequest` for an unknown one."""
    named = {name for provider in settings.providers.values() for name in provider.models}
    served = sorted({*settings.models, *named})
    unknown = [model for model in wanted if model not in served]
    if unknown:
        raise InvalidRequest(f"No provider serves {', '.join(unknown)}.", hint=f"There are: {', '.join(served)}.")
    found = list(dict.fromkeys(wanted)) or [model for model in served if _writes(settings, model)]
    if len(found) < 2:
        raise InvalidRequest("There is nothing to choose between.", hint="Configure two models or more.")
    return found


def _writes(settings: Settings, model: str) -> bool:
    known = settings.models.get(model)
    return known is None or known.capabilities is None or "embeddings" not in known.capabilities


def scorer_of(settings: Settings, name: str, prompts: Sequence[Prompt], gateway: OwnGateway) -> Scorer:
    """Give the scorer of a name; without one that which compares with the expected answers. Raises `InvalidRequest`."""
    if name in ("", EXPECTED) and all(prompt.expected is not None for prompt in prompts):
        return Expected()
    for scorer in settings.routing.scorers:
        if scorer.name == name:
            return build(scorer, judge_by(gateway))
    known = ", ".join(scorer.name for scorer in settings.routing.scorers)
    if name in ("", EXPECTED):
        hint = f"Give each an `expected`, or name a scorer: {known or 'none is registered under [[routing.scorers]]'}."
        raise InvalidRequest("Not every prompt says what answer is expected.", hint=hint)
    raise InvalidRequest(f"There is no scorer {name!r}.", hint=f"There are: {known or 'none'}.")


def asking(gateway: OwnGateway, secret: str, journal: Path) -> Ask:
    """Give how models are asked: through the gateway, each question named, so that it is not paid again at once."""
    make_ready()  # several threads will ask

    def ask(model: str, prompt: Prompt) -> tuple[str, int | None]:
        once = f"calibrate-{journal.stem}-{prompt.id}-{model}"[:255]
        found = gateway.ask(secret, model, list(prompt.messages), feature=FEATURE, once=once)
        return found.text, found.cost_micros

    return ask


def vectors_of(
    settings: Settings, prompts: Sequence[Prompt], gateway: OwnGateway, journal: Journal
) -> WordVectors | Embedded | None:
    """Give what the settings let be known of the meaning of prompts; a table is read, and a model is yet to be asked.

    Raises `InvalidRequest` for a table that does not read, `SettingsError` for a key that is not there.
    """
    chosen = settings.routing.embedding
    if chosen.table:
        from meliora.routing.learning.embedding import WordVectors

        return WordVectors.read(Path(chosen.table).expanduser(), [prompt.text for prompt in prompts], chosen.width)
    if not chosen.model:
        return None
    from meliora.routing.learning.embedded import Embedded

    secret = resolve_secret(chosen.key)

    def embed(number: int, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        once = f"embed-{journal.path.stem}-{number}-{chosen.model}"[:255]
        return gateway.embed(secret, chosen.model, texts, feature=FEATURE, once=once)

    return Embedded(prompts, chosen.model, journal, embed, chosen.width)


def journal_of(settings: Settings, tenant: str, prompts: Sequence[Prompt]) -> Path:
    """Give where the calibration of this sample is written down."""
    return journal_path(settings.server.state_dir.expanduser() / "calibrations", tenant, prompts)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of it. Shares are out of fold, of the reference model's."""

    snapshot: Snapshot
    reference: str
    prompts: int
    quality_share: float
    saving: float
    """nan where no cost is known."""
    verdict: str


def fit_and_keep(
    settings: Settings,
    store: Store,
    tenant: str,
    prompts: Sequence[Prompt],
    prices: Mapping[str, ModelPrice],
    journal: Journal,
    scorer: str,
    reference: str | None,
    vectors: Vectors | None = None,
) -> Calibrated:
    """Fit a policy to what the journal holds and keep it as a candidate. Raises `InvalidRequest` where that is too little."""
    from dataclasses import replace

    from meliora.routing.learned.snapshot import encode
    from meliora.routing.learning.promotion import dial_of
    from meliora.routing.learning.warm import fit_warm

    serving = store.routing_snapshots.serving(tenant)
    running = None if serving is None else _loaded(store, tenant, serving.number)
    warm = fit_warm(
        table_of(prompts, list(prices), journal, scorer),
        dial_of(settings.routing.dial),
        reference=reference or _declared(settings, prices),
        prices={model: price.blended for model, price in prices.items() if price.blended is not None},
        running=running,
        running_anchor=None if serving is None or running is None else serving.anchor,
        vectors=vectors,
    )
    kept = store.routing_snapshots.add(
        tenant,
        lambda number: encode(replace(warm.policy, number=number)),
        kind="calibrated",
        made_by="calibrate",
        evidence=warm.evidence | {"scorer": scorer},
        parent=None if serving is None else serving.number,
    )
    verdict = str(warm.evidence["replay"]["verdict"])
    return Calibrated(kept, warm.policy.reference, warm.prompts, warm.quality_share, warm.saving, verdict)


def _declared(settings: Settings, asked: Container[str]) -> str | None:
    """Give the declared reference where it was asked; None leaves the choice to the fit."""
    declared = settings.routing.dial.reference
    named = settings.aliases.get(declared, declared)
    return named if named in asked else None


def _loaded(store: Store, tenant: str, number: int) -> Policy | None:
    """Give the policy that serves; None, loudly, where this release cannot read it."""
    from meliora.routing.learned.snapshot import BadSnapshot, decode

    try:
        return decode(store.routing_snapshots.blob(tenant, number))
    except BadSnapshot as error:
        log.error(
            "the policy that serves does not load; the new one is not held against it", number=number, error=str(error)
        )
        return None
