"""Generated requests to every route: never a defect, never a status or a shape that is not documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from meliora.server.app import bare_app
from tests.server.house import House
from tests.server.test_tools_by_the_loop import looped

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ROUTES = [
    (method.upper(), path) for path, operations in bare_app("0").openapi()["paths"].items() for method in operations
]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Any, str]]:
    """An app with a loop and something in it, its schema, and a key."""
    for house in looped(Path(tmp_path_factory.mktemp("fuzz")), "staging"):
        secret = house.key("default", "call", "feedback", "read", "admin")
        house.call(user="u", message_id="m")
        house.ingest()
        yield house, schemathesis.openapi.from_asgi("/openapi.json", house.app), secret


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_generated_request_gets_a_documented_answer(
    walked: tuple[House, Any, str], method: str, path: str, mode: GenerationMode
) -> None:
    house, schema, secret = walked
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        pytest.skip("there is nothing to get wrong")

    @settings(
        max_examples=5,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        answer = case.call(headers={"authorization": f"Bearer {secret}"})
        case.validate_response(answer, checks=CHECKS)

    send()
    assert house.store.keys.open(secret, house.clock.now_us()) is not None
