"""Conversation memory: how much of what answers a question is recalled, and how long a recall takes.

Ten turns are asked for. Recall is the share of a question's evidence that they have, averaged over questions: its turns, and the sessions
that these are of. The weights were fitted on two of the conversations; the figures are of the others, with those of all and of the two
beside them. Questions of one conversation are not independent, so those intervals, which take them to be, are somewhat too narrow; the
figures that end in `_refitted` are of every conversation, by weights that were fitted on two others, with intervals over conversations.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.intervals import Estimate, mean, quantile
from benchmarks.report import ControlFailed, Report, figure
from benchmarks.search.locomo import FITTED, Question, Talk, read, remembered
from benchmarks.search.memory_fit import refitted
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
SHARES = ("locomo.turn_recall10", "locomo.session_recall10")
REFITTED = ("locomo.turn_recall10_refitted", "locomo.session_recall10_refitted")
_HOUR_US = 3_600_000_000
_Share = Callable[[Question, Recalled], float]


def measure(report: Report, data: Path | None, seed: int, quick: bool) -> None:
    """Add what is recalled (`SHARES`, and `REFITTED` unless quick) and `memory_p99_ms`; `data` is where locomo*.json lies."""
    file = conversations(data)
    if file is None:
        for name in (*SHARES, *REFITTED):
            report.miss(name, "no locomo*.json(.gz) under --data")
    else:
        talks = read(file)
        quality(report, talks)
        folds(report, talks, quick)
    speed(report, seed, RECALLS_QUICK if quick else RECALLS)


def quality(report: Report, talks: Sequence[Talk]) -> None:
    """Ask every question of its conversation."""
    memory, _ = remembered(talks)
    given = {
        talk.name: [(one, memory.recall("t", one.text, user=talk.name, limit=LIMIT)) for one in talk.questions]
        for talk in talks
    }
    if not any(_turns(one, found) for pairs in given.values() for one, found in pairs):
        raise ControlFailed("memory recalled no evidence at all")
    held = [talk for talk in talks if talk.name not in FITTED]
    if sum(len(given[talk.name]) for talk in held) < LEAST:
        for name in SHARES:
            report.miss(name, f"fewer than {LEAST} questions of conversations that nothing was fitted on")
        return
    note = f"{len(held)} conversations that nothing was fitted on; all with evidence, category 5 included"
    asked_apart = {"ten sessions": _mean(given, held, _ten_sessions).value}
    measures: tuple[tuple[_Share, _Share, _Share, dict[str, float]], ...] = (
        (_turns, _any_turn, _own_turns, {}),
        (_sessions, _any_session, _own_sessions, asked_apart),
    )
    for name, (share, any_of, own, more) in zip(SHARES, measures, strict=True):
        beside = {
            **_beside(given, talks, share),
            "any": _mean(given, held, any_of).value,
            "as LoCoMo counts": _mean(given, held, own).value,
            **more,
            **{f"category {c}": _of_category(given, held, c, share) for c in range(1, 6)},
        }
        report.add(figure(name, "share", _mean(given, held, share), beside=beside, note=note))


def folds(report: Report, talks: Sequence[Talk], quick: bool) -> None:
    """Fit the weights on two conversations after the other, and ask those that they were not fitted on."""
    if quick or len(talks) < 4:
        for name in REFITTED:
            report.miss(name, "not with --quick" if quick else "fewer than four conversations")
        return
    found = refitted(talks, LIMIT)
    for name, estimate in zip(REFITTED, found, strict=True):
        note = f"{len(talks)} conversations, each by weights fitted on two others; the interval is over conversations"
        report.add(figure(name, "share", estimate, note=note))


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
    times, worked = list[float](), list[float]()
    for at in range(recalls):
        if at % 10 == 0:
            memory.append("t", "c", [Said(speaker="Ada", text=some(5, 60), user="u")])
        query = ("Ada " if at % 2 else "") + some(3, 12)
        start_s, start_cpu_s = time.perf_counter(), time.thread_time()
        memory.recall("t", query, user="u")
        times.append((time.perf_counter() - start_s) * 1000)
        worked.append((time.thread_time() - start_cpu_s) * 1000)
    beside = {
        "p50": quantile(sorted(times), 0.5),
        "p99 of its processor time": quantile(sorted(worked), 0.99),
        "index built in ms": ready * 1000,
    }
    report.add(figure("memory_p99_ms", "ms", _p99(times, rng), beside=beside, note=f"{MESSAGES} messages"))


def _p99(times: Sequence[float], rng: random.Random) -> Estimate:
    value = quantile(sorted(times), 0.99)
    again = sorted(quantile(sorted(rng.choices(times, k=len(times))), 0.99) for _ in range(200))
    return Estimate(value, again[5], again[-6], len(times))


def _turns(one: Question, found: Recalled) -> float:
    return len(one.turns & {hit.turn.number for hit in found.turns}) / len(one.turns)


def _any_turn(one: Question, found: Recalled) -> float:
    return float(_turns(one, found) > 0)


def _own_turns(one: Question, found: Recalled) -> float:
    """Count as LoCoMo's own evaluation does: entries of the evidence that are among what is given, also those that name no turn."""
    given = {hit.turn.number for hit in found.turns}
    return sum(number in given for number, _ in one.listed) / len(one.listed)


def _sessions(one: Question, found: Recalled) -> float:
    return len(one.sessions & {hit.session for hit in found.turns}) / len(one.sessions)


def _any_session(one: Question, found: Recalled) -> float:
    return float(_sessions(one, found) > 0)


def _own_sessions(one: Question, found: Recalled) -> float:
    given = {hit.session for hit in found.turns}
    return sum(session in given for _, session in one.listed) / len(one.listed)


def _ten_sessions(one: Question, found: Recalled) -> float:
    return len(one.sessions & {hit.session for hit in found.sessions}) / len(one.sessions)


_Given = dict[str, list[tuple[Question, Recalled]]]


def _mean(given: _Given, talks: Sequence[Talk], share: _Share) -> Estimate:
    return mean([share(one, found) for talk in talks for one, found in given[talk.name]])


def _beside(given: _Given, talks: Sequence[Talk], share: _Share) -> dict[str, float]:
    fitted = [talk for talk in talks if talk.name in FITTED]
    return {"all": _mean(given, talks, share).value, "fitted on": _mean(given, fitted, share).value}


def _of_category(given: _Given, talks: Sequence[Talk], category: int, share: _Share) -> float:
    shares = [share(one, hit) for talk in talks for one, hit in given[talk.name] if one.category == category]
    return sum(shares) / len(shares) if shares else 0.0
