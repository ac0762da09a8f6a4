"""Errors are classed by what the gateway recorded; a quota that is used up is never taken for a rate limit."""

from __future__ import annotations

import pytest

from meliora.diagnosis.classes import classify, may_succeed_later


@pytest.mark.parametrize(
    ("code", "status", "message", "kind"),
    [
        ("insufficient_quota", 429, None, "quota"),
        ("invalid_request_error", 400, "Your credit balance is too low to access the API.", "quota"),
        ("billing_error", 402, None, "quota"),
        (None, 402, None, "quota"),
        ("rate_limit_exceeded", 429, "You exceeded your current quota, please check your plan.", "quota"),
        ("rate_limit_exceeded", 429, "Rate limit reached, try again in 3s", "rate_limit"),
        (None, 429, None, "rate_limit"),
        (None, 401, None, "auth"),
        ("invalid_request_error", 401, None, "auth"),
        ("invalid_request_error", 400, None, "data"),
        ("context_length_exceeded", 400, None, "context_length"),
        ("content_filter", 400, None, "content_filter"),
        ("model_not_found", 404, None, "config"),
        ("upstream_timeout", 504, None, "timeout"),
        ("upstream_unreachable", 502, None, "network"),
        ("upstream_broken", 502, None, "parsing"),
        ("overloaded_error", 529, None, "inference"),
        ("server_error", 200, None, "inference"),
        ("something_new", 500, None, "inference"),
        ("something_new", 422, None, "data"),
        ("something_new", 200, None, "unknown"),
        (None, None, None, "unknown"),
        ("", 0, "", "unknown"),
    ],
)
def test_an_error_has_the_class_of_its_code_or_else_of_its_status(code, status, message, kind) -> None:
    assert classify(code, status, message) == kind


def test_only_what_passes_by_itself_may_be_tried_again() -> None:
    assert {
        kind for kind in ("rate_limit", "timeout", "network", "inference", "parsing") if may_succeed_later(kind)
    } == {
        "rate_limit",
        "timeout",
        "network",
        "inference",
        "parsing",
    }
    assert not any(
        map(may_succeed_later, ("quota", "auth", "data", "config", "content_filter", "context_length", "unknown"))
    )
