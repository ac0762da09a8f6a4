"""Classes of errors of model calls, by the code and status that the gateway recorded; and whether the same call may succeed later.

Providers tell an exhausted quota as a 429, a 400 or a 402. It is no rate limit: no repetition helps before somebody pays.
"""

from __future__ import annotations

from typing import Literal

ErrorClass = Literal[
    "auth",
    "config",
    "content_filter",
    "context_length",
    "data",
    "inference",
    "network",
    "parsing",
    "quota",
    "rate_limit",
    "timeout",
    "unknown",
]
"""`data`: the request itself is refused; `config`: what it names is not there; `inference`: the provider failed or is overloaded;
`parsing`: its answer was cut or malformed."""

QUOTA_WORDS = (
    "credit balance is too low",
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credits",
    "billing hard limit",
    "spend limit",
    "specified api usage limits",
)
"""What a message says, in lower case, where the code does not tell that money or quota is used up."""
QUOTA_STATUSES = (400, 403, 429)
"""Statuses under which those words are looked for; 402 says it by itself."""

_RETRYABLE: frozenset[ErrorClass] = frozenset(("inference", "network", "parsing", "rate_limit", "timeout"))

_CODES: dict[ErrorClass, tuple[str, ...]] = {
    "auth": (
        "invalid_key",
        "invalid_api_key",
        "authentication_error",
        "permission_error",
        "permission_denied",
        "forbidden",
        "model_forbidden",
    ),
    "config": ("unknown_model", "model_not_found", "not_found", "not_found_error", "deploymentnotfound"),
    "content_filter": ("content_filter", "content_policy_violation", "responsibleaipolicyviolation"),
    "context_length": ("context_length_exceeded", "string_above_max_length", "prompt_too_long"),
    "data": (
        "invalid_request",
        "invalid_request_error",
        "untranslatable_field",
        "body_too_large",
        "unsupported_media",
        "request_too_large",
        "invalid_value",
        "unsupported_value",
        "unsupported_parameter",
    ),
    "inference": (
        "api_error",
        "server_error",
        "internal_error",
        "internal_server_error",
        "overloaded",
        "overloaded_error",
        "service_unavailable",
        "service_unavailable_error",
        "no_endpoint",
        "upstream_error",
    ),
    "network": ("upstream_unreachable",),
    "parsing": ("upstream_broken",),
    "quota": (
        "budget_exhausted",
        "insufficient_quota",
        "insufficient_balance",
        "quota_exceeded",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    ),
    "rate_limit": (
        "rate_limited",
        "rate_limit_exceeded",
        "rate_limit_error",
        "requests",
        "tokens",
        "too_many_requests",
    ),
    "timeout": ("upstream_timeout", "timeout", "timeout_error", "request_timeout", "deadline_exceeded"),
}
_BY_CODE: dict[str, ErrorClass] = {code: kind for kind, codes in _CODES.items() for code in codes}
_VAGUE = frozenset(("invalid_request_error", "upstream_error", "invalid_request"))
"""Codes that providers also give with a status that says more."""
_BY_STATUS: dict[int, ErrorClass] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "config",
    408: "timeout",
    429: "rate_limit",
    504: "timeout",
}


def classify(code: str | None, status: int | None, message: str | None = None) -> ErrorClass:
    """Give the class of an error; `unknown` where neither code, status nor message tells. `message` is only asked about quota."""
    named = _BY_CODE.get((code or "").lower())
    if named == "quota" or status == 402 or (status in QUOTA_STATUSES and _tells_quota(message)):
        return "quota"
    by_status = _BY_STATUS.get(status or 0)
    if named is not None and not (code in _VAGUE and by_status is not None):
        return named
    if by_status is not None:
        return by_status
    if status is None or status < 400:
        return named or "unknown"
    return "inference" if status >= 500 else "data"


def may_succeed_later(kind: str) -> bool:
    """Tell whether trying the same call again can help; never for a quota that is used up, nor for what is refused or unknown."""
    return kind in _RETRYABLE


def _tells_quota(message: str | None) -> bool:
    said = (message or "").lower()
    return any(words in said for words in QUOTA_WORDS)
