"""Applications ask for flags through OpenFeature's SDK, unmodified."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import ErrorCode, Reason

from meliora.errors import MissingExtra, NotFound
from meliora.integrations.openfeature import provider
from meliora.loop.flags import Flag, evaluate

FLAGS = {
    flag.name: flag
    for flag in (
        Flag(name="all", enabled=True, metadata={"on": "blue", "off": "grey"}),
        Flag(name="off", enabled=False, metadata={"on": 7, "off": 3}),
        Flag(name="half", enabled=True, rollout_percentage=50, metadata={"on": 0.5, "off": 0.1}),
        Flag(name="pro", enabled=True, conditions={"plan": "pro"}, metadata={"on": {"a": 1}, "off": {}}),
    )
}


def find(name: str) -> Flag:
    """Give a flag, as the store does."""
    if name not in FLAGS:
        raise NotFound(f"There is no flag {name!r}.")
    return FLAGS[name]


@pytest.fixture
def client() -> Iterator:
    api.set_provider(provider(find, "salt"))
    yield api.get_client()
    api.clear_providers()


def test_truth_values_follow_the_flag(client) -> None:
    assert client.get_boolean_value("all", False) and not client.get_boolean_value("off", True)
    assert client.get_boolean_value("pro", False, EvaluationContext("ann", {"plan": "pro"}))
    assert not client.get_boolean_value("pro", True, EvaluationContext("ann", {"plan": "free"}))
    found = client.get_boolean_details("half", False, EvaluationContext("ann"))
    assert found.value == evaluate(FLAGS["half"], "ann", {}, "salt").on and found.reason == Reason.SPLIT
    assert found.variant in ("on", "off")


def test_other_types_come_from_the_metadata_and_only_in_their_type(client) -> None:
    assert client.get_string_value("all", "x") == "blue"
    assert client.get_integer_value("off", 0) == 3
    assert client.get_float_value("half", 0.0, EvaluationContext("ann")) in (0.5, 0.1)
    assert client.get_object_value("pro", {"b": 1}) == {}
    found = client.get_integer_details("all", 5)
    assert (found.value, found.error_code) == (5, ErrorCode.TYPE_MISMATCH)


def test_a_flag_that_there_is_not_gives_the_default(client) -> None:
    found = client.get_boolean_details("none", True)
    assert found.value is True and found.error_code == ErrorCode.FLAG_NOT_FOUND


def test_without_the_sdk_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "openfeature"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openfeature", None)
    with pytest.raises(MissingExtra, match=r"meliora\[openfeature\]"):
        provider(find, "salt")
