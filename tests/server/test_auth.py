"""Who may do what."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.server.auth import Keyring
from meliora.settings.models import Gateway, Settings
from meliora.testing.clock import FrozenClock
from tests.server.house import House, control_house, error_of


def test_a_request_without_a_key_is_told_how_to_send_one(house: House) -> None:
    answer = house.client().get("/api/v1/calls")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = error_of(answer)
    assert error["code"] == "invalid_key"
    assert "x-api-key" in error["hint"]


def test_a_key_opens_in_either_header(house: House) -> None:
    secret = house.key()
    for headers in ({"authorization": f"Bearer {secret}"}, {"x-api-key": secret}):
        assert house.client().get("/api/v1/calls", headers=headers).status_code == 200


@pytest.mark.parametrize("secret", ["mel_nothing-that-was-ever-made-here", "x" * 10_000, "\xff\xfe"])
def test_a_key_that_opens_nothing_is_refused(house: House, secret: str) -> None:
    answer = house.client().get("/api/v1/calls", headers={"x-api-key": secret.encode("latin-1")})
    assert answer.status_code == 401
    assert secret not in answer.text


@pytest.mark.parametrize(
    ("scope", "method", "path", "body", "may"),
    [
        ("call", "POST", "/route", {"prompt": "hi"}, True),
        ("read", "POST", "/route", {"prompt": "hi"}, False),
        ("feedback", "POST", "/api/v1/metrics", {"name": "a", "value": 1}, True),
        ("call", "POST", "/api/v1/metrics", {"name": "a", "value": 1}, False),
        ("read", "GET", "/api/v1/calls", None, True),
        ("feedback", "GET", "/api/v1/calls", None, False),
        ("read", "GET", "/api/v1/keys", None, False),
        ("read", "POST", "/api/v1/cache/clear", None, False),
        ("admin", "GET", "/api/v1/keys", None, True),
        ("admin", "GET", "/api/v1/calls", None, True),
    ],
)
def test_a_scope_covers_what_it_says(house: House, scope, method, path, body, may) -> None:
    answer = house.client(house.key("default", scope)).request(method, path, json=body)
    assert (answer.status_code < 300) == may
    if not may:
        assert answer.status_code == 403
        assert error_of(answer)["code"] == "forbidden"


def test_a_revoked_key_is_refused_at_once_by_the_process_that_revoked_it(house: House) -> None:
    admin, other = house.client(house.key()), house.client(house.key("default", "read"))
    assert other.get("/api/v1/calls").status_code == 200
    keys = admin.get("/api/v1/keys").json()["items"]
    key_id = next(key["id"] for key in keys if key["scopes"] == ["read"])
    assert admin.delete(f"/api/v1/keys/{key_id}").status_code == 200
    assert other.get("/api/v1/calls").status_code == 401


def test_an_expired_key_is_refused(house: House) -> None:
    secret = house.key("default", expires_us=house.clock.now_us() + 1_000_000)
    client = house.client(secret)
    assert client.get("/api/v1/calls").status_code == 200
    house.clock.advance(5)
    assert client.get("/api/v1/calls").status_code == 401


def test_the_keyring_asks_the_store_once_a_second_and_forgets_the_oldest() -> None:
    clock, asked = FrozenClock(), []

    def find(secret: str, now_us: int) -> None:
        asked.append(secret)

    keyring = Keyring(find, clock)
    for _ in range(3):
        keyring.open("a")
    assert asked == ["a"]
    clock.advance(1.5)
    keyring.open("a")
    assert asked == ["a", "a"]
    for number in range(5000):
        keyring.open(str(number))
    assert len(keyring._known) <= 4096


def test_calls_without_a_key_are_served_only_where_that_is_set(tmp_path: Path) -> None:
    with control_house(tmp_path, Settings(gateway=Gateway(anonymous=True))) as house:
        assert house.client().post("/route", json={"prompt": "hi"}).status_code == 200
        assert house.client().get("/api/v1/keys").status_code == 403
