"""The models to choose among, as routing sees them. Knows nothing of endpoints but their summed health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be chosen."""

    name: str
    tier: str | None = None
    """None: never chosen for a tier, only by name, by a rule, or in an emergency."""
    context_window: int | None = None
    """Tokens of prompt and answer together; None: unknown, taken to be enough."""
    capabilities: frozenset[str] | None = None
    """None: not declared, taken to do everything but embeddings."""
    regions: frozenset[str] = frozenset()
    """Where its endpoints process data; an undeclared region satisfies nobody who asks for one."""
    input_price: float | None = None
    """US dollars a million tokens; None: unknown."""
    output_price: float | None = None
    fallbacks: tuple[str, ...] = ()
    priority: int = 0
    """Within its tier the higher is taken first, whatever it costs."""

    @property
    def blended_price(self) -> float | None:
        """US dollars a million tokens, three of input to one of output; None: unknown."""
        if self.input_price is None or self.output_price is None:
            return None
        return (3 * self.input_price + self.output_price) / 4


class Catalogue(Protocol):
    """What the decision asks about models. Each answer is a look into memory."""

    def find(self, name: str) -> Candidate | None:
        """Give the model of this name, or that of a provider which passes any name on (`PROVIDER/MODEL`)."""
        ...

    def alias(self, name: str) -> str | None:
        """Give what an alias stands for; None where it is none."""
        ...

    def in_tier(self, tier: str) -> Sequence[Candidate]:
        """Give the models of a tier."""
        ...

    def all(self) -> Sequence[Candidate]:
        """Give all models."""
        ...

    def health(self, name: str) -> float:
        """Give 1 for a model whose endpoints all answer, less where some fail, 0 where none can be called now."""
        ...


def _always(name: str) -> float:
    return 1.0


def _never(name: str) -> Candidate | None:
    return None


class Pool:
    """A catalogue made of a list, with the health of its models asked from outside."""

    __slots__ = ("_aliases", "_all", "_healthy", "_models", "_passthrough", "_tiers")

    def __init__(
        self,
        models: Iterable[Candidate],
        aliases: Mapping[str, str] | None = None,
        healthy: Callable[[str], float] = _always,
        passthrough: Callable[[str], Candidate | None] = _never,
    ) -> None:
        """Sort the models into their tiers. `passthrough` gives the models that are not in the list but can be called."""
        self._models = {model.name: model for model in models}
        self._all = tuple(self._models.values())
        self._aliases = dict(aliases or {})
        self._healthy = healthy
        self._passthrough = passthrough
        self._tiers: dict[str, list[Candidate]] = {}
        for model in self._all:
            if model.tier is not None:
                self._tiers.setdefault(model.tier, []).append(model)

    def find(self, name: str) -> Candidate | None:
        """As `Catalogue.find`."""
        return self._models.get(name) or self._passthrough(name)

    def alias(self, name: str) -> str | None:
        """As `Catalogue.alias`."""
        return self._aliases.get(name)

    def in_tier(self, tier: str) -> Sequence[Candidate]:
        """As `Catalogue.in_tier`."""
        return self._tiers.get(tier, ())

    def all(self) -> Sequence[Candidate]:
        """As `Catalogue.all`."""
        return self._all

    def health(self, name: str) -> float:
        """As `Catalogue.health`."""
        return self._healthy(name)
