"""Meliora's own model calls: through its own gateway, under a key that pays for them, so that they are recorded like any other."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import msgspec

from meliora.errors import (
    BudgetExhausted,
    Forbidden,
    InvalidRequest,
    MelioraError,
    NotFound,
    RateLimited,
    Unauthorized,
    UpstreamBroken,
    UpstreamError,
    UpstreamUnreachable,
)
from meliora.gateway.dialects.embeddings import vectors_of
from meliora.settings import Settings

PATIENCE = 300.0
"""Seconds an answer may take."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and what it cost; `None` where that is not known, also where the gateway gave an answer that was paid before."""

    text: str
    cost_micros: int | None
    model: str | None = None
    call_id: str | None = None


class OwnGateway:
    """Asks the gateway at a URL. Safe to use from several threads."""

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest(f"{url!r} is not the address of a gateway.", hint="Write e.g. http://127.0.0.1:8700.")
        self._url = url.rstrip("/")
        self._https = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._patience = patience

    def ask(
        self,
        key: str,
        model: str,
        messages: Sequence[dict[str, Any]],
        *,
        feature: str,
        once: str | None = None,
        schema: dict[str, Any] | None = None,
        user: str = "",
    ) -> Answered:
        """Put a conversation to a model.

        With `schema` the answer is JSON of that shape. `user` is whose words are in it: an erasure of that person takes them out
        of the call's record.
        `once` names the question: asked again under the same name within the gateway's `idempotency_ttl` it is not paid again.
        Raises `UpstreamUnreachable` without a gateway, `Unauthorized`, `Forbidden`, `NotFound`, `RateLimited`, `BudgetExhausted`
        or `InvalidRequest` as the gateway refuses, `UpstreamError` where no model answered.
        """
        asked: dict[str, Any] = {"model": model, "messages": messages}
        if schema is not None:
            shape = {"name": "judgement", "strict": True, "schema": schema}
            asked["response_format"] = {"type": "json_schema", "json_schema": shape}
        told, said = self._post("chat/completions", asked, key, feature, once, user)
        again = told.get("x-meliora-cache") is not None
        cost = None if again else _micros(told.get("x-meliora-cost"))
        return Answered(_text(said, model), cost, told.get("x-meliora-model"), told.get("x-meliora-call"))

    def embed(
        self, key: str, model: str, texts: Sequence[str], *, feature: str, once: str | None = None
    ) -> list[list[float]]:
        """Give the vectors of texts, which may be of many people: the calls' records hold none of them, so none has to be erased.

        Raises as `ask` does; `UpstreamBroken` where the vectors do not read.
        """
        asked = {"model": model, "input": list(texts)}
        _, said = self._post("embeddings", asked, key, feature, once, kept=False)
        try:
            return vectors_of(msgspec.json.decode(said), len(texts))
        except msgspec.MsgspecError as error:
            raise UpstreamBroken(f"The answer of {model} does not read: {error}.") from error

    def _post(
        self,
        path: str,
        asked: dict[str, Any],
        key: str,
        feature: str,
        once: str | None,
        user: str = "",
        kept: bool = True,
    ) -> tuple[Message, bytes]:
        """Give the headers and the body of a good answer; `kept` lets the record have its texts."""
        headers: dict[str, str | bytes] = {
            "content-type": "application/json",
            "authorization": f"Bearer {key}",
            "x-meliora-feature": feature,
        }
        if user:
            headers["x-meliora-user"] = _header(user)
        if not kept:
            headers["x-meliora-content"] = "off"
        if once is not None:
            headers |= {"idempotency-key": once, "x-meliora-message-id": once}
        body = msgspec.json.encode(asked)
        maker = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        connection = maker(self._host, self._port, timeout=self._patience)
        try:
            connection.request("POST", f"{self._path}/v1/{path}", body, headers)
            response = connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamUnreachable(
                f"The gateway at {self._url} cannot be asked: {error}.", hint="`meliora up` starts it.", retry_after=5
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            raise _refusal(response.status, said, asked["model"])
        return response.headers, said


def _header(user: str) -> bytes:
    if user != user.strip():
        # Another name would be kept with the call, and an erasure would pass it over.
        raise InvalidRequest(
            "A user's name that begins or ends with a space cannot be told to the gateway.", field="user"
        )
    return user.encode()


def gateway_url(settings: Settings) -> str:
    """Give where the gateway of these settings is: as the running one says, else as the settings do."""
    from meliora.supervisor.layout import Layout, address, read_pids

    return read_pids(Layout.of(settings)).url or address(settings.server.host, settings.server.port)


_REFUSALS: dict[str, type[MelioraError]] = {
    one.code: one for one in (Unauthorized, Forbidden, NotFound, RateLimited, BudgetExhausted, InvalidRequest)
}
_BY_STATUS: dict[int, type[MelioraError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 429: RateLimited}


class _Error(msgspec.Struct):
    message: str = ""
    code: Any = None


class _Refusal(msgspec.Struct):
    error: _Error


def _refusal(status: int, said: bytes, model: str) -> MelioraError:
    try:
        error = msgspec.json.decode(said, type=_Refusal).error
    except msgspec.MsgspecError:
        error = _Error()
    kind = _REFUSALS.get(str(error.code)) or _BY_STATUS.get(status)
    if kind is None:
        kind = InvalidRequest if 400 <= status < 500 else UpstreamError
    return kind(f"{model} was not asked: {error.message or f'status {status}'}")


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]


def _text(said: bytes, model: str) -> str:
    try:
        return msgspec.json.decode(said, type=_Answer).choices[0].message.content or ""
    except (msgspec.MsgspecError, IndexError) as error:
        raise UpstreamBroken(f"The answer of {model} does not read: {error}.") from error


def _micros(dollars: str | None) -> int | None:
    try:
        return None if dollars is None else round(float(dollars) * 1e6)
    except ValueError:
        return None
