"""Two cheap models first, a strong one where they disagree: when that is worth it, and what agreeing means.

Never calls a model and draws nothing: the planner weighs predictions, the judge compares two texts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

Agreement = Literal["exact", "normalised"]

CHEAPEST = 4
"""Pairs are sought among so many models of the best utility: more would cost more time than they are worth."""
_TAIL = 4096
"""Characters of an answer's end in which its final answer is sought."""


@dataclass(frozen=True)
class Plan:
    """A cascade that is expected to be worth more than any one model. Indices into the predictions; the cheaper one first."""

    first: int
    second: int
    strong: int
    agree: float
    """Probability that the two agree."""
    quality: float
    """Expected, of the whole."""
    cost: float
    """Expected, of the whole, in the unit of the costs; `cost` of the strong model counts only where it is asked."""


@dataclass(frozen=True)
class Beliefs:
    """What is taken to hold of wrong answers. Both are fixed on training data, never on what is measured.

    `alternatives`: in how many equally likely ways one can be wrong; two that are wrong agree with probability 1 / alternatives.
    `correlation`: of two models' being right on one prompt (Pearson's phi); prompts that are hard for one are hard for another.
    """

    alternatives: float = 4.0
    correlation: float = 0.5


def plan(
    quality: Sequence[float],
    cost: Sequence[float],
    allowed: Sequence[int],
    price: float,
    beliefs: Beliefs = Beliefs(),
) -> Plan | None:
    """Give the cascade of the greatest expected utility, None where one model alone is expected to be as good.

    `quality` are probabilities of a right answer, `price` is the quality that a unit of cost has to bring (1 / willingness to
    pay): utility = quality - price * cost. Models without a number for either are left out. The band in which the planner is
    unsure comes out of this by itself: where a cheap model is nearly certain it is cheaper alone, where both are hopeless the
    strong one is.
    """
    usable = [i for i in allowed if math.isfinite(quality[i]) and math.isfinite(cost[i])]
    if len(usable) < 3:
        return None
    utility = {i: quality[i] - price * cost[i] for i in usable}
    best = max(utility.values())
    strong = max(usable, key=lambda i: (quality[i], -cost[i]))
    cheap = sorted((i for i in usable if cost[i] < cost[strong]), key=lambda i: -utility[i])[:CHEAPEST]
    found = None
    for one, other in combinations(cheap, 2):
        made = expect(quality, cost, (one, other, strong), beliefs)
        worth = made.quality - price * made.cost
        if worth > best:
            best, found = worth, made
    return found


def expect(
    quality: Sequence[float], cost: Sequence[float], models: tuple[int, int, int], beliefs: Beliefs = Beliefs()
) -> Plan:
    """Give what a cascade of (one, other, strong) is expected to come to.

    With q1, q2 right and phi their correlation, both are right with p = q1 q2 + phi sqrt(q1 (1-q1) q2 (1-q2)), within what the
    margins allow (Frechet), and both wrong with 1 - q1 - q2 + p. What the strong model reaches where not both are right is less
    than its mean by the law of total probability, for it is better where they are right.
    """
    one, other, strong = models
    if (cost[other], other) < (cost[one], one):
        one, other = other, one
    q1, q2, qs = (min(1.0, max(0.0, quality[i])) for i in (one, other, strong))
    spread = math.sqrt(q1 * (1 - q1) * q2 * (1 - q2))
    both = min(q1, q2, max(0.0, q1 + q2 - 1, q1 * q2 + beliefs.correlation * spread))
    neither = max(0.0, 1 - q1 - q2 + both)
    agree = min(1.0, both + neither / beliefs.alternatives)
    where_both = qs + beliefs.correlation * (1 - qs)
    rest = (qs - both * where_both) / (1 - both) if both < 1 else qs
    reached = both + (1 - agree) * min(1.0, max(0.0, rest))
    spent = cost[one] + cost[other] + (1 - agree) * cost[strong]
    return Plan(one, other, strong, agree, min(1.0, reached), spent)


def agrees(one: str, other: str, how: Agreement) -> bool:
    """Say whether two answers are the same: to the letter, or in the final answer that they come to.

    Two empty answers agree on nothing.
    """
    if how == "exact":
        return bool(one) and one == other
    first, second = final_answer(one), final_answer(other)
    return bool(first) and first == second


def final_answer(text: str) -> str:
    """Give what an answer comes to, in a form in which equal answers are equal texts; empty for an empty one.

    A JSON answer is compared as a value (its field `answer` alone, where it has one). Else what follows the last of the usual
    marks (`Answer:`, `the answer is`, `####`, a boxed formula), else the whole text; without case, markup and closing
    punctuation, numbers without separators.
    """
    value = _as_json(text)
    if value is not None:
        return value
    tail = text[-_TAIL:]
    boxed = _boxed(tail)
    if boxed is not None:
        return _plain(boxed)
    marks = list(_MARK.finditer(tail))
    if marks:
        said = tail[marks[-1].end() :].strip()
        line = said.partition("\n")[0]
        if _plain(line):
            return _plain(line)
    return _plain(text)


_MARK = re.compile(r"####|(?:final |correct |the )?answer(?: is)?\s*(?::|=|\bis\b)|\banswer is\b", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`$~\\]+")
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_CHOICE = re.compile(r"\(?([a-z])[).:]?(?:\s.*)?")


def _plain(text: str) -> str:
    bare = _SPACE.sub(" ", _MARKUP.sub("", text)).strip().casefold().strip(" .,;:!?\"'")
    number = bare.strip("€£%").strip()
    if _NUMBER.fullmatch(number):
        return _number(number)
    choice = _CHOICE.fullmatch(bare)
    # "(b) because ..." and "b) Paris" name a choice; "a cat" does not.
    if choice is not None and (len(bare) == 1 or bare[:1] == "(" or bare[1:2] in ").:"):
        return choice.group(1)
    return bare.removeprefix("(").removesuffix(")") if bare[:1] == "(" and bare[-1:] == ")" else bare


def _number(text: str) -> str:
    bare = text.replace(",", "").lstrip("+")
    if "." in bare:
        bare = bare.rstrip("0").rstrip(".")
    sign, digits = ("-", bare[1:]) if bare.startswith("-") else ("", bare)
    digits = digits.lstrip("0") or "0"
    digits = f"0{digits}" if digits.startswith(".") else digits
    return digits if digits == "0" else f"{sign}{digits}"


def _boxed(text: str) -> str | None:
    """Give the inside of the last boxed formula, braces in it counted."""
    begin = text.rfind("\\boxed{")
    if begin < 0:
        return None
    depth = 1
    at = begin + len("\\boxed{")
    for end in range(at, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[at:end]
    return None


def _as_json(text: str) -> str | None:
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.partition("\n")[2].rpartition("```")[0].strip()
    if bare[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(bare)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and "answer" in value:
        answer = value["answer"]
        return _plain(answer) if isinstance(answer, str) else _canonical(answer)
    return _canonical(value)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
