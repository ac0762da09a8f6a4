"""What is masked before anything reaches the disk: keys, e-mail addresses, card and phone numbers, inline data.

Works on decoded text and decoded JSON, never on raw JSON, where an escape could hide what is looked for. Refuses to be complete:
it knows shapes, not meanings; what must not be kept at all needs `recording.content = "off"`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import re2

from meliora.errors import SettingsError
from meliora.telemetry import shapes

KEY, MAIL, CARD_NUMBER, PHONE, OWN = b"[KEY]", b"[EMAIL]", b"[CARD]", b"[PHONE]", b"[MASKED]"
_PLACEHOLDERS = frozenset({KEY, MAIL, CARD_NUMBER, PHONE, OWN})
_KEY_TEXT = KEY.decode()
_GLANCED = 64 * 1024
"""Longest JSON that is looked at without being decoded."""
_ROUNDS = 4
_SHORTEST = 6
"""Nothing that is masked is shorter, in characters."""
_CARD_INTEGER = 10**11
"""Integers of JSON below this are never card or phone numbers."""

Span = tuple[int, int]
Find = Callable[[re2._Regexp, bytes], Iterator[Span]]


def _options(max_mem: int = 8 << 20) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = max_mem
    return options


class _Stage:
    """One kind of thing to mask: what gives it away at a glance, how it is found, what stands in its place."""

    __slots__ = ("_find", "_regexp", "glance", "marker")

    def __init__(self, glance: Iterable[str], patterns: Iterable[str], marker: bytes, find: Find) -> None:
        self.glance = tuple(glance)
        self.marker = marker
        self._regexp = re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _options())
        self._find = find

    def mask(self, data: bytes) -> tuple[bytes, int]:
        return _replace(data, self._find(self._regexp, data), self.marker)


class Redactor:
    """Mask text. `extra` are patterns (RE2) of one's own; what they match becomes `[MASKED]`.

    Raises `SettingsError` for a pattern that cannot be read, or that matches nothing at all (the empty text).
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        s = shapes
        self._stages = [
            _Stage(s.KEYS_GLANCE, s.KEYS, KEY, _whole),
            _Stage((s.SK_GLANCE,), (s.SK,), KEY, _tokens),
            _Stage((s.BEARER_GLANCE,), (s.BEARER,), KEY, _bearer),
            _Stage((s.URL_GLANCE,), (s.CREDENTIAL_URL,), KEY, _password_in_url),
            _Stage((s.LABEL_GLANCE,), (s.ASSIGNMENT,), KEY, _value),
            _Stage((s.EMAIL_GLANCE,), (s.EMAIL,), MAIL, _whole),
            _Stage((s.CARD,), (s.CARD,), CARD_NUMBER, _cards),
            _Stage(s.PHONES, s.PHONES, PHONE, _phones),
            _Stage((s.LABELLED_PHONE,), (s.LABELLED_PHONE,), PHONE, _labelled),
        ]
        own = [f"(?m:{_checked(pattern)})" for pattern in extra]
        self._has_own = bool(own)
        if own:
            self._stages.insert(0, _Stage(own, own, OWN, _whole))
        glance = re2.Set.SearchSet(_options(16 << 20))
        self._stage_of: list[int] = []
        for number, stage in enumerate(self._stages):
            for pattern in stage.glance:
                glance.Add(pattern)
                self._stage_of.append(number)
        glance.Compile()
        self._glance: Callable[[bytes], list[int] | None] = glance.Match
        with_data = re2.Set.SearchSet(_options(16 << 20))
        for pattern in (*(p for stage in self._stages for p in stage.glance), s.DATA_URL_GLANCE):
            with_data.Add(pattern)
        with_data.Compile()
        self._json_glance: Callable[[bytes], list[int] | None] = with_data.Match
        self._inline = re2.compile(s.DATA_URL, _options())

    def mask(self, text: str) -> tuple[str, int]:
        """Give the text with everything found masked, and how many places that were. Clean text is given back as it is."""
        data = text.encode("utf-8", "surrogatepass")
        found = self._glance(data)
        if not found:
            return text, 0
        count = 0
        for _ in range(
            _ROUNDS
        ):  # what is masked may uncover something else; a second look also makes masking idempotent
            fresh = 0
            for number in sorted({self._stage_of[index] for index in found}):
                data, places = self._stages[number].mask(data)
                fresh += places
            count += fresh
            found = self._glance(data) if fresh else None
            if not found:
                break
        return (data.decode("utf-8", "surrogatepass"), count) if count else (text, 0)

    def mask_json(self, value: Any, *, suspicious: bool = False) -> tuple[Any, int]:
        """Give decoded JSON with every string masked, keys too, and how many places that were.

        Inline data (`data:` URLs, base64 images, audio and files) becomes `[DATA 12345 bytes image/png]`; it is not counted.
        Integers that are card or phone numbers become their masks. The value given is not changed; clean JSON is given back
        as it is, unless a glance at it was `suspicious` already. Nesting may be of any depth.
        """
        if not suspicious:
            strings: list[str] = []
            suspicious = _gather(value, strings)
            if not suspicious and not self.glance(strings):
                return value, 0
        return _Copy(self).of(value)

    def glance(self, texts: Iterable[str]) -> bool:
        """Say whether there may be something to mask in any of them."""
        return bool(self._json_glance("\n".join(texts).encode("utf-8", "surrogatepass")))

    def is_clean(self, raw: bytes) -> bool | None:
        """Say whether encoded JSON surely holds nothing to mask: True, or False where a glance finds something; None: it cannot say.

        Looks at the bytes as `mask_json` would at the strings: each between line breaks, its escapes undone. What has other
        escapes, is long, or may hold inline data is left to be decoded.
        """
        if len(raw) > _GLANCED or self._has_own or b'"data"' in raw:
            return None
        if b"\\" in raw:
            if raw.count(b"\\") != raw.count(b"\\n") + raw.count(b'\\"'):
                return None
            raw = raw.replace(b"\\n", b"\n").replace(b'\\"', b"\0")
            return not self._json_glance(raw.replace(b'"', b"\n").replace(b"\0", b'"'))
        return not self._json_glance(raw.replace(b'"', b"\n"))

    def shorten(self, text: str) -> str:
        """Replace inline data in a text by what it is and how long it was."""
        if len(text) <= 256 or "base64," not in text:
            return text
        data = text.encode("utf-8", "surrogatepass")
        pieces: list[bytes] = []
        end = 0
        for match in self._inline.finditer(data):
            start, stop = match.span()
            if stop - start > 256:
                pieces += (data[end:start], shapes.data_label(data[start:stop]))
                end = stop
        return text if not end else b"".join([*pieces, data[end:]]).decode("utf-8", "surrogatepass")


class _Copy:
    """A masked copy of JSON while it is made, without recursion."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._count = 0

    def of(self, value: Any) -> tuple[Any, int]:
        root: list[Any] = [value]
        waiting: list[Any] = [root]
        while waiting:
            holder = waiting.pop()
            for place in range(len(holder)) if type(holder) is list else list(holder):
                item = holder[place]
                kind = type(item)
                if kind is str:
                    holder[place] = self._text(item)
                elif kind is dict:
                    holder[place] = fresh = self._named(item)
                    waiting.append(fresh)
                elif kind is list:
                    holder[place] = fresh = item.copy()
                    waiting.append(fresh)
                elif kind is int and abs(item) >= _CARD_INTEGER:
                    masked = self._text(str(item))
                    holder[place] = item if masked == str(item) else masked
        return root[0], self._count

    def _text(self, text: str) -> str:
        if len(text) < _SHORTEST:
            return text
        masked, places = self._redactor.mask(self._redactor.shorten(text))
        self._count += places
        return masked

    def _named(self, item: dict[str, Any]) -> dict[str, Any]:
        """Copy an object with its names masked; names that become equal are numbered, so that none is lost."""
        fresh: dict[str, Any] = {}
        dirty = self._redactor.glance(item)
        names = {name: self._text(name) if dirty else name for name in item}
        kept = {name for name, masked in names.items() if name == masked}
        for name, content in item.items():
            masked = unique = names[name]
            number = 1
            while masked != name and (unique in fresh or unique in kept):
                number += 1
                unique = f"{masked}#{number}"
            if type(content) is str and content and content != _KEY_TEXT and shapes.is_secret(name, content):
                content = _KEY_TEXT
                self._count += 1
            fresh[unique] = content
        inline = item.get("data")
        if type(inline) is str and len(inline) > 256 and not inline.startswith("data:"):
            if item.get("type") == "base64":
                kind = item.get("media_type")
            elif "format" in item:
                kind = f"audio/{item['format']}"
            else:
                return fresh
            label = str(kind).encode("utf-8", "replace")[:100]
            fresh["data"] = shapes.data_label(
                b"data:" + label + b";base64," + inline.encode("utf-8", "replace")
            ).decode()
        return fresh


def _gather(value: Any, strings: list[str]) -> bool:
    """Collect all strings; True where there is something that the glance at them would not see."""
    suspicious = False
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            strings.append(item)
        elif kind is dict:
            strings.extend(item)
            waiting.extend(item.values())
            inline = item.get("data")
            suspicious = suspicious or (type(inline) is str and len(inline) > 256)
        elif kind is list:
            waiting.extend(item)
        elif kind is int and abs(item) >= _CARD_INTEGER:
            suspicious = True
    return suspicious


def _replace(data: bytes, spans: Iterator[Span], marker: bytes) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    end = 0
    for start, stop in spans:
        if start < end or data[start:stop] in _PLACEHOLDERS:
            continue
        pieces += (data[end:start], marker)
        end = stop
    if not pieces:
        return data, 0
    pieces.append(data[end:])
    return b"".join(pieces), len(pieces) // 2


def _checked(pattern: str) -> str:
    try:
        regexp = re2.compile(pattern, _options())
    except re2.error as error:
        raise SettingsError(f"The pattern {pattern[:80]!r} to mask cannot be read: {error}.") from error
    if regexp.search(b"") is not None:
        raise SettingsError(
            f"The pattern {pattern[:80]!r} to mask matches the empty text.", hint="Make it ask for something."
        )
    return pattern


def _whole(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for match in regexp.finditer(data):
        yield match.span()


def _tokens(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        if shapes.is_token(data[start:stop]):
            yield start, stop


def _bearer(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        token = data[start:stop].split()[-1]
        if shapes.is_token(token):
            yield stop - len(token), stop


def _password_in_url(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        yield data.index(b":", data.index(b"://", start) + 3) + 1, stop - 1


def _value(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        yield shapes.value_span(data, start, stop)


def _cards(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        yield from shapes.card_spans(data, start, stop)


def _phones(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        span = shapes.phone_span(data, start, stop)
        if span is not None:
            yield span


def _labelled(regexp: re2._Regexp, data: bytes) -> Iterator[Span]:
    for start, stop in _whole(regexp, data):
        while not 48 <= data[start] <= 57:
            start += 1
        yield start, stop
