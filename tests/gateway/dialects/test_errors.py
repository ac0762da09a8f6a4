"""Errors of providers understood, and ours raised by the official SDKs as their usual exceptions."""

from __future__ import annotations

import json

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora import errors as ours
from meliora.gateway.dialects.errors import classify, render, render_stream_error, status_for, translate_error
from meliora.gateway.dialects.events import stream_error

NOW = 1_790_000_000.0


def openai_raised(status: int, body: bytes) -> openai.APIStatusError:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=body))
    with (
        openai.OpenAI(
            api_key="k", base_url="http://x", http_client=httpx2.Client(transport=transport), max_retries=0
        ) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.models.list()
    return caught.value


def anthropic_raised(status: int, body: bytes) -> anthropic.APIStatusError:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=body))
    with (
        anthropic.Anthropic(
            api_key="k", base_url="http://x", http_client=httpx2.Client(transport=transport), max_retries=0
        ) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        client.models.list()
    return caught.value


OPENAI = [
    (ours.Unauthorized, openai.AuthenticationError, "invalid_api_key"),
    (ours.ModelForbidden, openai.PermissionDeniedError, "model_forbidden"),
    (ours.UnknownModel, openai.NotFoundError, "model_not_found"),
    (ours.RateLimited, openai.RateLimitError, "rate_limit_exceeded"),
    (ours.BudgetExhausted, openai.RateLimitError, "insufficient_quota"),
    (ours.UntranslatableField, openai.BadRequestError, "untranslatable_field"),
    (ours.BodyTooLarge, openai.APIStatusError, "body_too_large"),
    (ours.Conflict, openai.ConflictError, "conflict"),
    (ours.UpstreamBroken, openai.InternalServerError, "upstream_broken"),
    (ours.NoEndpoint, openai.InternalServerError, "no_endpoint"),
    (ours.StoreError, openai.InternalServerError, "store_error"),
]
ANTHROPIC = [
    (ours.Unauthorized, anthropic.AuthenticationError, "authentication_error"),
    (ours.Forbidden, anthropic.PermissionDeniedError, "permission_error"),
    (ours.UnknownModel, anthropic.NotFoundError, "not_found_error"),
    (ours.RateLimited, anthropic.RateLimitError, "rate_limit_error"),
    (ours.BudgetExhausted, anthropic.APIStatusError, "billing_error"),
    (ours.InvalidRequest, anthropic.BadRequestError, "invalid_request_error"),
    (ours.BodyTooLarge, anthropic.APIStatusError, "request_too_large"),
    (ours.Overloaded, anthropic.InternalServerError, "overloaded_error"),
    (ours.UpstreamTimeout, anthropic.InternalServerError, "timeout_error"),
    (ours.UpstreamError, anthropic.InternalServerError, "api_error"),
]


@pytest.mark.parametrize(("error", "expected", "code"), OPENAI)
@pytest.mark.parametrize("dialect", ["chat", "responses", "embeddings"])
def test_openai_s_sdk_raises_its_usual_exception(dialect, error, expected, code):
    fault = error("No.", hint="Do.", field="model")
    caught = openai_raised(status_for(dialect, fault), render(dialect, fault, "req_1"))
    assert type(caught) is expected
    assert (caught.code, caught.param, caught.status_code) == (code, "model", status_for(dialect, fault))
    assert "No. Do." in caught.message


@pytest.mark.parametrize(("error", "expected", "code"), ANTHROPIC)
def test_anthropic_s_sdk_raises_its_usual_exception(error, expected, code):
    fault = error("No.")
    caught = anthropic_raised(status_for("messages", fault), render("messages", fault, "req_1"))
    assert isinstance(caught, expected)
    body = {"type": "error", "error": {"type": code, "message": "No."}, "request_id": "req_1"}
    assert caught.body == body


def error_body(**error) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "body", "retryable", "quota"),
    [
        (
            429,
            error_body(message="You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
            False,
            True,
        ),
        (
            429,
            error_body(message="Rate limit reached for gpt-5", type="requests", code="rate_limit_exceeded"),
            True,
            False,
        ),
        (
            400,
            error_body(type="invalid_request_error", message="Your credit balance is too low to access the API"),
            False,
            True,
        ),
        (
            400,
            error_body(type="invalid_request_error", message="You have reached your specified API usage limits."),
            False,
            True,
        ),
        (402, b"", False, True),
        (403, error_body(type="billing_error", message="x"), False, True),
        (429, error_body(type="rate_limit_error", message="This request would exceed your rate limit"), True, False),
        (
            429,
            b'[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}]',
            True,
            False,
        ),
        (
            400,
            error_body(message="too long", type="invalid_request_error", code="context_length_exceeded"),
            False,
            False,
        ),
        (401, error_body(message="bad key", code="invalid_api_key"), False, False),
        (404, b"{}", False, False),
        (408, b"", True, False),
        (409, b"", True, False),
        (500, b"<html>", True, False),
        (501, b"", False, False),
        (503, b"upstream connect error", True, False),
        (529, error_body(type="overloaded_error", message="Overloaded"), True, False),
    ],
)
def test_errors_are_told_apart_by_what_helps(status, body, retryable, quota):
    fault = classify(status, [], body)
    assert (fault.retryable, fault.quota, fault.status) == (retryable, quota, status)
    assert fault.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([(b"retry-after", b"7")], 7.0),
        ([(b"retry-after", b"7"), (b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after", b"Mon, 21 Sep 2026 14:13:50 GMT")], 30.0),
        ([(b"retry-after", b"Mon, 21 Sep 2020 14:13:50 GMT")], 0.0),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"-1")], None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers, seconds):
    assert classify(429, headers, b"", now=NOW).retry_after == seconds


def test_the_provider_s_own_word_on_repeating_counts_but_for_quota():
    assert not classify(500, [(b"x-should-retry", b"false")], b"").retryable
    assert classify(400, [(b"x-should-retry", b"true")], b"").retryable
    assert not classify(402, [(b"x-should-retry", b"true")], b"").retryable


@given(st.integers(100, 599), st.one_of(st.binary(max_size=60), st.just(b"[" * 5000), st.just(b'{"error":[1]}')))
def test_any_body_is_classified_and_translated(status, body):
    classify(status, [(b"retry-after", body[:20])], body, now=NOW)
    for target in ("chat", "messages"):
        source = "messages" if target == "chat" else "chat"
        json.loads(translate_error(source, target, status, body)[1])


@pytest.mark.parametrize(
    ("status", "error", "expected_status", "expected"),
    [
        (429, {"type": "insufficient_quota", "code": "insufficient_quota", "message": "m"}, 402, "billing_error"),
        (429, {"type": "requests", "code": "rate_limit_exceeded", "message": "m"}, 429, "rate_limit_error"),
        (401, {"code": "invalid_api_key", "message": "m"}, 401, "authentication_error"),
        (503, {"type": "server_error", "message": "m"}, 529, "overloaded_error"),
        (500, {"type": "server_error", "message": "m"}, 500, "api_error"),
        (400, {"type": "invalid_request_error", "message": "m"}, 400, "invalid_request_error"),
    ],
)
def test_openai_s_errors_become_anthropic_s(status, error, expected_status, expected):
    got, body = translate_error("chat", "messages", status, json.dumps({"error": error}).encode())
    assert got == expected_status
    assert json.loads(body) == {"type": "error", "error": {"type": expected, "message": "m"}}


@pytest.mark.parametrize(
    ("status", "kind", "expected_status", "code"),
    [
        (529, "overloaded_error", 503, "overloaded"),
        (429, "rate_limit_error", 429, "rate_limit_exceeded"),
        (404, "not_found_error", 404, "model_not_found"),
        (400, "invalid_request_error", 400, "context_length_exceeded"),
        (402, "billing_error", 429, "insufficient_quota"),
    ],
)
def test_anthropic_s_errors_become_openai_s(status, kind, expected_status, code):
    body = {"type": "error", "error": {"type": kind, "message": "prompt is too long: 9 tokens"}}
    got, out = translate_error("messages", "chat", status, json.dumps(body).encode())
    assert (got, json.loads(out)["error"]["code"]) == (expected_status, code)
    assert "prompt is too long" in openai_raised(got, out).message


def test_errors_of_one_family_pass_byte_for_byte():
    odd = b' {"odd" : [1]} '
    assert translate_error("chat", "responses", 418, odd) == (418, odd)


def test_what_is_no_json_is_put_into_the_providers_shape():
    status, body = translate_error("chat", "responses", 502, b"<html>")
    assert status == 502
    assert json.loads(body)["error"]["message"] == "The provider answered with status 502."


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_an_error_in_a_stream_is_read_back_as_what_it_was(dialect):
    fault = stream_error(dialect, render_stream_error(dialect, ours.RateLimited("Slow \ud800 down.")))
    assert fault is not None
    assert (fault.status, fault.message) == (429, "Slow ? down.")
