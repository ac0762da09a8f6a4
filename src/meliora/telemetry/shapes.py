"""The shapes of secrets and personal data, as RE2 patterns and checks. Masks nothing itself; `redaction` does.

A `glance` pattern is what gives a shape away at little cost: all of them are looked for at once.
"""

from __future__ import annotations

from collections.abc import Iterator

Span = tuple[int, int]

SK_GLANCE = r"sk-[A-Za-z0-9]"
SK = r"sk-(?:ant|proj|or|svcacct|admin)-[A-Za-z0-9_-]{8,}|\bsk-[A-Za-z0-9_-]{16,}"
"""OpenAI, Anthropic, OpenRouter, DeepSeek and their likes."""

KEYS = (
    r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}",  # AWS
    r"AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}",  # Google
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]+",
    r"[rsp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}",  # Stripe
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",  # JSON web tokens
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
    r"\bmel_[A-Za-z0-9_.-]{16,}",  # Meliora's own
    r"\b(?:hf_|gsk_|r8_|npm_|dop_v1_|lin_api_)[A-Za-z0-9]{20,}|\b(?:xai|pplx|nvapi|pypi|tgp_v1)[-_][A-Za-z0-9_-]{20,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bdapi[a-f0-9]{32}|\b\d{8,10}:AA[A-Za-z0-9_-]{30,}",
)
KEYS_GLANCE = (
    r"A(?:KIA|SIA|ROA|IDA)[A-Z0-9]{4}",
    r"AIza|ya29\.",
    r"gh[pousr]_|github_pat_|glpat-",
    r"xox[abeoprs]-|xapp-|hooks\.slack",
    r"k_live_|k_test_|whsec_",
    r"eyJ[A-Za-z0-9_-]{8}",
    r"-----BEGIN ",
    r"\bmel_",
    r"\b(?:hf_|gsk_|r8_|npm_|dop_v1_|lin_api_|xai-|pplx-|nvapi-|pypi-|tgp_v1)",
    r"SG\.[A-Za-z0-9_-]{8}|dapi[a-f0-9]{8}|\d:AA",
)

BEARER_GLANCE = r"(?i)\b(?:bearer|basic)\s"
BEARER = r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"

URL_GLANCE = r"://[^\s/:@]*:[^\s/@]*@"
CREDENTIAL_URL = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@"

_LABEL = (
    r"(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key"
    r"|auth[_-]?token|access[_-]?token|refresh[_-]?token|session[_-]?token|accountkey|пароль)"
)
LABEL_GLANCE = r"(?i)" + _LABEL + r"|authorization|\btoken[\"']?\s*[:=]|\btoken$|\btoken\n"
ASSIGNMENT = (
    r"(?i)(?:" + _LABEL + r"[\"']?\s*(?::=|=>|[:=])\s*(?:\"[^\"\n]{4,}\"|'[^'\n]{4,}'|[\"'`]?[^\s\"'`,;&]{4,})"
    r"|\btoken[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9._~+/=-]{16,})"
)

EMAIL_GLANCE = r"@[\pL\pN]"
EMAIL = r"[\pL\pN._%+'-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)*\.\pL{2,}"

_GAP = r"[ \-\x{00A0}\x{2009}\x{202F}\x{2010}-\x{2014}]"
CARD = r"\d(?:" + _GAP + r"{0,2}\d){12,}"
"""A run of at least 13 digits in groups; `card_spans` finds the cards in it."""

PHONES = (
    r"\+[1-9]\d{0,3}(?:[ ().\-/\x{00A0}]{0,3}\d){6,14}",
    r"\b00[1-9]\d{0,2}[ -]\(?\d{1,4}\)?(?:[ -]?\d){5,9}\b",
    r"\b0[1-9]\d{8}\b|\b380[1-9]\d{8}\b",
    r"\(0\d{1,4}\) ?\d{2,4}(?:[ -]?\d{2,4}){1,3}\b",
    r"\b0\d{2}[ -]\d{3}[ -]\d{2}[ -]?\d{2}\b|\b0\d{2}[ -/]\d{6,8}\b|\b0\d{2}[ -]\d{4}[ -]\d{4}\b",
    r"\b0\d{3}[ -]\d{3}[ -]\d{3,4}\b|\b0\d{4}[ -]\d{6}\b|\b0\d{4}[ -]\d{3}[ -]\d{3}\b|\b0\d(?:[ .-]\d{2}){4}\b",
    r"\(\d{3}\) ?\d{3}[-. ]\d{4}\b|\b(?:1[-. ])?\d{3}[-.]\d{3}[-.]\d{4}\b|\b(?:1 )?[2-9]\d{2} [2-9]\d{2} \d{4}\b",
)
"""International, then the ways national numbers are written in Ukraine, Germany, Britain, France and North America."""

LABELLED_PHONE = (
    r"(?i)(?:\b(?:phone|tel|telephone|mobile|fax|whatsapp|viber)|телефон|тел\.|моб\.)"
    r"[\"' :=.#()a-z]{0,12}\d[\d ().-]{5,16}\d\b"
)

DATA_URL_GLANCE = r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,"
DATA_URL = DATA_URL_GLANCE + r"[A-Za-z0-9+/=_-]*"

_SECRET_NAMES = frozenset(
    (
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "authtoken",
        "accesstoken",
        "refreshtoken",
        "sessiontoken",
        "accountkey",
        "clientsecret",
        "authorization",
        "secretaccesskey",
        "пароль",
    )
)
_DOUBLED = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))
_PLAIN = bytes.maketrans(b"0123456789", bytes(range(10)))


def is_secret(name: str, value: str) -> bool:
    """Say whether a field holds a secret by its name: `api_key`, `clientSecret`, `Authorization`; a `token` only if it looks like one."""
    plain = name.replace("_", "").replace("-", "").lower()
    return plain in _SECRET_NAMES or (plain == "token" and len(value) >= 16 and " " not in value)


def is_token(value: bytes) -> bool:
    """Tell a token from a word: it has a digit, or is too long for one."""
    return len(value) >= 32 or any(48 <= byte <= 57 for byte in value)


def card_spans(data: bytes, start: int, stop: int) -> Iterator[Span]:
    """Find card numbers in a run of groups of digits: 13 to 19 digits of whole groups, an issuer's prefix, Luhn's check digit.

    Only whole groups are joined, so that a long id is not a card because a part of it could be one.
    """
    groups = _groups(data, start, stop)
    if start > 1 and data[start - 1] == 46 and 48 <= data[start - 2] <= 57:
        groups = groups[1:]  # the digits after a decimal point
    at = 0
    while at < len(groups):
        last = _card_from(data, groups, at)
        if last is None:
            at += 1
            continue
        yield groups[at][0], groups[last][1]
        at = last + 1


def _groups(data: bytes, start: int, stop: int) -> list[Span]:
    groups: list[Span] = []
    begin = start
    for at in range(start, stop + 1):
        is_digit = at < stop and 48 <= data[at] <= 57
        if not is_digit:
            if at > begin:
                groups.append((begin, at))
            begin = at + 1
    return groups


def _card_from(data: bytes, groups: list[Span], first: int) -> int | None:
    """Give the last group of the longest card number that begins with this one."""
    start, stop = groups[first]
    if stop - start < 3 or data[start] not in b"23456":
        return None
    digits = b""
    found: int | None = None
    for at in range(first, len(groups)):
        digits += data[groups[at][0] : groups[at][1]]
        if len(digits) > 19:
            break
        if len(digits) >= 13 and _is_card(digits):
            found = at
    return found


def _is_card(digits: bytes) -> bool:
    lead = int(digits[:4])
    known = lead >= 3000 or 2200 <= lead <= 2204 or 2221 <= lead <= 2720
    backwards = digits[::-1]
    return known and (sum(backwards[::2].translate(_PLAIN)) + sum(backwards[1::2].translate(_DOUBLED))) % 10 == 0


def phone_span(data: bytes, start: int, stop: int) -> Span | None:
    """Give the phone number that begins here, without the digits of something else behind it; None where there is none."""
    while stop > start:
        digits = sum(48 <= byte <= 57 for byte in data[start:stop])
        if digits < 8:
            return None
        if _is_phone(data, start, stop, digits):
            return start, stop
        while stop > start and 48 <= data[stop - 1] <= 57:  # leave out the last group of digits, and what sets it apart
            stop -= 1
        while stop > start and not 48 <= data[stop - 1] <= 57:
            stop -= 1
    return None


def _is_phone(data: bytes, start: int, stop: int, digits: int) -> bool:
    """Tell a phone number from a part of something longer: an id, a decimal, a date, an address of a machine."""
    before, after = data[max(0, start - 2) : start], data[stop : stop + 2]
    if before[-1:].isdigit() or after[:1].isdigit():
        return False
    if before[-1:] in (b".", b"-", b"/", b":") and before[:1].isdigit() and len(before) == 2:
        return False
    if after[:1] in (b".", b"-", b"/", b":") and after[1:].isdigit():
        return False
    number = data[start:stop]
    if number[:1] == b"+":
        return digits <= 15 and not _holds_date(number)
    return digits >= 9 and not (before[-1:] == b"-" and before[:1].isalnum())


def _holds_date(number: bytes) -> bool:
    """Find `2026-11-21` in `+3 2026-11-21`, the way a time zone and a date may follow each other."""
    return any(
        len(part) == 10 and part[4:5] == part[7:8] and part[4] in b"-./" and part[:2] in (b"19", b"20")
        for part in number.split()
    )


def value_span(data: bytes, start: int, stop: int) -> Span:
    """Give where the value of `name = value` is, without its quotes."""
    while data[start] not in b":=":
        start += 1
    while start < stop - 1 and data[start] in b":=> \t\r\n":
        start += 1
    quote = data[start]
    if quote in b"\"'`" and start < stop - 1:
        start += 1
        if data[stop - 1] == quote and stop - 1 > start:
            stop -= 1
    return start, stop


def data_label(url: bytes) -> bytes:
    """Give `[DATA 12345 bytes image/png]` for a base64 data URL; the length is that of the decoded data."""
    head, _, payload = url.partition(b"base64,")
    kind = head[5:].partition(b";")[0] or b"text/plain"
    return b"[DATA %d bytes %s]" % (len(payload.rstrip(b"=")) * 3 // 4, kind)
