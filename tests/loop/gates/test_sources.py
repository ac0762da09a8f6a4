"""Functions of the user's may fail in any way, and signals are simulated in dev only."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from meliora.errors import InvalidRequest
from meliora.loop.gates.gate import Gate, Slice, check_all, defaults
from meliora.loop.gates.reading import NoData, Reading
from meliora.loop.gates.sources import Function, Simulated, Sources

NOW = 1_795_219_200_000_000
HERE = __name__


def gate(query: str) -> Gate:
    where = Slice(model="small")
    return Gate(name="g", metric="queue", direction="max", threshold=1, source="function", query=query, where=where)


def plain(**given: Any) -> float:
    assert given == {"tenant": "acme", "since_us": NOW - 3_600_000_000, "until_us": NOW, "slice": {"model": "small"}}
    return 3


def counted(**given: Any) -> tuple[float, int]:
    return 2.5, 7


def raises(**given: Any) -> float:
    raise RuntimeError("the queue is away")


def nan(**given: Any) -> float:
    return math.nan


def nothing(**given: Any) -> None:
    return None


def true(**given: Any) -> bool:
    return True


def odd(**given: Any) -> tuple[float, Any]:
    return 1.0, "many"


CONSTANT = 3


def read(name: str) -> Reading | NoData:
    return Function().read("acme", gate(name if ":" in name or not name.isidentifier() else f"{HERE}:{name}"), NOW)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HERE, SimpleNamespace(**globals()))  # type: ignore[arg-type]


def test_a_function_is_asked_for_a_number_with_or_without_a_count() -> None:
    found, other = read("plain"), read("counted")
    assert isinstance(found, Reading) and (found.value, found.n, found.form) == (3.0, 100, "gauge")
    assert isinstance(other, Reading) and (other.value, other.n) == (2.5, 7)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "the queue is away"),
        ("nan", "no finite number"),
        ("nothing", "no finite number"),
        ("true", "no finite number"),
        ("odd", "no number of observations"),
        ("CONSTANT", "is no function"),
        ("missing", "cannot be imported"),
        ("no.such.module:f", "cannot be imported"),
        ("..:f", "is not module:function"),
    ],
)
def test_what_a_function_cannot_say_is_no_data_with_the_reason(name: str, reason: str) -> None:
    found = read(name)
    assert isinstance(found, NoData) and reason in found.reason


def test_signals_are_simulated_in_dev_only_and_are_healthy() -> None:
    for environment in ("staging", "production"):
        with pytest.raises(InvalidRequest, match="Only dev"):
            Simulated(environment, 1)
    source = Simulated("dev", 1)
    for one in check_all(defaults(), "dev"):
        found = source.read("acme", one, NOW)
        assert isinstance(found, Reading) and found.n >= one.minimum
        assert one.threshold is None or not one.beyond(found.value, one.threshold)
        again = source.read("acme", one, NOW)
        assert isinstance(again, Reading) and again.value == found.value


def test_a_source_that_is_not_set_up_has_no_data() -> None:
    assert Sources({}).read("acme", gate("m:f"), NOW) == NoData("function is not set up")
