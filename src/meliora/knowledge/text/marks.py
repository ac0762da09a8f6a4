"""What is noticed in a text before it is given on: it speaks to a model, holds active markup, secrets, or bytes of no encoding.

A text is never run, followed or refused for it: it is marked. Wording can always be changed so that nothing is noticed; a mark is a help,
and its absence no promise.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import re2

from meliora.knowledge.documents import Mark
from meliora.knowledge.text.folding import JOINERS
from meliora.knowledge.text.speaking import patterns

_UNSEEN = re.compile(f"[{JOINERS}]")
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ACCENTS = re.compile("[\u0300-\u036f]")
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһӏοανρτυικ", "aeopcyxijsdhloavptuik")
"""Letters of Cyrillic and Greek that look like Latin ones."""

_HIDDEN = (
    "[\U000e0020-\U000e007e]{9}",  # more than the flag of a region has
    "[\u200b-\u200d\u2060-\u2064\ufeff]{8}",
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4}",
    "\u202e[^\u202c\n]{0,200}[a-zA-Z]{3}",
)
_ROLES = (
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|begin_of_text|endofprompt)\|>",
    r"\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<\|?(?:channel|message|return)\|>",
    r"(?i)</?(?:system_prompt|system-prompt|system-reminder|system_message|user_input|user_query|tool_results?|untrusted_content)>",
    r"(?i)<(?:system|admin|developer)>\s*(?:you|ignore|disregard|new|override|from|the user|always|never)",
    r"(?im)^[ \t>*#\[-]*(?:system|developer|admin)(?: prompt| message| override| instruction| note)?[\]*]*[ \t]*:[ \t*]*"
    r"(?:you (?:are|must|will|should|can)|ignore|disregard|override|from now|new instruction|the user|always|never|forget)",
    r"(?im)^[ \t#]*(?:###|---|===)[ \t]*(?:system|new|end of|begin|updated)[ \t]"
    r"(?:prompt|instructions?|message|system prompt|context|document)",
    r"(?i)\[(?:system|admin|developer)(?: prompt| message| override| note)?\][ \t:]*"
    r"(?:you|ignore|disregard|override|new|from now|always|never)",
    r"\n\n(?:Human|User):[^\n]{0,400}\n\n(?:Assistant|AI):",
    r"(?i)[\"']role[\"']\s*:\s*[\"'](?:system|developer)[\"']\s*,\s*[\"']content[\"']",
    r"(?i)<(?:tool_call|function_calls?|tool_use|antml:\w{1,20})>|<invoke name=|<function=\w",
    r"(?i)[\"']tool_calls[\"']\s*:\s*\[|[\"']function_call[\"']\s*:\s*\{",
)
_SCHEME = "(?:" + "|".join("[\t\r\n]*".join(scheme) for scheme in ("javascript", "vbscript")) + ")[\t\r\n]*:"
"""Browsers leave line ends out of an address."""
_MARKUP = (
    r"(?i)<script[\s>/]",
    r"(?i)<(?:iframe|object|embed|applet)[\s>][^>]{0,300}(?:src|data|srcdoc|code)\s*=",
    r"(?i)<[a-z][a-z0-9]{0,20}[\s/][^<>]{0,300}\bon[a-z]{3,24}\s*=\s*[\"'a-z]",
    r"(?i)\b(?:href|src|action|formaction|data|url)\s*=\s*[\"']?\s*" + _SCHEME,
    r"(?i)\]\(\s*<?(?:data:|" + _SCHEME + ")",
    r"(?i)\b" + _SCHEME + r"[^\s\"'<>]{0,80}[(=`]",
    r"(?i)\bdata:(?:text/html|image/svg\+xml|application/xhtml\+xml|text/javascript)[;,]",
    r"(?i)<meta[^>]{0,100}http-equiv\s*=\s*[\"']?refresh",
)
_SECRETS = (
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{50}|\bglpat-[A-Za-z0-9_-]{20}",
    r"\bsk-(?:proj-|svcacct-|ant-[a-z0-9]{2,8}-|or-v1-)?[A-Za-z0-9_]{20}",
    r"\b(?:sk|rk|pk)_live_[0-9a-zA-Z]{20}|\bwhsec_[0-9a-zA-Z]{24}",
    r"\bxox[abeoprs]-[0-9A-Za-z-]{10}|hooks\.slack\.com/services/T[0-9A-Z]{6}",
    r"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{30}",
    r"\bnpm_[A-Za-z0-9]{36}|\bpypi-AgE[A-Za-z0-9_-]{50}|\bhf_[A-Za-z0-9]{30}|\bdop_v1_[0-9a-f]{64}",
    r"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40}|\bAccountKey=[A-Za-z0-9+/]{60}",
    r"\beyJ[A-Za-z0-9_-]{10,400}\.eyJ[A-Za-z0-9_-]{10}",
    r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----",
    r"\b[a-z][a-z0-9+]{2,20}://[^\s:/@<>{}$]{1,60}:[^\s:/@<>{}$*]{4,100}@[a-zA-Z0-9]",
    r"(?i)\b(?:password|passwd|secret|secret_key|client_secret|api[_-]?key|access[_-]?token|auth[_-]?token|private[_-]?key)"
    r"[\"']?\s*[:=]\s*[\"'][A-Za-z0-9+/_=.!@#%^&-]{12,200}[\"']",
    r"(?i)\bauthorization:\s*(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{20}",
)
_GARBLED = (
    "[\u00c2\u00c3][\u0080-\u00bf\u201a\u0192\u201e\u2026\u2020\u2021\u2030\u0160\u2039\u0152\u2018\u2019\u201c\u201d\u2022\u2122\u0161\u0153]",
    "\u00e2(?:\u20ac|\u0080)[\u0080-\u00bf\u2122\u0153\u201c\u201d\u02dc\u00a6\u00a2\u2019]?",
    "[\u00d0\u00d1][\u0080-\u00bf][\u00d0\u00d1][\u0080-\u00bf]",
    "(?:[\u0420\u0421][\u00a0-\u00bf\u0402-\u040f\u0452-\u045f\u2018-\u2026\u20ac\u2116\u2122]){3}",
    "\u00ef\u00bb\u00bf|\u00ef\u00bf\u00bd",
    "[\u0080-\u0084\u0086-\u009f]",
    "\ufffd",
)


def marks(text: str) -> tuple[Mark, ...]:
    """Give what is noticed in a text, in time linear in its length."""
    data = text.encode("utf-8", "replace")
    found: list[Mark] = []
    if _speaks(text, data):
        found.append("instructions")
    if _active(text, data):
        found.append("markup")
    if _regexp("secrets").search(data):
        found.append("secrets")
    if _is_garbled(text, data):
        found.append("garbled")
    return tuple(found)


def _speaks(text: str, data: bytes) -> bool:
    if _regexp("roles").search(data) or (not text.isascii() and _regexp("hidden").search(data)):
        return True
    plain = _flat(text)
    if _regexp("speaking").search(plain.encode("utf-8", "replace")):
        return True
    if plain.isascii():
        return False
    alike = plain.translate(_LOOKALIKES)
    return alike != plain and bool(_regexp("speaking").search(alike.encode("utf-8", "replace")))


def _active(text: str, data: bytes) -> bool:
    regexp = _regexp("markup")
    if regexp.search(data):
        return True
    return "&" in text and bool(regexp.search(unescaped(text).encode("utf-8", "replace")))


def unescaped(text: str) -> str:
    """Give a text with its references of HTML read. A number of more digits than any letter has is none."""
    return html.unescape(_LONG_NUMBER.sub(" ", text))


def _is_garbled(text: str, data: bytes) -> bool:
    """One odd pair may be meant; three places, or one in a thousand letters and at least one in a short text, are not."""
    if text.isascii():
        return "\0" in text and text.count("\0") * 100 > len(text)
    if _SURROGATE.search(text):
        return True
    most = min(3, max(1, len(text) // 300))
    return any(times >= most for times, _ in enumerate(_regexp("garbled").finditer(data), 1))


def _flat(text: str) -> str:
    """Give a text as its words are compared: small letters, no accents, nothing unseen, single spaces."""
    if not text.isascii():
        # Compatibility forms grow up to eighteen times, but only in a text made of nothing else.
        text = _ACCENTS.sub("", _UNSEEN.sub("", unicodedata.normalize("NFKD", text)))
    return " ".join(text.lower().replace("’", "'").split())


@lru_cache(8)
def _regexp(name: str) -> re2._Regexp:
    kinds: dict[str, Iterable[str]] = {
        "speaking": (_ACCENTS.sub("", unicodedata.normalize("NFKD", one)) for one in patterns()),
        "roles": _ROLES,
        "hidden": _HIDDEN,
        "markup": _MARKUP,
        "secrets": _SECRETS,
        "garbled": _GARBLED,
    }
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 64 << 20
    return re2.compile("|".join(f"(?:{one})" for one in kinds[name]), options)
