"""The one error tree: every failure a caller can see, with a stable code, what was wrong and what to do.

MelioraError
├── SettingsError              bad_settings             the settings do not hold together
├── MissingExtra               missing_extra            an optional dependency is not installed
├── InvalidRequest             invalid_request     400  the request cannot be served as it is
│   ├── UntranslatableField    untranslatable_field     a field has no counterpart in the upstream's dialect
│   ├── BodyTooLarge           body_too_large      413
│   └── UnsupportedMedia       unsupported_media   415
├── Unauthorized               invalid_key         401
├── Forbidden                  forbidden           403
│   └── ModelForbidden         model_forbidden
├── NotFound                   not_found           404
│   └── UnknownModel           unknown_model
├── Conflict                   conflict            409
├── RateLimited                rate_limited        429
├── BudgetExhausted            budget_exhausted    429
├── Overloaded                 overloaded          503
├── UpstreamError              upstream_error      502
│   ├── UpstreamUnreachable    upstream_unreachable     no connection could be made
│   ├── UpstreamTimeout        upstream_timeout    504  it was too slow to connect, to answer or to go on
│   └── UpstreamBroken         upstream_broken          what it sent is not a whole, well-formed answer
├── NoEndpoint                 no_endpoint         503  every endpoint of the model is out
└── StoreError                 store_error         503
    ├── StoreUnavailable       store_unavailable
    │   └── ConnectionLost                              the connection broke while it was used
    └── SchemaMismatch         schema_mismatch          the database is of another version than this code
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal


class MelioraError(Exception):
    """Say what was wrong (`message`) and what to do about it (`hint`, may be empty), under a stable `code`."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, hint: str = "", field: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        """The request field or setting at fault, where there is one."""
        self.retry_after = retry_after
        """Seconds after which a repetition may succeed, where that is known."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings: where it stands, what is wrong, what to write. Holds no secret."""

    where: str
    """`FILE:LINE`, or the name of a variable."""
    what: str
    write: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.write}".rstrip()


class SettingsError(MelioraError):
    """Name the setting, where it stands, and what to write; `problems` has all of them where there are several."""

    code = "bad_settings"

    def __init__(
        self, message: str, *, hint: str = "", field: str | None = None, problems: Iterable[Problem] = ()
    ) -> None:
        super().__init__(message, hint=hint, field=field)
        self.problems = tuple(problems)


class MissingExtra(MelioraError):
    """Name the command that installs the optional dependency."""

    code = "missing_extra"
    status = 501


class InvalidRequest(MelioraError):
    """Refuse a request that cannot be served as it is."""

    code = "invalid_request"
    status = 400


class UntranslatableField(InvalidRequest):
    """Refuse a field that has no counterpart in the upstream's dialect; `field` names it."""

    code = "untranslatable_field"


class BodyTooLarge(InvalidRequest):
    """Refuse a body over the declared limit."""

    code = "body_too_large"
    status = 413


class UnsupportedMedia(InvalidRequest):
    """Refuse a content type or encoding that is not served."""

    code = "unsupported_media"
    status = 415


class Unauthorized(MelioraError):
    """Refuse a missing, unknown, expired or revoked key."""

    code = "invalid_key"
    status = 401


class Forbidden(MelioraError):
    """Refuse what the key's scopes do not cover."""

    code = "forbidden"
    status = 403


class ModelForbidden(Forbidden):
    """Refuse a model outside the key's list."""

    code = "model_forbidden"


class NotFound(MelioraError):
    """Say that the thing named does not exist (or belongs to another tenant, which is the same to the caller)."""

    code = "not_found"
    status = 404


class UnknownModel(NotFound):
    """Say that no provider serves the model."""

    code = "unknown_model"


class Conflict(MelioraError):
    """Refuse what contradicts something that is there already."""

    code = "conflict"
    status = 409


class RateLimited(MelioraError):
    """Refuse a call over the key's rate; `retry_after` says when there is room."""

    code = "rate_limited"
    status = 429


class BudgetExhausted(MelioraError):
    """Refuse a call over the key's budget; waiting does not help before the period ends."""

    code = "budget_exhausted"
    status = 429


class Overloaded(MelioraError):
    """Refuse a call that the gateway has no room for now."""

    code = "overloaded"
    status = 503


class UpstreamError(MelioraError):
    """Report that a provider failed, when no other could be tried."""

    code = "upstream_error"
    status = 502


class UpstreamUnreachable(UpstreamError):
    """Report that no connection could be made."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """Report that a provider was too slow to connect, to answer or to go on."""

    code = "upstream_timeout"
    status = 504


class UpstreamBroken(UpstreamError):
    """Report an answer that was cut or is not well-formed."""

    code = "upstream_broken"


class NoEndpoint(MelioraError):
    """Report that every endpoint of the model is out of service or excluded by a constraint."""

    code = "no_endpoint"
    status = 503


class StoreError(MelioraError):
    """Report that the store refused or failed."""

    code = "store_error"
    status = 503


class StoreUnavailable(StoreError):
    """Report that the store cannot be reached."""

    code = "store_unavailable"


class ConnectionLost(StoreUnavailable):
    """Report that a connection to the store broke while it was used. What only reads may be done again at once, on another."""


class SchemaMismatch(StoreError):
    """Report a database of another version than this code, and the command that mends it."""

    code = "schema_mismatch"
