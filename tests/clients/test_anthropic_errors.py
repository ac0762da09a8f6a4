"""What goes wrong, as Anthropic's client tells it: its own exceptions, its own retries, whatever the provider speaks."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from meliora.testing import faults
from tests.clients.house import House, all_of, secret_of, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODELS = pytest.mark.parametrize("model", ["claude", "gpt"])
TURN = [{"role": "user", "content": "What is 2+2?"}]


async def _ask(client: Any, model: str = "claude", **more: Any) -> Any:
    return await settled(client.messages.create(**{"model": model, "max_tokens": 500, "messages": TURN, **more}))


def _kind(error: Any) -> str:
    assert error.body["type"] == "error"
    return error.body["error"]["type"]


async def test_a_wrong_key_is_an_authentication_error(anthropic_client: Any) -> None:
    client = anthropic_client.with_options(api_key="mel_nobody")
    with pytest.raises(anthropic.AuthenticationError) as raised:
        await _ask(client)
    assert _kind(raised.value) == "authentication_error"
    with pytest.raises(anthropic.AuthenticationError):
        await settled(client.messages.count_tokens(model="claude", messages=TURN))
    with pytest.raises(anthropic.AuthenticationError):
        await settled(client.models.list())


async def test_the_key_may_come_as_a_token_too(anthropic_client: Any, house: House) -> None:
    """Older clients send `x-api-key`, newer ones a bearer token."""
    for name, value in (("x-api-key", secret_of("narrow")), ("authorization", f"Bearer {secret_of('narrow')}")):
        client = anthropic_client.with_options(
            default_headers={"Authorization": anthropic.Omit(), "X-Api-Key": anthropic.Omit(), name: value}
        )
        raw = await settled(client.messages.with_raw_response.create(model="gpt", max_tokens=50, messages=TURN))
        assert house.record(raw.headers["x-meliora-call"]).key_id == "key_narrow"


async def test_a_model_that_the_key_may_not_call_is_a_permission_error(anthropic_client: Any, house: House) -> None:
    before = house.anthropic.count
    with pytest.raises(anthropic.PermissionDeniedError) as raised:
        await _ask(anthropic_client.with_options(api_key=secret_of("narrow")))
    assert _kind(raised.value) == "permission_error"
    assert house.anthropic.count == before


async def test_a_key_without_the_scope_is_a_permission_error(anthropic_client: Any) -> None:
    with pytest.raises(anthropic.PermissionDeniedError):
        await _ask(anthropic_client.with_options(api_key=secret_of("reader")))


async def test_an_unknown_model_is_a_not_found_error(anthropic_client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as raised:
        await _ask(anthropic_client, "nobody")
    assert _kind(raised.value) == "not_found_error"
    assert raised.value.response.headers["x-meliora-call"]


@MODELS
@pytest.mark.parametrize("more", [{"messages": []}, {"messages": "Hello"}, {"max_tokens": -1}], ids=repr)
async def test_a_malformed_request_is_a_bad_request_error(
    anthropic_client: Any, model: str, more: dict[str, Any]
) -> None:
    with pytest.raises(anthropic.BadRequestError) as raised:
        await _ask(anthropic_client, model, **more)
    assert _kind(raised.value) == "invalid_request_error"


async def test_a_key_over_its_rate_is_told_when_to_come_again(anthropic_client: Any) -> None:
    client = anthropic_client.with_options(api_key=secret_of("hurried"), max_retries=0)
    with pytest.raises(anthropic.RateLimitError) as raised:
        for _ in range(3):
            await _ask(client)
    assert _kind(raised.value) == "rate_limit_error"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60


async def test_an_exhausted_budget_is_said_once_and_never_asked_for_again(anthropic_client: Any, house: House) -> None:
    client = anthropic_client.with_options(api_key=secret_of("poor"), max_retries=5)
    recorded = asked = 0
    with pytest.raises(anthropic.PaymentRequiredError) as raised:
        for _ in range(3):
            recorded, asked = len(house.of_key("poor")), house.anthropic.count
            await _ask(client)
    assert _kind(raised.value) == "billing_error"
    assert len(house.of_key("poor")) == recorded + 1
    assert house.anthropic.count == asked


@MODELS
@pytest.mark.parametrize(
    ("fault", "expected", "kind"),
    [
        (faults.Status(400), anthropic.BadRequestError, "invalid_request_error"),
        (faults.Status(404), anthropic.NotFoundError, "not_found_error"),
        (faults.Status(429), anthropic.RateLimitError, "rate_limit_error"),
        (faults.Status(402, "billing"), anthropic.PaymentRequiredError, "billing_error"),
        (faults.Status(500), anthropic.InternalServerError, "api_error"),
        (faults.Status(529), anthropic.OverloadedError, "overloaded_error"),
        (faults.Status(401), anthropic.InternalServerError, "api_error"),
        (faults.Reset(), anthropic.InternalServerError, "api_error"),
        (faults.Garbage(), anthropic.InternalServerError, "api_error"),
        (faults.ErrorInStream(status=500), anthropic.InternalServerError, "api_error"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstreams_fault_is_the_clients_usual_exception(
    anthropic_client: Any,
    house: House,
    model: str,
    fault: faults.Fault,
    expected: type[Exception],
    kind: str,
    stream: bool,
) -> None:
    client = anthropic_client.with_options(max_retries=0)
    with house.spoiled(model, fault), pytest.raises(expected) as raised:
        await _ask(client, model, stream=stream)
    assert _kind(raised.value) == kind
    assert isinstance(raised.value, anthropic.APIStatusError)
    assert raised.value.response.headers["x-meliora-call"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overload_told_under_a_good_status_is_an_overloaded_error(
    anthropic_client: Any, house: House, stream: bool
) -> None:
    """Before any content the client learns of it as if it had come under its own status."""
    with house.spoiled("claude", faults.ErrorInStream()), pytest.raises(anthropic.OverloadedError):
        await _ask(anthropic_client.with_options(max_retries=0), stream=stream)


@MODELS
@pytest.mark.parametrize("status", [429, 500, 529])
async def test_the_clients_own_retries_reach_the_upstream_and_succeed(
    anthropic_client: Any, house: House, model: str, status: int
) -> None:
    with house.spoiled(model, faults.Status(status, retry_after=0.01), faults.Status(status, retry_after=0.01), None):
        before = house.provider(model).count
        answer = await _ask(anthropic_client.with_options(max_retries=2), model)
        assert house.provider(model).count == before + 3
    assert answer.content[0].text.startswith("[simulated]")


@MODELS
async def test_an_impatient_client_gets_its_timeout_and_the_upstream_is_let_go(
    anthropic_client: Any, house: House, model: str
) -> None:
    with house.spoiled(model, faults.SlowHeaders(30)) as provider:
        with pytest.raises(anthropic.APITimeoutError):
            await _ask(anthropic_client.with_options(timeout=1.0, max_retries=0), model)
        assert provider.wait_idle()
        assert provider.requests[-1].aborted


@pytest.mark.parametrize("model", ["claude-slow", "slow"])
async def test_an_upstream_that_takes_too_long_is_a_gateway_timeout(
    anthropic_client: Any, house: House, model: str
) -> None:
    with house.spoiled(model, faults.SlowHeaders(30)), pytest.raises(anthropic.InternalServerError) as raised:
        await _ask(anthropic_client.with_options(max_retries=0), model)
    assert raised.value.status_code == 504
    assert _kind(raised.value) == "timeout_error"


@MODELS
@pytest.mark.parametrize("fault", [faults.ErrorInStream(after_content=2), faults.Cut(after_events=6)], ids=repr)
async def test_a_stream_that_breaks_raises_and_is_never_taken_for_a_whole_one(
    anthropic_client: Any, house: House, model: str, fault: faults.Fault
) -> None:
    turn = [{"role": "user", "content": "Count to 30"}]
    with house.spoiled(model, fault), pytest.raises(anthropic.APIError):
        await all_of(anthropic_client.messages.create(model=model, max_tokens=500, messages=turn, stream=True))
