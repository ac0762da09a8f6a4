"""Puts a first policy in service, before any outcome: by itself where a reference is declared, or because a person asks for it.

Refuses to replace what was fitted or has learned. What it puts in service serves the reference until the guard says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from meliora.errors import Conflict, InvalidRequest
from meliora.routing.learned.policy import Policy
from meliora.routing.learned.snapshot import encode
from meliora.routing.learning.prior import Prior, begin, blank, guarded
from meliora.routing.learning.prior_file import load
from meliora.routing.learning.promotion import dial_of
from meliora.routing.learning.records import Encode, Snapshot
from meliora.routing.pool import Candidate, Catalogue
from meliora.settings.routing import Routing

ITSELF = "worker"
"""Who made what was begun without a person."""
_ORIGINS = {"prior": "shipped prior, no outcomes yet", "cold": "nothing but the price list, no outcomes yet"}


class Shelf(Protocol):
    """What a start asks of the snapshots as the store keeps them. All methods raise `StoreError`."""

    def serving(self, tenant: str) -> Snapshot | None:
        """Give what serves."""
        ...

    def list(self, tenant: str, *, limit: int) -> Sequence[Snapshot]:
        """Give the snapshots, the newest first."""
        ...

    def begin(
        self,
        tenant: str,
        expected: int | None,
        encode: Encode,
        *,
        made_by: str,
        evidence: dict[str, Any],
        first: bool = False,
    ) -> Snapshot | None:
        """Let a policy without outcomes serve in place of `expected`; None where that does not serve."""
        ...


@dataclass(frozen=True, slots=True)
class Starting:
    """Begins policies at the dial of the settings. `offers` gives the models there are, `read` the shipped prior."""

    shelf: Shelf
    offers: Callable[[], Catalogue]
    settings: Routing
    read: Callable[[], Prior] = load

    def by_hand(self, tenant: str, reference: str, actor: str) -> Snapshot:
        """Begin now. Without a `reference` it is the declared one.

        Raises `Conflict` where a policy serves that was fitted or has learned; `InvalidRequest` where no reference is given, it
        has no price or is in no pool, or there is nothing else to choose.
        """
        asked = reference or self.settings.dial.reference
        if not asked:
            raise InvalidRequest(
                "No reference model is declared.",
                hint='Name one (`--reference MODEL`), or write reference = "MODEL" under [routing.dial].',
            )
        serving = self.shelf.serving(tenant)
        if serving is not None and serving.kind != "prior":
            raise Conflict(
                f"Routing snapshot {serving.number} serves already, and knows more than a start without data.",
                hint="`meliora routing rollback` takes it out of service.",
            )
        made = self._begun(tenant, serving, asked, actor)
        if made is None:
            raise Conflict("Another routing snapshot was put in service meanwhile.", hint="Look again.")
        return made

    def by_itself(self, tenant: str) -> Snapshot | None:
        """Begin where a reference is declared and the tenant has no snapshot at all, or make a start anew whose pool has changed.

        None where there is nothing to do, or a pool to do it with.
        """
        serving = self.shelf.serving(tenant)
        if serving is None and self.shelf.list(tenant, limit=1):
            return None
        if serving is not None and serving.kind != "prior":
            return None
        reference = self._wanted(serving)
        if not reference or (serving is not None and self._stands(serving, reference)):
            return None
        return self._begun(tenant, serving, reference, ITSELF if serving is None else serving.made_by)

    def _wanted(self, serving: Snapshot | None) -> str:
        """Give the reference to begin with: the declared one, that of a start which serves where a person chose it; empty: none."""
        declared = "" if self.settings.learning.start == "off" else self.settings.dial.reference
        if serving is None or (serving.made_by == ITSELF and declared):
            return declared
        return str(serving.evidence.get("reference", ""))

    def _stands(self, serving: Snapshot, reference: str) -> bool:
        return all(serving.evidence.get(name) == value for name, value in self._evidence(reference).items())

    def _begun(self, tenant: str, serving: Snapshot | None, asked: str, actor: str) -> Snapshot | None:
        policy = self._policy(asked)
        return self.shelf.begin(
            tenant,
            None if serving is None else serving.number,
            lambda number: encode(replace(policy, number=number)),
            made_by=actor,
            evidence=self._evidence(asked),
            first=serving is None and actor == ITSELF,
        )

    def _policy(self, asked: str) -> Policy:
        reference, prior = self._named(asked), self.read()
        if self.settings.learning.start == "cold":
            prior = blank(prior.trunk, prior.prompts, prior.tokens)
        policy = begin(prior, self._pool(reference), reference)
        return guarded(policy, prior, dial_of(self.settings.dial), self.settings.learning.margin)

    def _pool(self, reference: str) -> list[Candidate]:
        """Give the models that `auto` may choose, those with a tier, and the reference; none that only embeds."""
        return [
            model
            for model in self.offers().all()
            if (model.tier is not None or model.name == reference)
            and (model.capabilities is None or "embeddings" not in model.capabilities)
        ]

    def _named(self, asked: str) -> str:
        return self.offers().alias(asked) or asked

    def _evidence(self, asked: str) -> dict[str, Any]:
        """Give all that a start is made of, so that another pool, dial or price shows."""
        dial, reference = self.settings.dial, self._named(asked)
        return {
            "origin": _ORIGINS["cold" if self.settings.learning.start == "cold" else "prior"],
            "reference": reference,
            "pool": {
                model.name: [model.input_price, model.output_price, model.tier] for model in self._pool(reference)
            },
            "dial": {"quality_floor": dial.quality_floor, "willingness_to_pay": dial.willingness_to_pay},
        }
