"""Slack, Alertmanager and Apprise: what they are sent, and that what fails or hangs is an error in bounded time that names no address."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from meliora.errors import InvalidRequest, MissingExtra, SettingsError, UpstreamError
from meliora.integrations.alertmanager import Alertmanager
from meliora.integrations.apprise import Apprise
from meliora.integrations.slack import Slack
from meliora.integrations.webhook import MOST_BYTES, Webhook
from meliora.loop.alerts import Message

NOW = 1_795_219_200_000_000


def message(**over: Any) -> Message:
    known: dict[str, Any] = {
        "tenant": "default",
        "fingerprint": "f",
        "status": "firing",
        "name": "gate_failing",
        "severity": "critical",
        "summary": "errors are up",
        "labels": {"gate": "errors"},
        "began_us": NOW,
        "ended_us": None,
        "until_us": NOW + 172_800_000_000,
    }
    return Message(**known | over)


class Played:
    """A server that answers what it was told, and remembers what it got."""

    def __init__(self) -> None:
        self.status, self.body, self.got = 200, b"ok", []  # type: ignore[var-annotated]
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                played.got.append((self.path, json.loads(body), self.headers.get("authorization")))
                self.send_response(played.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(played.body)

            def log_message(self, *_: Any) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_slack_gets_a_text_in_which_nothing_is_a_link_a_mention_or_bold(played: Played) -> None:
    said = message(summary="<!channel> & *look* <https://evil|here> `rm`")
    Slack(Webhook(f"{played.url}/services/T/B/secret", "Slack")).send(said)
    ((path, body, _),) = played.got
    assert path == "/services/T/B/secret"
    title, text = body["text"].split("\n")
    assert title == "*[firing] gate failing (critical, default)*"
    assert text.startswith("&lt;!channel&gt; &amp; ") and "<" not in text and "*look*" not in text


def test_alertmanager_gets_its_own_form_with_an_end_and_a_token(played: Played) -> None:
    sink = Alertmanager(Webhook(f"{played.url}/api/v2/alerts", "Alertmanager", headers={"authorization": "Bearer t"}))
    sink.send(message())
    sink.send(message(status="resolved", ended_us=NOW + 60_000_000))
    assert [(path, token) for path, _, token in played.got] == [("/api/v2/alerts", "Bearer t")] * 2
    (fires,), (ended,) = (body for _, body, _ in played.got)
    assert fires == {
        "labels": {
            "gate": "errors",
            "alertname": "gate_failing",
            "severity": "critical",
            "tenant": "default",
            "source": "meliora",
        },
        "annotations": {"summary": "errors are up"},
        "startsAt": "2026-11-21T00:00:00.000Z",
        "endsAt": "2026-11-23T00:00:00.000Z",
    }
    assert ended["endsAt"] == "2026-11-21T00:01:00.000Z"
    assert ended["labels"] == fires["labels"], "it is the same alert by its labels"


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_anything_but_success_is_an_error_that_does_not_name_the_address(played: Played, status: int) -> None:
    played.status = status
    with pytest.raises(UpstreamError, match=f"Slack answered {status}") as caught:
        Slack(Webhook(f"{played.url}/services/secret", "Slack")).send(message())
    assert "secret" not in str(caught.value)
    assert len(played.got) == 1, "a redirect is not followed"


def test_an_endless_answer_is_not_read_to_its_end(played: Played) -> None:
    played.body = b"x" * (4 * MOST_BYTES)
    Slack(Webhook(played.url, "Slack")).send(message())


def test_an_answer_that_trickles_ends_at_the_patience(played: Played) -> None:
    played.body = b"x" * MOST_BYTES
    moments = iter([0.0, *[99.0] * 100])
    with pytest.raises(TimeoutError):
        Webhook(played.url, "Slack", patience=5, monotonic=lambda: next(moments)).post({})


def test_a_server_that_is_not_there_is_an_os_error(played: Played) -> None:
    played.server.server_close()
    with pytest.raises(OSError, match=r".+"):
        Webhook("http://127.0.0.1:1/", "Slack", patience=1).post({})


@pytest.mark.parametrize(
    "url", ["", "hooks.slack.com/x", "ftp://x/y", "http://", "http://x:port/", "http://x/a b", "//x"]
)
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Webhook(url, "Slack")
    assert "hooks" not in str(caught.value) and "x:" not in str(caught.value)


@dataclass
class Notifier:
    """`apprise.Apprise` as far as it is used."""

    works: bool = True
    raises: Exception | None = None
    urls: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    def add(self, url: str) -> bool:
        self.urls.append(url)
        return url.startswith("json://")

    def notify(self, **said: Any) -> bool:
        self.told.append(said)
        if self.raises is not None:
            raise self.raises
        return self.works


def test_apprise_is_told_title_body_and_kind_as_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = Notifier()
    monkeypatch.setitem(sys.modules, "apprise", SimpleNamespace(Apprise=lambda: notifier))  # type: ignore[arg-type]
    sink = Apprise.of(["json://one", "json://two"])
    sink.send(message())
    sink.send(message(status="resolved"))
    assert notifier.urls == ["json://one", "json://two"]
    assert [one["notify_type"] for one in notifier.told] == ["failure", "success"]
    assert notifier.told[0]["body_format"] == "text" and notifier.told[0]["body"] == "errors are up"
    with pytest.raises(SettingsError, match="Address 2"):
        Apprise.of(["json://one", "nothing"])


@pytest.mark.parametrize("notifier", [Notifier(works=False), Notifier(raises=RuntimeError("https://user:secret@x"))])
def test_apprise_that_fails_is_an_error_without_its_addresses(notifier: Notifier) -> None:
    with pytest.raises(UpstreamError) as caught:
        Apprise(notifier).send(message())
    assert "secret" not in str(caught.value)


def test_without_apprise_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MissingExtra, match=r"meliora\[apprise\]"):
        Apprise.of(["json://x"])
