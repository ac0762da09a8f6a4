"""Where client and upstream speak the same dialect the bytes pass, and every call is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meliora.settings.models import Model, Price
from meliora.telemetry.records import CallBegun, Usage
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway, key
from tests.gateway.asking import QUICK, chat, get, opened, post, settings, stream_text


def test_an_answer_passes_byte_for_byte_with_the_call_named_in_its_headers(tmp_path: Path) -> None:
    """What the upstream said is what the client gets; what was chosen and why stands in the headers."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat())
        assert answer.status == 200
        assert answer.json["choices"][0]["message"]["content"].startswith("[simulated]")
        assert answer.headers["x-meliora-model"] == "m"
        assert answer.headers["x-meliora-reason"] == "asked"
        assert answer.headers["x-meliora-call"].startswith("call_")
        [record] = gateway.finished(1)
        assert record.id == answer.headers["x-meliora-call"]
        assert record.response_id == answer.json["id"]
        assert record.response_bytes == len(answer.body)


def test_unknown_fields_and_number_spellings_reach_the_upstream_untouched(tmp_path: Path) -> None:
    """Nothing of the body is parsed and written again when only the model's name changes."""
    raw = b'{"model": "alias",\n "messages":[{"role":"user","content":"h\\u00e9"}], "temperature": 1.0e0, "x_new":{"b":1,"a":[1e30]}}'
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, aliases={"alias": "m"})
        with RunningGateway(made) as gateway:
            assert post(gateway, "/v1/chat/completions", raw).status in (200, 400)
        assert provider.requests[0].body == raw.replace(b'"alias"', b'"m"')


def test_the_clients_key_and_cookies_never_reach_the_upstream(tmp_path: Path) -> None:
    """Only what belongs to the dialect leaves the house."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        post(gateway, "/v1/chat/completions", chat(), cookie="session=1", x_secret="s", x_meliora_user="u")
        sent = {name for name, _ in provider.requests[0].headers}
    assert "authorization" not in sent
    assert not {"cookie", "x-secret", "x-meliora-user"} & sent


def test_a_stream_passes_event_by_event_and_its_hidden_usage_is_recorded(tmp_path: Path) -> None:
    """The gateway asks for usage that the client did not ask for, records it, and keeps it from the client."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat(stream=True))
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert b'"choices":[]' not in answer.body
        assert "[simulated]" in stream_text(answer.body)
        assert json.loads(provider.requests[0].body)["stream_options"] == {"include_usage": True}
        [record] = gateway.finished(1)
    assert record.usage is not None and record.usage.output
    assert record.usage_source == "provider"
    assert record.ttft_us is not None
    assert record.response_text == stream_text(answer.body)


def test_a_client_that_asks_for_usage_gets_it(tmp_path: Path) -> None:
    """The usage event is hidden only from those who did not ask."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", chat(stream=True, stream_options={"include_usage": True}))
    assert b'"choices":[]' in answer.body


def test_every_answered_call_has_a_begin_and_a_finish_with_user_session_and_tags(tmp_path: Path) -> None:
    """The application's labels stand in both records."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        headers = {"x_meliora_user": "u1", "x_meliora_session": "s1", "x_meliora_tags": "env=prod, team=a"}
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = post(
            gateway, "/v1/chat/completions", chat(), traceparent=parent, x_meliora_message_id="msg-7", **headers
        )
        [record] = gateway.finished(1)
        begun = [r for r in gateway.records() if isinstance(r, CallBegun)]
        upstream = provider.requests[0].header("traceparent")
    assert [b.id for b in begun] == [record.id]
    assert (record.user, record.session, record.message_id) == ("u1", "s1", "msg-7")
    assert record.tags == {"env": "prod", "team": "a"}
    assert record.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert record.parent_span_id == "b7ad6b7169203331"
    assert upstream == f"00-{record.trace_id}-{record.span_id}-01" == answer.headers["traceparent"]


def test_the_cost_is_in_the_header_and_the_record_and_an_unknown_price_is_null(tmp_path: Path) -> None:
    """A price that nobody knows is never zero."""
    with FakeProvider() as provider:
        priced = settings(tmp_path / "a", provider, models={"m": Model(price=Price(input=1, output=2))})
        with RunningGateway(priced) as gateway:
            answer = post(gateway, "/v1/chat/completions", chat())
            [record] = gateway.finished(1)
            assert isinstance(record.usage, Usage)
            expected = (record.usage.input or 0) + 2 * (record.usage.output or 0)
            assert record.cost_micros == expected
            assert answer.headers["x-meliora-cost"] == f"0.{expected:06d}"
        with RunningGateway(settings(tmp_path / "b", provider)) as gateway:
            answer = post(gateway, "/v1/chat/completions", chat())
            [record] = gateway.finished(1)
    assert record.cost_micros is None
    assert "x-meliora-cost" not in answer.headers


def test_secrets_are_masked_before_they_reach_the_disk(tmp_path: Path) -> None:
    """Neither the request's nor the answer's secret stands in the spool."""
    text = "Repeat after me: write to jane.doe@example.org, card 4111 1111 1111 1111"
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        post(gateway, "/v1/chat/completions", chat(text))
        [record] = gateway.finished(1)
        disk = b"".join(path.read_bytes() for path in (tmp_path / "state" / "spool").iterdir())
    assert record.content == "redacted"
    assert record.masked >= 2
    assert b"jane.doe" not in disk
    assert b"4111" not in disk


def test_models_are_listed_for_the_key_in_both_dialects(tmp_path: Path) -> None:
    """A key sees what it may call."""
    keys = [key(), key("narrow", "mel_narrow", models=("other*",))]
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, aliases={"smart": "m"})
        with RunningGateway(made, keys=keys) as gateway:
            listed = [m["id"] for m in get(gateway, "/v1/models").json["data"]]
            narrow = [m["id"] for m in get(gateway, "/v1/models", secret="mel_narrow").json["data"]]
            one = get(gateway, "/v1/models/m")
            missing = get(gateway, "/v1/models/none")
    assert {"m", "smart", "auto", "auto:code"} <= set(listed)
    assert "m" not in narrow
    assert one.json["id"] == "m"
    assert missing.status == 404


@pytest.mark.parametrize("mode", ["off", "full"])
def test_content_is_kept_as_the_settings_say(tmp_path: Path, mode: str) -> None:
    """`off` keeps no word of it, `full` all."""
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, recording={"content": mode})
        with RunningGateway(made) as gateway:
            post(gateway, "/v1/chat/completions", chat("mail a@b.example"))
            [record] = gateway.finished(1)
    assert (record.request_text is None) == (mode == "off")
    assert record.prompt_hash is not None
    if mode == "full":
        assert record.request_text is not None and "a@b.example" in record.request_text


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_may_ask_that_no_text_of_it_is_kept(tmp_path: Path, stream: bool) -> None:
    """Its record has all else; the wish stays here, and one that does not read is refused."""
    with FakeProvider() as provider:
        made = settings(tmp_path, provider, recording={"content": "full"})
        with RunningGateway(made) as gateway:
            headers = {"x-meliora-content": "off", "x-meliora-user": "ann"}
            post(gateway, "/v1/chat/completions", chat("mail a@b.example", stream=stream), **headers)
            wrong = post(gateway, "/v1/chat/completions", chat(), **{"x-meliora-content": "none"})
            [record] = [one for one in gateway.finished(2) if one.outcome == "ok"]
    assert (record.request_text, record.response_text, record.prompt_hash) == (None, None, None)
    assert (record.content, record.user) == ("off", "ann") and record.usage is not None
    assert "x-meliora-content" not in {name.lower() for name, _ in provider.requests[0].headers}
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "x-meliora-content")


def test_embeddings_pass(tmp_path: Path) -> None:
    """An embedding is a call like any other."""
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/embeddings", {"model": "m", "input": "hello"})
        [record] = gateway.finished(1)
    assert answer.status == 200
    assert answer.json["data"][0]["embedding"]
    assert record.dialect == "embeddings"
    assert record.usage is not None and record.usage.output == 0


def test_a_client_that_leaves_cancels_its_call_upstream_and_is_recorded(tmp_path: Path) -> None:
    """Nobody pays for an answer that nobody reads."""
    from meliora.testing import Play

    with FakeProvider(play=Play(event_delay=0.2)) as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        with opened(gateway, "/v1/chat/completions", chat("Write 200 words about rivers", stream=True)) as response:
            assert response.readline()
        [record] = gateway.finished(1)
        assert provider.wait_idle()
        assert provider.requests[0].aborted
    assert record.outcome == "cancelled"
    assert record.usage is not None


def test_observing_never_changes_a_call(tmp_path: Path) -> None:
    """With `mode = observe` the record says what would have been chosen."""
    with FakeProvider() as provider:
        made = settings(
            tmp_path, provider, gateway=QUICK.model_copy(update={"mode": "observe"}), models={"m": Model(tier="fast")}
        )
        with RunningGateway(made) as gateway:
            answer = post(gateway, "/v1/chat/completions", chat())
            [record] = gateway.finished(1)
    assert answer.headers["x-meliora-model"] == "m"
    assert record.observed_model == "m"


def test_a_text_cut_in_an_emoji_passes_as_it_is(tmp_path: Path) -> None:
    """Half of a surrogate pair is what JavaScript's slicing leaves; providers take it, and the record can hold it."""
    raw = b'{"model":"m","messages":[{"role":"user","content":"cut \\ud83d"}]}'
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        post(gateway, "/v1/chat/completions", raw)
        [record] = gateway.finished(1)
        assert provider.requests[0].body == raw
    assert record.request_text is not None and "cut" in record.request_text


def test_a_body_nested_deeper_than_the_limit_is_refused_by_name(tmp_path: Path) -> None:
    """Nothing that deep reaches an upstream."""
    deep = b'{"model":"m","messages":[],"x":' + b"[" * 200 + b"]" * 200 + b"}"
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider)) as gateway:
        answer = post(gateway, "/v1/chat/completions", deep)
        assert provider.count == 0
    assert answer.status == 400
    assert "deeper than 128" in answer.json["error"]["message"]
