"""What can be called, in the caller's own dialect; and how many tokens a message would take."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from meliora.errors import InvalidRequest, ModelForbidden, UnknownModel, UpstreamBroken
from meliora.gateway.attempt import CHECK_OWN_KEY, OWN_KEY_REFUSED
from meliora.gateway.catalog import ANTHROPIC_VERSION, Endpoint, Entry
from meliora.gateway.dialects.count_tokens import estimate_tokens
from meliora.gateway.dialects.errors import translate_error
from meliora.gateway.dialects.inspect import splice_model
from meliora.gateway.inbound import Inbound
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.state import KeyState
from meliora.gateway.upstream import Headers, UpstreamRequest

AUTO = ("auto", "auto:fast", "auto:balanced", "auto:deep", "auto:code")
_JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")


def listed_models(snapshot: Snapshot, key: KeyState, anthropic: bool) -> dict[str, Any]:
    """Give the models a key may call, as OpenAI's or Anthropic's list."""
    names = [*AUTO, *snapshot.catalog.models, *snapshot.catalog.aliases]
    data = [_shown(snapshot, name, anthropic) for name in names if allowed(snapshot, key, name)]
    if anthropic:
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return {"data": data, "has_more": False, "first_id": first, "last_id": last}
    return {"object": "list", "data": data}


def listed_model(snapshot: Snapshot, key: KeyState, name: str, anthropic: bool) -> dict[str, Any]:
    """Give one of them. Raises `UnknownModel`, also for what the key may not call."""
    known = name in AUTO or name in snapshot.catalog.aliases or snapshot.catalog.find(name) is not None
    if not known or not allowed(snapshot, key, name):
        raise UnknownModel(f"There is no model {name!r}.", hint="GET /v1/models lists them.")
    return _shown(snapshot, name, anthropic)


def allowed(snapshot: Snapshot, key: KeyState, name: str) -> bool:
    """Whether a key's list of models covers this one, by its own name or its alias."""
    if key.models is None:
        return True
    target = snapshot.catalog.aliases.get(name, name)
    return any(fnmatchcase(name, glob) or fnmatchcase(target, glob) for glob in key.models) or name in AUTO


def _shown(snapshot: Snapshot, name: str, anthropic: bool) -> dict[str, Any]:
    made = snapshot.catalog.made_us // 1_000_000
    if anthropic:
        created = datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"type": "model", "id": name, "display_name": name, "created_at": created}
    entry = snapshot.catalog.find(snapshot.catalog.aliases.get(name, name))
    owner = entry.endpoints[0].account.name if entry is not None and entry.endpoints else "meliora"
    return {"id": name, "object": "model", "created": made, "owned_by": owner}


async def counted_tokens(inbound: Inbound, snapshot: Snapshot, key: KeyState) -> tuple[int, Headers, bytes]:
    """Count by Anthropic itself where the model is there, by an estimate (marked in a header) everywhere else."""
    try:
        body = msgspec.json.decode(inbound.body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise InvalidRequest(f"The request body is not a JSON object: {error}.") from error
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest("`model` is missing.", field="model")
    name = snapshot.catalog.aliases.get(name, name)
    entry = snapshot.catalog.find(name)
    if entry is None and name not in AUTO:
        raise UnknownModel(f"There is no model {name!r}.", hint="GET /v1/models lists them.")
    if not allowed(snapshot, key, name):
        raise ModelForbidden(f"The API key may not call {name!r}.")
    endpoint = _anthropic(entry, key) if entry is not None else None
    if endpoint is None:
        answer = {"input_tokens": estimate_tokens(body)}
        return 200, [_JSON, (b"x-meliora-estimated", b"true")], msgspec.json.encode(answer)
    return await _ask(inbound, body, endpoint, snapshot)


def _anthropic(entry: Entry, key: KeyState) -> Endpoint | None:
    for endpoint in entry.endpoints:
        if endpoint.account.settings.kind == "anthropic" and (key.regions is None or endpoint.region in key.regions):
            return endpoint
    return None


async def _ask(
    inbound: Inbound, body: dict[str, Any], endpoint: Endpoint, snapshot: Snapshot
) -> tuple[int, Headers, bytes]:
    raw = inbound.body if endpoint.model == body["model"] else splice_model(inbound.body, body, endpoint.model)
    headers: Headers = [_JSON, (b"anthropic-version", inbound.headers.get(b"anthropic-version", ANTHROPIC_VERSION))]
    if b"anthropic-beta" in inbound.headers:
        headers.append((b"anthropic-beta", inbound.headers[b"anthropic-beta"]))
    path = "/messages/count_tokens"
    answer = await endpoint.account.upstream.send(UpstreamRequest("POST", path, headers, raw))
    try:
        status, body_back = answer.status, await answer.read(1024 * 1024)
    finally:
        answer.abort()
    if status in (401, 403):
        raise UpstreamBroken(OWN_KEY_REFUSED, hint=CHECK_OWN_KEY)
    if status >= 300:
        status, body_back = translate_error("messages", "messages", status, endpoint.account.without_secrets(body_back))
    return status, [_JSON], body_back
