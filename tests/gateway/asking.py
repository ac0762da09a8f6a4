"""Ask a gateway as plainly as can be: one HTTP request, the whole answer, or the pieces of a stream as they come."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meliora.settings.models import Gateway, Model, Provider, Retry, Server, Settings, Timeouts
from meliora.testing import FakeProvider
from meliora.testing.gateway import SECRET, RunningGateway
from tests.gateway.raw_upstream import RawUpstream

QUICK = Gateway(
    retry=Retry(backoff=0.01, backoff_max=0.05),
    timeouts=Timeouts(connect=2, first_byte=5, stall=5, total=30),
    keepalive=0,
)


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def settings(tmp_path: Path, *providers: FakeProvider | RawUpstream, gateway: Gateway = QUICK, **more: Any) -> Settings:
    """Settings with one OpenAI-compatible provider for each fake, all serving `m`, `p0` first."""
    made = {f"p{i}": Provider(base_url=p.base_url_openai, models=["m"]) for i, p in enumerate(providers)}
    models = {"m": Model(context_window=100_000)}
    given: dict[str, Any] = {"providers": made, "models": models, **more}
    return Settings(server=Server(state_dir=tmp_path / "state"), gateway=gateway, **given)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what other threads bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def chat(text: str = "What is 2+2?", **more: Any) -> dict[str, Any]:
    """A chat body."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def messages(text: str = "What is 2+2?", **more: Any) -> dict[str, Any]:
    """A messages body."""
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}


def post(
    gateway: RunningGateway, path: str, body: Any, *, secret: str | None = SECRET, method: str = "POST", **headers: str
) -> Answer:
    """Send one request and read the whole answer."""
    with _sent(gateway, path, body, secret, method, headers) as response:
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def get(gateway: RunningGateway, path: str, *, secret: str | None = SECRET) -> Answer:
    """Send a GET."""
    return post(gateway, path, None, secret=secret, method="GET")


@contextmanager
def opened(gateway: RunningGateway, path: str, body: Any, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """Send a request and leave its answer unread; the connection closes at the end."""
    with _sent(gateway, path, body, SECRET, "POST", headers) as response:
        yield response


@contextmanager
def _sent(
    gateway: RunningGateway, path: str, body: Any, secret: str | None, method: str, headers: dict[str, str]
) -> Iterator[http.client.HTTPResponse]:
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    if secret is not None:
        sent["authorization"] = f"Bearer {secret}"
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request(method, path, raw, sent)
        yield connection.getresponse()
    finally:
        connection.close()


def stream_text(body: bytes) -> str:
    """Join the text of a chat stream."""
    texts: list[str] = []
    for line in body.splitlines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            event = json.loads(line[6:])
            texts.extend(choice["delta"].get("content") or "" for choice in event.get("choices", []))
    return "".join(texts)
