"""Prompts of a file, and a sample of them that is the same whenever it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from meliora.errors import InvalidRequest

MOST_BYTES = 512 * 1024 * 1024


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    expected: str | None = None
    task: str = "general"


@dataclass(frozen=True)
class Prompt:
    """Something to ask. `id` is a hash of the messages: equal prompts are one."""

    messages: tuple[dict[str, Any], ...]
    text: str
    """System prompt and last user message, as routing reads a call."""
    expected: str | None = None
    """The right answer, where somebody wrote it down."""
    task: str = "general"
    id: str = field(init=False)

    def __post_init__(self) -> None:
        digest = blake2b(msgspec.json.encode(self.messages, order="sorted"), digest_size=12).hexdigest()
        object.__setattr__(self, "id", digest)


def read_prompts(path: Path) -> list[Prompt]:
    """Read `.jsonl` (an object a line: `prompt` or `messages`, and where known `expected` and `task`) or text, a prompt a line.

    Equal prompts count once. Raises `InvalidRequest`, with the line, for what does not read.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidRequest(f"{path} is larger than {MOST_BYTES} bytes.", hint="Take a part of it.")
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8: {error}.") from error
    read = _of_json if path.suffix in (".jsonl", ".ndjson") else _of_text
    found: dict[str, Prompt] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                prompt = read(line)
            except (msgspec.MsgspecError, ValueError, UnicodeError) as error:
                raise InvalidRequest(f"{path}:{number} does not read: {error}.", hint=_FORMAT) from error
            found.setdefault(prompt.id, prompt)
    if not found:
        raise InvalidRequest(f"{path} holds no prompts.", hint=_FORMAT)
    return list(found.values())


def sample(prompts: Sequence[Prompt], count: int, seed: int = 0) -> list[Prompt]:
    """Draw `count` prompts, or all where there are fewer: by hash, so that adding prompts to the file keeps most of the sample."""
    return sorted(prompts, key=lambda prompt: blake2b(f"{seed}:{prompt.id}".encode()).digest())[:count]


_FORMAT = (
    'Write JSON lines such as {"prompt": "What is 6 x 7?", "expected": "42"}, or a text file with a prompt a line.'
)


def _of_json(line: str) -> Prompt:
    given = msgspec.json.decode(line.encode(), type=_Line)
    if (given.prompt is None) == (given.messages is None):
        raise ValueError("it has either `prompt` or `messages`")
    messages = given.messages if given.messages is not None else [{"role": "user", "content": given.prompt}]
    text = read_text(messages)
    if not text.strip():
        raise ValueError("it asks nothing")
    return Prompt(tuple(messages), text, given.expected, given.task)


def _of_text(line: str) -> Prompt:
    return Prompt(({"role": "user", "content": line.strip()},), line.strip())


def read_text(messages: Sequence[dict[str, Any]]) -> str:
    """Give the text of the system prompt and of the last user message."""
    system = [_content(one) for one in messages if one.get("role") in ("system", "developer")]
    asked = [_content(one) for one in messages if one.get("role") == "user"]
    return "\n".join([*system, *asked[-1:]])


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(texts)
