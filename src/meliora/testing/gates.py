"""A source of gates that gives what a test tells it to. Measures nothing."""

from __future__ import annotations

from meliora.loop.gates.gate import Gate
from meliora.loop.gates.reading import Cell, NoData, Reading, Span, sampled


class ToldSource:
    """Implements `loop.gates.reading.Source`. A gate of which nothing was told has no data."""

    def __init__(self) -> None:
        self.readings: dict[str, Reading | NoData] = {}
        self.rates: dict[str, tuple[int, int]] = {}
        self.asked: list[str] = []
        """Names of the gates that were read, in order."""

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Give what was told last."""
        self.asked.append(gate.name)
        if gate.name in self.rates:
            return self._steady(gate, now_us)
        return self.readings.get(gate.name, NoData("nothing was told"))

    def value(self, name: str, value: float, n: int = 1000) -> None:
        """Tell a gauge's value."""
        self.readings[name] = Reading("gauge", value, n, 0)

    def rate(self, name: str, hits: int, n: int) -> None:
        """Tell that every part of the time had `hits` of `n`."""
        self.rates[name] = (hits, n)

    def silent(self, name: str) -> None:
        """Tell that nothing is known any more."""
        self.rates.pop(name, None)
        self.readings.pop(name, None)

    def _steady(self, gate: Gate, now_us: int) -> Reading | NoData:
        span = Span.of(gate, now_us)
        hits, n = self.rates[gate.name]
        return sampled("rate", [Cell(at, n, hits) for at in range(span.since_us, span.until_us, span.width_us)], span)
