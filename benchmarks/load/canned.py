"""The requests and answers of the benchmarks: 1 KB of chat in, 500 B or a stream of chunks out, seeded.

Refuses to send one request again and again: a rotation of different texts keeps caches honest.
"""

from __future__ import annotations

import json
import random
import string
from dataclasses import dataclass

REQUEST_BYTES = 1024
ANSWER_BYTES = 500
ROTATION = 256
"""Different requests of one kind, sent in turn."""

CHAT = "bench"
"""Model that answers 500 B, or 33 paced chunks where a stream is asked for."""
CHAT_HOLD = "bench-hold"
"""Model whose stream stays open for several seconds."""
CHAT_LONG = "bench-long"
"""Model whose stream has 10,000 chunks, sent as fast as they are taken."""
MODELS = (CHAT, CHAT_HOLD, CHAT_LONG)

STREAM_CHUNKS = 33
LONG_CHUNKS = 10_000

_PHRASES = (
    "the order arrived late and one of its parcels was open when we looked at it so please tell us what to do next "
    "a customer asks whether the invoice of last month can be sent again to another address in the same city "
    "our team would like to know how the report was made and which of the numbers in it changed since spring "
    "explain in plain words why the engine stops after a cold night although the battery is new and full "
    "write a short and friendly answer that says what happened what we will do and when they hear from us "
    "compare both plans by price and by support and say which one suits a small shop with two people"
)
_WORDS = _PHRASES.split()


@dataclass(frozen=True)
class Target:
    """Where requests go. `prefix` stands before the model's name, `headers` are sent besides the usual ones."""

    host: str
    port: int
    path: str = "/v1/chat/completions"
    prefix: str = ""
    headers: tuple[tuple[str, str], ...] = (("authorization", "Bearer sk-benchmark"),)


def requests(
    target: Target, model: str, seed: int, *, stream: bool = False, masked: bool = False, size: int = REQUEST_BYTES
) -> list[bytes]:
    """Make a rotation of whole HTTP requests, each with a body of `size` bytes.

    With `masked`, each prompt holds an e-mail address, a card number, a phone number and an API key (all invented).
    """
    rng = random.Random(f"{seed}/{model}/{stream}/{masked}")
    name = target.prefix + model
    return [_http(target, _body(name, rng, stream=stream, masked=masked, size=size)) for _ in range(ROTATION)]


def _http(target: Target, body: bytes) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"host: {target.host}:{target.port}",
        "content-type: application/json",
        "accept: */*",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in target.headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _body(model: str, rng: random.Random, *, stream: bool, masked: bool, size: int) -> bytes:
    asked: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer customers of a small shop, briefly and politely."},
            {"role": "user", "content": _personal(rng) if masked else ""},
        ],
        "temperature": 0.2,
        "max_tokens": 200,
    }
    if stream:
        asked["stream"] = True
    bare = json.dumps(asked, separators=(",", ":"))
    text = prose(rng, size - len(bare))
    # The user message comes last, so the prose goes in before the list's end.
    before, after = bare.rsplit('"}]', 1)
    return f'{before}{text}"}}]{after}'.encode()


def prose(rng: random.Random, size: int) -> str:
    """Give `size` characters of a shop's correspondence."""
    words: list[str] = []
    length = 0
    while length <= size:
        words.append(rng.choice(_WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)[:size]


def _personal(rng: random.Random) -> str:
    key = "".join(rng.choices(string.ascii_letters + string.digits, k=48))
    name = rng.choice(("anna", "bela", "carla", "dario")) + str(rng.randrange(1000))
    return (
        f"I am {name}.meier@mail.example and you reach me at +1 415 555 {rng.randrange(100, 200):04d}, "
        f"my card is {_card(rng)} and my key is sk-{key}, "
    )


def _card(rng: random.Random) -> str:
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    doubled = (d if i % 2 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits))
    digits.append(-sum(doubled) % 10)
    text = "".join(map(str, digits))
    return " ".join(text[i : i + 4] for i in range(0, 16, 4))


def answer_parts() -> tuple[bytes, bytes]:
    """Give a whole HTTP answer in two halves; twelve digits of an id go between. The body has `ANSWER_BYTES`."""
    before = b'{"id":"chatcmpl-'
    after = (
        b'","object":"chat.completion","created":1790000000,"model":"bench","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":'
        b'{"prompt_tokens":212,"completion_tokens":38,"total_tokens":250}}'
    )
    text = prose(random.Random(0), ANSWER_BYTES - len(before) - 12 - len(after)).encode()
    body = after.replace(b'"content":""', b'"content":"' + text + b'"')
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {ANSWER_BYTES}\r\n\r\n".encode()
    return head + before, body


def stream_parts(chunks: int, *, usage: bool) -> tuple[list[bytes], bytes]:
    """Give a stream's events (role, content, finish, usage where asked for) and its `[DONE]`, as chunked HTTP."""
    rng = random.Random(chunks)
    frame = (
        '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,"model":"bench","choices":[%s]%s}'
    )
    deltas = ['{"role":"assistant","content":""}']
    deltas += [json.dumps({"content": " " + rng.choice(_WORDS)}) for _ in range(chunks - 2)]
    events = [frame % (f'{{"index":0,"delta":{delta},"finish_reason":null}}', "") for delta in deltas]
    events.append(frame % ('{"index":0,"delta":{},"finish_reason":"stop"}', ""))
    if usage:
        counts = {"prompt_tokens": 212, "completion_tokens": chunks - 2, "total_tokens": 210 + chunks}
        events.append(frame % ("", f',"usage":{json.dumps(counts)}'))
    return [_chunk(f"data: {event}\n\n".encode()) for event in events], _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
