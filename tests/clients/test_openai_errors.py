"""What goes wrong, as OpenAI's client tells it: its own exceptions, its own retries, whatever the provider speaks."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from meliora.testing import faults
from tests.clients.house import House, all_of, secret_of, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODELS = pytest.mark.parametrize("model", ["gpt", "claude"])
TURN = [{"role": "user", "content": "What is 2+2?"}]


async def _chat(client: Any, model: str = "gpt", **more: Any) -> Any:
    return await settled(client.chat.completions.create(**{"model": model, "messages": TURN, **more}))


async def test_a_wrong_key_is_an_authentication_error(openai_client: Any) -> None:
    client = openai_client.with_options(api_key="mel_nobody")
    with pytest.raises(openai.AuthenticationError) as raised:
        await _chat(client)
    assert raised.value.code == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        await settled(client.responses.create(model="gpt", input="Hello"))
    with pytest.raises(openai.AuthenticationError):
        await settled(client.models.list())
    with pytest.raises(openai.AuthenticationError):
        await settled(client.embeddings.create(model="embed", input="Hello"))


async def test_a_model_that_the_key_may_not_call_is_a_permission_error(openai_client: Any, house: House) -> None:
    before = house.anthropic.count
    with pytest.raises(openai.PermissionDeniedError) as raised:
        await _chat(openai_client.with_options(api_key=secret_of("narrow")), "claude")
    assert raised.value.code == "model_forbidden"
    assert house.anthropic.count == before


async def test_a_key_without_the_scope_is_a_permission_error(openai_client: Any) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        await _chat(openai_client.with_options(api_key=secret_of("reader")))


async def test_an_unknown_model_is_a_not_found_error(openai_client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await _chat(openai_client, "nobody")
    assert raised.value.code == "model_not_found"
    assert raised.value.response.headers["x-meliora-call"]


@MODELS
@pytest.mark.parametrize("more", [{"messages": []}, {"messages": "Hello"}, {"max_completion_tokens": -1}], ids=repr)
async def test_a_malformed_request_is_a_bad_request_error(openai_client: Any, model: str, more: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await _chat(openai_client, model, **more)
    assert raised.value.type == "invalid_request_error"


async def test_a_key_over_its_rate_is_told_when_to_come_again(openai_client: Any, house: House) -> None:
    client = openai_client.with_options(api_key=secret_of("hurried"), max_retries=0)
    with pytest.raises(openai.RateLimitError) as raised:
        for _ in range(3):
            await _chat(client)
    assert raised.value.code == "rate_limit_exceeded"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60


async def test_an_exhausted_budget_is_said_once_and_never_asked_for_again(openai_client: Any, house: House) -> None:
    client = openai_client.with_options(api_key=secret_of("poor"), max_retries=5)
    recorded = asked = 0
    with pytest.raises(openai.RateLimitError) as raised:
        for _ in range(3):
            recorded, asked = len(house.of_key("poor")), house.openai.count
            await _chat(client)
    assert raised.value.code == "insufficient_quota"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(house.of_key("poor")) == recorded + 1
    assert house.openai.count == asked


@MODELS
@pytest.mark.parametrize(
    ("fault", "expected", "code"),
    [
        (faults.Status(400), openai.BadRequestError, None),
        (faults.Status(404), openai.NotFoundError, None),
        (faults.Status(429), openai.RateLimitError, None),
        (faults.Status(429, "quota"), openai.RateLimitError, "insufficient_quota"),
        (faults.Status(500), openai.InternalServerError, None),
        (faults.Status(503), openai.InternalServerError, None),
        (faults.Status(529), openai.InternalServerError, None),
        (faults.Status(401), openai.InternalServerError, "upstream_broken"),
        (faults.Reset(), openai.InternalServerError, None),
        (faults.Garbage(), openai.InternalServerError, None),
        (faults.ErrorInStream(), openai.APIStatusError, None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstreams_fault_is_the_clients_usual_exception(
    openai_client: Any,
    house: House,
    model: str,
    fault: faults.Fault,
    expected: type[Exception],
    code: str | None,
    stream: bool,
) -> None:
    client = openai_client.with_options(max_retries=0)
    with house.spoiled(model, fault), pytest.raises(expected) as raised:
        await _chat(client, model, stream=stream)
    error = raised.value
    assert isinstance(error, openai.APIStatusError)
    assert code is None or error.code == code
    assert error.message
    assert error.response.headers["x-meliora-call"]


@MODELS
@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_the_clients_own_retries_reach_the_upstream_and_succeed(
    openai_client: Any, house: House, model: str, status: int
) -> None:
    with house.spoiled(model, faults.Status(status, retry_after=0.01), faults.Status(status, retry_after=0.01), None):
        before = house.provider(model).count
        answer = await _chat(openai_client.with_options(max_retries=2), model)
        assert house.provider(model).count == before + 3
    assert answer.choices[0].message.content.startswith("[simulated]")


@MODELS
async def test_exhausted_quota_upstream_is_not_retried_by_the_client(
    openai_client: Any, house: House, model: str
) -> None:
    with house.spoiled(model, faults.Status(429, "quota")) as provider:
        before = provider.count
        with pytest.raises(openai.RateLimitError):
            await _chat(openai_client.with_options(max_retries=3), model)
        assert provider.count == before + 1


@MODELS
async def test_an_impatient_client_gets_its_timeout_and_the_upstream_is_let_go(
    openai_client: Any, house: House, model: str
) -> None:
    with house.spoiled(model, faults.SlowHeaders(30)) as provider:
        with pytest.raises(openai.APITimeoutError):
            await _chat(openai_client.with_options(timeout=1.0, max_retries=0), model)
        assert provider.wait_idle()
        assert provider.requests[-1].aborted


@pytest.mark.parametrize("model", ["slow", "claude-slow"])
async def test_an_upstream_that_takes_too_long_is_a_server_error(openai_client: Any, house: House, model: str) -> None:
    with house.spoiled(model, faults.SlowHeaders(30)), pytest.raises(openai.InternalServerError) as raised:
        await _chat(openai_client.with_options(max_retries=0), model)
    assert raised.value.status_code == 504
    assert raised.value.code == "upstream_timeout"


@MODELS
@pytest.mark.parametrize("fault", [faults.ErrorInStream(after_content=2), faults.Cut(after_events=6)], ids=repr)
async def test_a_stream_that_breaks_raises_and_is_never_taken_for_a_whole_one(
    openai_client: Any, house: House, model: str, fault: faults.Fault
) -> None:
    with house.spoiled(model, fault), pytest.raises(openai.APIError):
        await all_of(
            openai_client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Count to 30"}], stream=True
            )
        )


@pytest.mark.parametrize("model", ["gpt", "old", "claude"])
async def test_a_streamed_response_that_is_cut_raises(openai_client: Any, house: House, model: str) -> None:
    with house.spoiled(model, faults.Cut(after_events=6)), pytest.raises(openai.APIError):
        await all_of(openai_client.responses.create(model=model, input="Count to 30", stream=True))


@pytest.mark.parametrize("model", ["old", "claude"])
async def test_a_streamed_response_whose_translated_stream_fails_raises(
    openai_client: Any, house: House, model: str
) -> None:
    with house.spoiled(model, faults.ErrorInStream(after_content=2)), pytest.raises(openai.APIError):
        await all_of(openai_client.responses.create(model=model, input="Count to 30", stream=True))


async def test_the_error_event_of_a_responses_provider_reaches_the_client_as_it_is(
    openai_client: Any, house: House
) -> None:
    """The client gives it as an event, as it does without a gateway in between; it comes once."""
    with house.spoiled("gpt", faults.ErrorInStream(after_content=2)):
        events = await all_of(openai_client.responses.create(model="gpt", input="Count to 30", stream=True))
    assert [event.type for event in events if event.type in ("error", "response.failed")] == [events[-1].type]


@pytest.mark.parametrize("model", ["gpt", "old", "claude"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, openai.BadRequestError), (429, openai.RateLimitError), (529, openai.InternalServerError)],
)
async def test_an_upstreams_fault_in_responses_is_the_clients_usual_exception(
    openai_client: Any, house: House, model: str, status: int, expected: type[Exception]
) -> None:
    with house.spoiled(model, faults.Status(status)), pytest.raises(expected):
        await settled(openai_client.with_options(max_retries=0).responses.create(model=model, input="Hello"))
