"""What reaches the routes, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.server.guard import check_json
from tests.server.house import House, error_of


def test_the_internal_paths_are_hidden_from_what_a_gateway_passes_on(house: House) -> None:
    for path in ("/internal/state", "/internal/heartbeat", "/internal"):
        answer = house.client(house.key()).get(path)
        assert answer.status_code == 404
        assert "secret" not in answer.text


def test_the_internal_paths_are_hidden_on_a_port(house: House) -> None:
    client = house.client(house.key())
    del client.headers["x-forwarded-for"]
    assert client.get("/internal/state").status_code == 404


def test_a_body_over_the_limit_is_refused_whether_it_is_declared_or_not(house: House) -> None:
    client = house.client(house.key())
    big = b'{"name": "' + b"x" * (3 * 1024 * 1024) + b'"}'
    headers = {"content-type": "application/json"}
    declared = client.post("/api/v1/metrics", content=big, headers=headers)
    chunked = client.post("/api/v1/metrics", content=iter([big[:100], big[100:]]), headers=headers)
    assert declared.status_code == chunked.status_code == 413
    assert error_of(declared)["code"] == "body_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"nope",
        b'{"name": "a", "value": NaN}',
        b'{"name": "a", "value": Infinity}',
        b'{"name": "a", "value": 1e999}',
        b'{"name": "a\\u0000b", "value": 1}',
        b'{"name": "a", "value": ' + b"9" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"name": "a", "value": 1, "context": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        b'{"name": "\xff", "value": 1}',
    ],
)
def test_what_is_not_plain_json_is_a_400_in_the_one_shape(house: House, body: bytes) -> None:
    answer = house.client(house.key()).post(
        "/api/v1/metrics", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["code"] == "invalid_request"


def test_a_nul_in_the_address_is_refused(house: House) -> None:
    client = house.client(house.key())
    assert client.get("/api/v1/keys/a%00b").status_code == 400
    assert client.get("/api/v1/calls?model=a%00b").status_code == 400


def test_a_field_at_fault_is_named(house: House) -> None:
    client = house.client(house.key())
    assert error_of(client.post("/api/v1/metrics", json={"name": "a", "value": "x"}))["field"] == "value"
    assert error_of(client.post("/api/v1/metrics", json={"name": "a", "valeu": 1}))["field"] in ("value", "valeu")
    assert error_of(client.get("/api/v1/calls?limit=100000"))["field"] == "limit"
    assert error_of(client.get("/api/v1/calls?since=soon"))["field"] == "since"
    assert error_of(client.get("/api/v1/calls?cursor=!!"))["field"] == "cursor"


def test_answers_are_not_kept_by_browsers_and_not_sniffed(house: House) -> None:
    headers = house.client(house.key()).get("/api/v1/keys").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_path_that_is_not_there_is_a_404_in_the_one_shape(house: House) -> None:
    assert error_of(house.client().get("/nothing"))["code"] == "not_found"
    wrong = house.client().put("/live")
    assert wrong.status_code == 405
    assert error_of(wrong)["code"] == "method_not_allowed"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_every_json_without_nul_passes(value: object) -> None:
    import json

    body = json.dumps(value).encode()
    if "\\u0000" in body.decode():
        return
    check_json(body, 128)


@given(st.integers(1, 40), st.integers(1, 40))
def test_depth_is_counted_exactly(depth: int, limit: int) -> None:
    body = b"[" * depth + b"]" * depth
    if depth <= limit:
        check_json(body, limit)
    else:
        with pytest.raises(InvalidRequest, match="deeper"):
            check_json(body, limit)
