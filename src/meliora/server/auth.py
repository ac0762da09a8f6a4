"""Who asks, by key, and what the key may do. The tenant comes from the key and from nowhere else."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer, SecurityScopes
from fastapi.security.http import HTTPAuthorizationCredentials

from meliora.clock import Clock
from meliora.errors import Forbidden, Unauthorized
from meliora.gateway.state import KeyState, Scope
from meliora.server.context import Control, control_of

REMEMBER_SECONDS = 1.0
"""How long a key that was looked up is believed: a revoked one works for that long at most."""
_REMEMBERED = 4096
_SECRET_CHARS = 512

OPERATOR = "default"
"""The tenant whose administrators run the deployment."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    key_id: str
    tenant: str
    scopes: tuple[Scope, ...]
    key: KeyState | None = None
    """None for a call without a key."""

    @property
    def operates(self) -> bool:
        """Whether this is an administrator of the deployment as a whole."""
        return self.tenant == OPERATOR and "admin" in self.scopes

    def may(self, scope: str) -> bool:
        """Say whether the key covers a scope; `admin` covers all."""
        return scope in self.scopes or "admin" in self.scopes


_ANONYMOUS = Caller("anonymous", OPERATOR, ("call", "feedback"))


class Keyring:
    """Look keys up in the store, and remember the answer for a second, unknown ones too."""

    def __init__(self, find: Callable[[str, int], KeyState | None], clock: Clock) -> None:
        self._find = find
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, KeyState | None]] = OrderedDict()

    def open(self, secret: str) -> KeyState | None:
        """Give the key that a secret opens, or None."""
        digest = sha256(secret.encode("utf-8", "surrogatepass")).digest()
        now = self._clock.monotonic()
        with self._lock:
            held = self._known.get(digest)
        if held is not None and now - held[0] < REMEMBER_SECONDS:
            return held[1]
        found = self._find(secret, self._clock.now_us())
        with self._lock:
            self._known[digest] = (now, found)
            self._known.move_to_end(digest)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Look every key up again: one of them was changed."""
        with self._lock:
            self._known.clear()


_bearer = HTTPBearer(auto_error=False, description="A virtual key; `meliora keys create` makes one.")
_header = APIKeyHeader(name="x-api-key", auto_error=False, description="The same key, as Anthropic's clients send it.")


def _caller(
    request: Request,
    scopes: SecurityScopes,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> Caller:
    """Give who asks. Raises `Unauthorized` or `Forbidden`."""
    control = control_of(request)
    secret = bearer.credentials if bearer is not None else header
    if secret:
        key = control.keyring.open(secret) if len(secret) <= _SECRET_CHARS else None
        if key is None:
            raise Unauthorized("The API key is not known here.", hint="`meliora keys list` shows the keys there are.")
        caller = Caller(key.id, key.tenant, key.scopes, key)
    elif control.context.settings.gateway.anonymous:
        caller = _ANONYMOUS
    else:
        raise Unauthorized(
            "No API key was sent.",
            hint="Send `authorization: Bearer KEY` or `x-api-key: KEY`; `meliora keys create` makes one.",
        )
    for scope in scopes.scopes:
        if not caller.may(scope):
            raise Forbidden(f"The API key lacks the scope {scope!r}.", hint="`meliora keys update` widens it.")
    return caller


def _needs(scope: Scope) -> Any:
    return Security(_caller, scopes=[scope])


CallCaller = Annotated[Caller, _needs("call")]
"""Whoever may make model calls."""
FeedbackCaller = Annotated[Caller, _needs("feedback")]
"""Whoever may give feedback and record metrics."""
ReadCaller = Annotated[Caller, _needs("read")]
"""Whoever may read calls and analytics."""
AdminCaller = Annotated[Caller, _needs("admin")]
"""Whoever may change things."""
HereControl = Annotated[Control, Depends(control_of)]
"""What the app works with."""
