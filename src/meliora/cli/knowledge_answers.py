"""Answers of searches as a person reads them: each result by its title and id, with the stretch of its passage that has the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meliora.cli.shared import paint, plain, say
from meliora.errors import InvalidRequest

if TYPE_CHECKING:
    from meliora.knowledge.answers import Answer, Result

_SHOWN = 160
"""Characters of a passage that are shown."""
_LEAD = 40
"""Of them, before the first word that matches."""
_CONDITION = re.compile(r"([^=<>]+)(>=|<=|=|>|<)(.*)", re.DOTALL)
_TESTS = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}
_WORDS = {"true": True, "false": False}


def filter_of(said: Sequence[str]) -> dict[str, Any]:
    """Read conditions such as `team=port`, `year>=2024`; equality with one of several where a field is named again.

    What is typed has no type: `5` is the number as well as the text, `true` the yes as well. Raises `InvalidRequest`.
    """
    found: dict[str, dict[str, Any]] = {}
    for one in said:
        read = _CONDITION.fullmatch(one)
        if read is None:
            raise InvalidRequest(
                f"{one!r} is no condition.",
                hint="Write FIELD=VALUE, or with >=, >, <= or < in the place of =.",
                field="where",
            )
        field, mark, value = read[1].strip(), read[2], read[3]
        number = _number(value)
        tests = found.setdefault(field, {})
        if mark == "=":
            meant = [value, *([] if number is None else [number]), *([_WORDS[value]] if value in _WORDS else [])]
            tests["in"] = [*tests.get("in", []), *meant]
        elif _TESTS[mark] in tests:
            raise InvalidRequest(f"{field} has two bounds by {mark}.", field="where")
        else:
            tests[_TESTS[mark]] = value if number is None else [number, value]
    return found


def _number(text: str) -> int | float | None:
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d{1,18}\.\d{1,18}", text) else None


def tell_answer(answer: Answer) -> None:
    """Print an answer."""
    for one in answer.rewrites:
        say(paint(f"{one.stage}: {plain(one.written)} -> {', '.join(one.terms)}", "yellow"))
    for stage, why in answer.skipped.items():
        say(paint(f"without {stage}: {plain(why)}", "error"))
    if not answer.results:
        say(_nothing(answer))
    terms = frozenset((*answer.terms, *(term for one in answer.rewrites for term in one.terms)))
    for result in answer.results:
        marks = "".join(f" [{mark}]" for mark in result.marks)
        named = "" if not result.title or result.title.split(" > ")[0] == result.document else f"  {result.document}"
        say(f"{result.position}. {plain(result.title or result.document)}{plain(named)}  {result.score:.4f}{marks}")
        say(f"   {excerpt(result.text, terms)}")
        _tell_why(result)


def _nothing(answer: Answer) -> str:
    if not answer.terms:
        return 'Nothing was found: the query has no word to look for. Words such as "the" are passed over.'
    known = dict(zip(answer.terms, answer.written, strict=True))
    lacking = ", ".join(dict.fromkeys(plain(known.get(term, term)) for term in answer.unknown))
    return "Nothing was found." + (f" No document has: {lacking}." if lacking else "")


def _tell_why(result: Result) -> None:
    why = result.explanation
    if why is None:
        return
    legs = ", ".join(f"{place.leg} {place.rank} (+{place.contribution:.4f})" for place in why.places)
    words = ", ".join(one.written if one.origin == "query" else f"{one.written}~{one.term}" for one in why.matched)
    say(f"   {legs}; matched: {plain(words) or 'no word'}")
    if why.nearby is not None:
        holds = "; ".join(f"{one.holds} {one.weight:+.3f}" for one in why.nearby.conditions[:5])
        say(f"   {holds} (fit {why.nearby.fit:.2f})")


def excerpt(text: str, terms: frozenset[str]) -> str:
    """Give the stretch of a passage that has most of the terms, those words painted; its beginning where it has none."""
    from meliora.knowledge.text.analysis import spans

    found = [(start, end, term) for term, _, start, end in spans(text) if term in terms]
    start = max(0, _best(found) - _LEAD)
    end = start + _SHOWN
    if start:
        start = next((at + 1 for at in range(start, start + _LEAD) if text[at].isspace()), start)
    parts, done = ["…" if text[:start].strip() else ""], start
    for begins, ends, _ in found:
        if done <= begins and ends <= end:
            parts += [_flat(text[done:begins]), paint(plain(text[begins:ends]), "cyan")]
            done = ends
    parts += [_flat(text[done:end]), "…" if text[end:].strip() else ""]
    return "".join(parts).strip()


def _best(found: Sequence[tuple[int, int, str]]) -> int:
    """Give where the stretch with most different terms begins; the first one of them."""
    best, most = 0, 0
    for start, *_ in found:
        within = {term for begins, _, term in found if start <= begins < start + _SHOWN - _LEAD}
        if len(within) > most:
            best, most = start, len(within)
    return best


def _flat(text: str) -> str:
    return plain(re.sub(r"\s+", " ", text))
