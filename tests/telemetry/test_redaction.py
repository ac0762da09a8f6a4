"""No secret of a known shape survives, anywhere in any text; clean text is left alone."""

import copy
import string

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.errors import SettingsError
from meliora.telemetry.redaction import Redactor

REDACTOR = Redactor()
WORD = string.ascii_letters + string.digits


def words(alphabet: str, least: int, most: int):
    return st.text(alphabet, min_size=least, max_size=most)


def after(prefix: str, alphabet: str = WORD, least: int = 24, most: int = 48):
    return words(alphabet, least, most).map(lambda rest: f"{prefix}{rest}")


def with_check_digit(digits: str) -> str:
    """Append the digit that satisfies Luhn."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 == 0 else 1)
        total += number - 9 if number > 9 else number
    return digits + str(-total % 10)


@st.composite
def cards(draw) -> str:
    lead, length = draw(st.sampled_from([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("36", 14)]))
    body = lead + draw(words(string.digits, length - 1 - len(lead), length - 1 - len(lead)))
    number = with_check_digit(body)
    gap = draw(st.sampled_from(["", " ", "-", "\u00a0", " - "[:2]]))
    sizes = [4, 6, 5] if length == 15 else [4, 6, 4] if length == 14 else [4, 4, 4, 4]
    groups, at = [], 0
    for size in sizes:
        groups.append(number[at : at + size])
        at += size
    return gap.join(groups)


SECRETS = {
    "openai": after("sk-") | after("sk-proj-", WORD + "-_"),
    "anthropic": after("sk-ant-api03-", WORD + "-_"),
    "aws": after("AKIA", string.ascii_uppercase + string.digits, 16, 16),
    "google": after("AIza", WORD + "-_", 35, 35),
    "github": after("ghp_", least=36, most=36) | after("github_pat_", WORD + "_", 40, 60),
    "slack": after("xoxb-", string.digits + "-", 12, 30).map(lambda s: s + "abcDEF123"),
    "stripe": after("sk_live_") | after("rk_test_"),
    "jwt": st.tuples(words(WORD, 20, 40), words(WORD + "-_", 20, 60), words(WORD + "-_", 20, 43)).map(
        lambda parts: "eyJ" + ".".join(parts)
    ),
    "meliora": after("mel_", WORD + "_"),
    "hugging face": after("hf_", string.ascii_letters, 34, 34),
    "private key": words(WORD + "+/\n", 40, 200).map(
        lambda body: f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    ),
    "card": cards(),
    "email": st.tuples(
        words(WORD + "._+-", 1, 12), words(string.ascii_lowercase, 2, 10), st.sampled_from(["com", "co.uk", "ua"])
    ).map(lambda parts: f"{parts[0]}@{parts[1]}.{parts[2]}"),
    "phone": st.sampled_from(
        [
            "+380 50 123 45 67",
            "+380501234567",
            "+1 (202) 555-0143",
            "+44 20 7946 0958",
            "+49-30-1234567",
            "0501234567",
            "050 123 45 67",
            "(050) 123-45-67",
            "(202) 555-0143",
            "202-555-0143",
            "1-800-555-0199",
            "020 7946 0958",
            "07700 900123",
            "01 23 45 67 89",
        ]
    ),
}
FILLING = """the quick report, of: a (note). Привіт світ 你好 é\n\t ok? it's 12 3.5% #7 [x] {y} "q" v1.2 2026-11-21"""
PROSE = st.lists(st.sampled_from(FILLING.split(" ")), max_size=12).map(" ".join)


@pytest.mark.parametrize("kind", SECRETS)
def test_no_planted_secret_survives_in_any_position(kind):
    @settings(max_examples=60, deadline=None)
    @given(
        PROSE,
        PROSE,
        SECRETS[kind],
        st.sampled_from([" ", "\n", '"', "'", "(", ",", "=", "> "]),
        st.sampled_from([" ", "\n", '"', "'", ")", ", ", ". "]),
    )
    def check(before, behind, secret, left, right):
        masked, count = REDACTOR.mask(before + left + secret + right + behind)
        assert secret not in masked
        assert count >= 1
        again, more = REDACTOR.mask(masked)
        assert (again, more) == (masked, 0)

    check()


@given(
    words(WORD + "!#$%^*+-_.?", 4, 30),
    st.sampled_from(["password=", "api_key: ", "API-KEY=", '"client_secret": "', "PWD: '", "пароль: "]),
)
def test_what_is_assigned_to_a_secret_name_does_not_survive(value, name):
    masked, count = REDACTOR.mask(f"x {name}{value}\nnext")
    assert masked.startswith(f"x {name}[KEY]")
    assert masked.endswith("\nnext")
    assert count == 1


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc123def456", "Authorization: Bearer [KEY]"),
        ("postgresql://app:s3cret@db:5432/x", "postgresql://app:[KEY]@db:5432/x"),
        ('{"token": "abcdefghij0123456789"}', '{"token": "[KEY]"}'),
        ('password = "correct horse battery"', 'password = "[KEY]"'),
        ("mail пошта@приклад.укр now", "mail [EMAIL] now"),
        ("4111 1111 1111 1111 123", "[CARD] 123"),
        ("phone: 2025550143", "phone: [PHONE]"),
        ("+380 50 123 45 67 2026-11-21", "[PHONE] 2026-11-21"),
        ("+380501234567 0501234567", "[PHONE] [PHONE]"),
        ("(050) 123-45 67 2026-11-21", "[PHONE] 2026-11-21"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", "[KEY]"),
        ("a@b.com,c@d.com", "[EMAIL],[EMAIL]"),
    ],
)
def test_only_the_secret_itself_is_masked(text, masked):
    assert REDACTOR.mask(text)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The meeting is on 2026-11-21 at 10:30, room 12.",
        "at 2026-11-21T10:30:00.123456+02:00 it stopped",
        "GMT+3 2026-11-21",
        "id 1732147200000000, ts 1732147200, 1234567890",
        "pi is 3.14159265358979323846 and 0.4111111111111111",
        "550e8400-e29b-41d4-a716-446655440000",
        "192.168.100.200:8080 and 10.0.0.1",
        "order 4111111111111112 (no card: the check digit is wrong)",
        "ISBN 978-3-16-148410-0, version 1.2.3-rc.4",
        "risk-management-for-large-organisations, task-force",
        "Bearer responsibilities and basic understanding",
        "max_tokens: 100, tokens: 12345678901234567890123456789012345",
        "@decorator, user@localhost, react@18.2.0",
        "https://example.com/a:b@c?x=1",
        "Ціна 1 234 567,89 грн за 10 000 000 штук",
        "def mask(text: str) -> tuple[str, int]: ...",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_clean_text_is_left_alone(text):
    assert REDACTOR.mask(text) == (text, 0)


@settings(max_examples=300)
@given(st.text(st.characters() | st.sampled_from("0123456789 +-@.:=/sk_eyJ[]KEY"), max_size=80))
def test_masking_is_idempotent_on_any_text(text):
    masked, count = REDACTOR.mask(text)
    assert (masked == text) == (count == 0)
    assert REDACTOR.mask(masked) == (masked, 0)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**10), 10**10)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.emails(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.emails(), inner, max_size=4),
    max_leaves=15,
)


def shape(value):
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    if isinstance(value, list):
        return [[shape(item) for item in value]]
    return "text" if isinstance(value, str) else value


@given(JSON)
def test_the_structure_of_json_is_kept_and_the_original_too(value):
    before = copy.deepcopy(value)
    masked, count = REDACTOR.mask_json(value)
    assert value == before
    assert shape(masked) == shape(value)
    assert REDACTOR.mask_json(masked) == (masked, 0)
    if count == 0:
        assert masked == value


def test_names_are_masked_too_and_none_is_lost():
    masked, count = REDACTOR.mask_json({"a@b.com": 1, "c@d.com": 2, "[EMAIL]": 3})
    assert masked == {"[EMAIL]#2": 1, "[EMAIL]#3": 2, "[EMAIL]": 3}
    assert count == 2


def test_a_field_that_is_named_like_a_secret_holds_one():
    value = {"clientSecret": "x", "token": "short", "Authorization": "abc", "password": {"type": "string"}}
    assert REDACTOR.mask_json(value)[0] == {
        "clientSecret": "[KEY]",
        "token": "short",
        "Authorization": "[KEY]",
        "password": {"type": "string"},
    }


def test_card_and_phone_numbers_written_as_integers_are_masked():
    value = {"card": 4111111111111111, "phone": 380501234567, "at": 1732147200000000, "n": 5}
    assert REDACTOR.mask_json(value) == ({"card": "[CARD]", "phone": "[PHONE]", "at": 1732147200000000, "n": 5}, 2)


def test_inline_data_becomes_what_it_is_and_how_long_it_was():
    blob = "A" * 400
    value = [
        {"image_url": {"url": f"data:image/png;base64,{blob}"}},
        {"source": {"type": "base64", "media_type": "image/jpeg", "data": blob}},
        {"input_audio": {"format": "wav", "data": blob}},
        {"text": f"see ![it](data:image/gif;base64,{blob}==) there"},
        {"url": "data:image/png;base64,AAAA"},
    ]
    masked, count = REDACTOR.mask_json(value)
    assert count == 0
    assert masked == [
        {"image_url": {"url": "[DATA 300 bytes image/png]"}},
        {"source": {"type": "base64", "media_type": "image/jpeg", "data": "[DATA 300 bytes image/jpeg]"}},
        {"input_audio": {"format": "wav", "data": "[DATA 300 bytes audio/wav]"}},
        {"text": "see ![it]([DATA 300 bytes image/gif]) there"},
        {"url": "data:image/png;base64,AAAA"},
    ]


def test_a_secret_hidden_by_an_escape_is_found_in_the_decoded_value():
    raw = rb'{"content": "john\u0040example.com and \u0073k-proj-abcdefghij0123456789"}'
    masked, count = REDACTOR.mask_json(msgspec.json.decode(raw))
    assert masked == {"content": "[EMAIL] and [KEY]"}
    assert count == 2


def test_nesting_may_be_deeper_than_the_stack():
    value: object = "a@b.com"
    for _ in range(20_000):
        value = [value]
    masked, count = REDACTOR.mask_json(value)
    assert count == 1
    while isinstance(masked, list):
        masked = masked[0]
    assert masked == "[EMAIL]"
    while isinstance(value, list) and value:  # taken apart by hand: its own destructor would recurse
        value = value.pop()


def test_clean_json_is_given_back_as_it_is():
    value = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert REDACTOR.mask_json(value)[0] is value


def test_patterns_of_ones_own_are_masked():
    own = Redactor([r"EMP-\d{4}", "^internal"])
    assert own.mask("see EMP-1234") == ("see [MASKED]", 1)
    assert own.mask_json(["x", "internal note"]) == (["x", "[MASKED] note"], 1)


@pytest.mark.parametrize("pattern", ["((", "a*", "(?=x)"])
def test_a_pattern_that_cannot_serve_is_refused(pattern):
    with pytest.raises(SettingsError):
        Redactor([pattern])


def test_half_characters_from_broken_json_do_no_harm():
    assert REDACTOR.mask("\ud800 a@b.com") == ("\ud800 [EMAIL]", 1)


@settings(max_examples=300, deadline=None)
@given(
    PROSE,
    PROSE,
    st.one_of(*SECRETS.values()),
    st.sampled_from(["", "\n", '"', "\\", "/", "\t", "é", "'", "\\n", '\\"']),
    st.sampled_from(["content", "password", "data", "a\nb", "token"]),
    st.booleans(),
)
def test_json_that_looks_clean_undecoded_has_nothing_to_mask(before, behind, secret, edge, name, plain):
    import json

    for text in (before + behind, before + edge + secret + edge + behind):
        value = {"model": "m", "messages": [{"role": "user", name: text, "n": 12}], "stream": False}
        raw = msgspec.json.encode(value) if plain else json.dumps(value, indent=1).encode()
        if REDACTOR.is_clean(raw):
            assert REDACTOR.mask_json(value) == (value, 0)


def test_plain_prose_looks_clean_undecoded():
    raw = msgspec.json.encode(
        {"messages": [{"role": "user", "content": 'Say "hi"\nand explain why the engine stops.'}]}
    )
    assert REDACTOR.is_clean(raw)


def test_what_a_glance_found_suspicious_is_masked_as_if_it_had_not_been_looked_at() -> None:
    """The first look is only spared: the result and the count are the same, also where the glance was wrong."""
    for value in (
        {"a": "mail anna@mail.example", "b@mail.example": [1, "x"]},
        {"a": "nothing here"},
        ["sk", 4111111111111111],
    ):
        assert REDACTOR.mask_json(value, suspicious=True) == REDACTOR.mask_json(value)


def test_a_glance_at_encoded_json_says_clean_suspicious_or_nothing() -> None:
    """Only what it can read is judged; an escape other than a line break or a quote is left to be decoded."""
    assert REDACTOR.is_clean(b'{"a":"nothing \\n here"}') is True
    assert REDACTOR.is_clean(b'{"a":"mail anna@mail.example"}') is False
    assert REDACTOR.is_clean(b'{"a":"\\u0061"}') is None
