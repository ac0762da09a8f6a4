"""Conversation memory: how much of what answers a question is recalled, and how long a recall takes.

Recall is the share of a question's evidence that is given, averaged over questions. The weights were fitted on two of the conversations;
the figures are of the other three, with those of all and of the two beside them. Questions of one conversation are not independent, so the
intervals, which take them to be, are somewhat too narrow.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.intervals import Estimate, mean, quantile
from benchmarks.report import ControlFailed, Report, figure
from benchmarks.search.locomo import FITTED, Question, Talk, read, remembered
from benchmarks.search.sets import conversations
from meliora.clock import SystemClock
from meliora.knowledge.memory.memory import Memory
from meliora.knowledge.memory.records import Said
from meliora.knowledge.memory.wanted import Recalled
from meliora.testing.turns import TurnsInMemory

LIMIT = 10
LEAST = 20
"""Questions below which nothing is said of recall."""
MESSAGES = 10_000
RECALLS, RECALLS_QUICK = 2000, 200
_HOUR_US = 3_600_000_000
_Share = Callable[[Question, Recalled], float]


def measure(report: Report, data: Path | None, seed: int, quick: bool) -> None:
    """Add `locomo.turn_recall10`, `locomo.session_recall10` and `memory_p99_ms`; `data` is where locomo*.json lies."""
    file = conversations(data)
    if file is None:
        for name in ("locomo.turn_recall10", "locomo.session_recall10"):
            report.miss(name, "no locomo*.json(.gz) under --data")
    else:
        quality(report, file)
    speed(report, seed, RECALLS_QUICK if quick else RECALLS)


def quality(report: Report, file: Path) -> None:
    """Ask every question of its conversation."""
    talks = read(file)
    memory, _ = remembered(talks)
    given = {
        talk.name: [(one, memory.recall("t", one.text, user=talk.name, limit=LIMIT)) for one in talk.questions]
        for talk in talks
    }
    if not any(_turns(one, found) for pairs in given.values() for one, found in pairs):
        raise ControlFailed("memory recalled no evidence at all")
    held = [talk for talk in talks if talk.name not in FITTED]
    if sum(len(given[talk.name]) for talk in held) < LEAST:
        for name in ("locomo.turn_recall10", "locomo.session_recall10"):
            report.miss(name, f"fewer than {LEAST} questions of conversations that nothing was fitted on")
        return
    note = f"{len(held)} conversations that nothing was fitted on; all with evidence, category 5 included"
    categories = {f"category {c}": _of_category(given, held, c) for c in range(1, 6)}
    report.add(
        figure(
            "locomo.turn_recall10",
            "share",
            _mean(given, held, _turns),
            beside=_beside(given, talks, _turns) | {"any": _mean(given, held, _any).value} | categories,
            note=note,
        )
    )
    strict = {
        "in five": _mean(given, held, _in_five).value,
        "sessions of the turns": _mean(given, held, _sessions_of_turns).value,
    }
    report.add(
        figure(
            "locomo.session_recall10",
            "share",
            _mean(given, held, _sessions),
            beside=_beside(given, talks, _sessions) | strict,
            note=note,
        )
    )


def speed(report: Report, seed: int, recalls: int) -> None:
    """Time recalls of a conversation of 10,000 messages, every tenth after one more was appended."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(12_000)]
    often = [1 / (at + 5) for at in range(len(words))]
    memory = Memory(TurnsInMemory(), SystemClock())

    def some(least: int, most: int) -> str:
        return " ".join(rng.choices(words, often, k=rng.randint(least, most)))

    for start in range(0, MESSAGES, 1000):
        turns = [
            Said(speaker=rng.choice(("Ada", "Ben")), text=some(5, 60), at_us=at * _HOUR_US // 6, user="u")
            for at in range(start, start + 1000)
        ]
        memory.append("t", "c", turns)
    ready = time.perf_counter()
    memory.recall("t", some(3, 12), user="u")
    ready = time.perf_counter() - ready
    times: list[float] = []
    for at in range(recalls):
        if at % 10 == 0:
            memory.append("t", "c", [Said(speaker="Ada", text=some(5, 60), user="u")])
        query = ("Ada " if at % 2 else "") + some(3, 12)
        start_s = time.perf_counter()
        memory.recall("t", query, user="u")
        times.append((time.perf_counter() - start_s) * 1000)
    beside = {"p50": quantile(sorted(times), 0.5), "index built in ms": ready * 1000}
    report.add(figure("memory_p99_ms", "ms", _p99(times, rng), beside=beside, note=f"{MESSAGES} messages"))


def _p99(times: Sequence[float], rng: random.Random) -> Estimate:
    value = quantile(sorted(times), 0.99)
    again = sorted(quantile(sorted(rng.choices(times, k=len(times))), 0.99) for _ in range(200))
    return Estimate(value, again[5], again[-6], len(times))


def _turns(one: Question, found: Recalled) -> float:
    return len(one.turns & {hit.turn.number for hit in found.turns}) / len(one.turns)


def _any(one: Question, found: Recalled) -> float:
    return float(_turns(one, found) > 0)


def _sessions(one: Question, found: Recalled) -> float:
    return len(one.sessions & {hit.session for hit in found.sessions}) / len(one.sessions)


def _in_five(one: Question, found: Recalled) -> float:
    return len(one.sessions & {hit.session for hit in found.sessions[:5]}) / len(one.sessions)


def _sessions_of_turns(one: Question, found: Recalled) -> float:
    return len(one.sessions & {hit.session for hit in found.turns}) / len(one.sessions)


_Given = dict[str, list[tuple[Question, Recalled]]]


def _mean(given: _Given, talks: Sequence[Talk], share: _Share) -> Estimate:
    return mean([share(one, found) for talk in talks for one, found in given[talk.name]])


def _beside(given: _Given, talks: Sequence[Talk], share: _Share) -> dict[str, float]:
    fitted = [talk for talk in talks if talk.name in FITTED]
    return {"all": _mean(given, talks, share).value, "fitted on": _mean(given, fitted, share).value}


def _of_category(given: _Given, talks: Sequence[Talk], category: int) -> float:
    shares = [_turns(one, hit) for talk in talks for one, hit in given[talk.name] if one.category == category]
    return sum(shares) / len(shares) if shares else 0.0
