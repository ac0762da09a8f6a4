"""Pairs of entries that look alike and do not say the same: those of `traps.txt`, alone, among other sentences, and in other dress.

They were written without a look at the rule that has to tell them apart, but for the last kinds, which were written against it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

_SLOT = re.compile(r"⟨([^⟩]*)⟩")
_KNOWN_BY = 4
"""Entries that have the word that is no rare one."""
_AROUND = {"among": 60, "long": 500, "dressed": 150}
"""Words of other sentences that a pair stands in."""


def _list(words: str) -> list[str]:
    return words.split("|")


_WHO = _list(
    "operator|warehouse team|night watch|regional office|billing desk|courier|landlord|auditor|kitchen crew|field engineer|"
    "front desk|data steward|harbour master|librarian|dispatcher|fire warden|payroll clerk|gardener|chief mechanic|archivist"
)
_DOES = _list(
    "records|inspects|labels|orders|stores|cleans|reviews|counts|repairs|collects|prepares|forwards|measures|seals|lists|checks",
)
_LIKE = _list(
    "spare|broken|yellow|heavy|returned|unused|outgoing|signed|wooden|rented|damaged|printed|frozen|narrow|copper"
)
_WHAT = _list(
    "parcels|ledgers|filters|ladders|tickets|samples|blankets|valves|invoices|cables|crates|badges|menus|sensors|maps"
)
_WHERE = _list(
    "behind the annex|near the loading dock|in the north wing|beside the archive|at the ferry pier|on the upper deck|"
    "under the stairs|along the fence|in the training room|across the yard|at the old depot|by the greenhouse"
)
_WHEN = _list(
    "during the audit|as the tide turns|whenever stock runs low|at the close of business|in the rainy season|"
    "once the bell rings|while visitors wait|as part of the handover|throughout the fair"
)


def patterns() -> Iterator[tuple[str, str, str]]:
    """Give each pair as it stands in the file: (kind, one, other)."""
    kind = ""
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\[([a-z-]+)\]", line):
            kind = found[1]
        elif kind and line:
            line = line.replace("\\n", "\n").replace("\\t", "\t")
            sides = min(slot.count("¦") + 1 for slot in _SLOT.findall(line))
            forms = [_SLOT.sub(lambda slot, at=at: slot[1].split("¦")[at], line) for at in range(sides)]
            yield from ((kind, one, other) for one, other in combinations(forms, 2))


def traps(rng: random.Random) -> list[tuple[str, str, str]]:
    """Make pairs of all patterns in all settings, rare words in one alone: (kind, one, other), in no order of sides."""
    made = []
    for kind, one, other in patterns():
        made.append((kind, one, other))
        for setting, words in _AROUND.items() if kind != "rare-word" else ():
            a, b = _within(rng, one, other, words)
            made.append((kind, a, _dressed(rng, b) if setting == "dressed" else b))
    return [(kind, a, b) if rng.random() < 0.5 else (kind, b, a) for kind, a, b in made]


def crowd(rng: random.Random) -> list[str]:
    """Make entries by which the first word of each rare-word pair is known, and the second is not."""
    common = [set(one.split()) - set(other.split()) for kind, one, other in patterns() if kind == "rare-word"]
    words = sorted(word for words in common for word in words)
    return [f"{filler(rng, 20)} {word} {filler(rng, 20)}" for word in words for _ in range(_KNOWN_BY)]


def filler(rng: random.Random, words: int) -> str:
    """Make sentences of about so many words in all that nobody needs."""
    return " ".join(_sentences(rng, words))


def _sentences(rng: random.Random, words: int) -> list[str]:
    made: list[str] = []
    while sum(len(one.split()) for one in made) < words:
        made.append(_sentence(rng))
    return made


def _sentence(rng: random.Random) -> str:
    who, like, what, where, when = map(rng.choice, (_WHO, _LIKE, _WHAT, _WHERE, _WHEN))
    does, then = rng.sample(_DOES, 2)
    forms = (
        f"The {who} {does} {like} {what} {where}.",
        f"{when[0].upper()}{when[1:]}, the {who} {does} {what} {where}.",
        f"The {who} {does} {like} {what} and {then} {rng.choice(_WHAT)} {when}.",
        f"{like[0].upper()}{like[1:]} {what} {where} belong to the {who}, which {then} them {when}.",
    )
    return rng.choice(forms)


def _within(rng: random.Random, one: str, other: str, words: int) -> tuple[str, str]:
    sentences = _sentences(rng, words)
    at = rng.randrange(len(sentences) + 1)
    between = "\n\n" if "\n" in one + other else " "
    before, after = " ".join(sentences[:at]), " ".join(sentences[at:])
    return between.join((before, one, after)).strip(" "), between.join((before, other, after)).strip(" ")


def _dressed(rng: random.Random, text: str) -> str:
    return rng.choice(
        (
            text.replace(". ", ".  "),
            text.rstrip(".") + "\n",
            text.replace(" the ", " the  ").replace("'", "’"),
            f"  {text}",
            f"Hello team, {text}",
            f"{text}\n\nInternal use only",
        )
    )
