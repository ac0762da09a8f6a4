"""LoCoMo (Maharana et al., ACL 2024): long conversations, and questions with the turns that answer them. Read, never kept here.

A turn is its text and the caption of its picture, where it has one; the words by which the picture was searched for are left out. Every
question that names an existing turn as evidence is asked, those of category 5 too: their evidence is a turn, whatever the answer is.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meliora.clock import SystemClock
from meliora.knowledge.memory.memory import Memory
from meliora.knowledge.memory.records import Said
from meliora.testing.turns import TurnsInMemory

FITTED = ("conv-26", "conv-30")
"""Conversations that the weights were fitted on."""
_PLACE = re.compile(r"D\d+:\d+")


@dataclass(frozen=True)
class Question:
    """A question; `turns` are the numbers of those that answer it, `sessions` the sessions of them."""

    text: str
    turns: frozenset[int]
    sessions: frozenset[str]
    category: int
    listed: tuple[tuple[int, str], ...] = ()
    """Turn and session of each entry of its evidence, as LoCoMo's own evaluation reads it: 0 where an entry is not the id of a turn."""


@dataclass(frozen=True)
class Talk:
    """A conversation and its questions."""

    name: str
    turns: tuple[Said, ...]
    questions: tuple[Question, ...]


def read(file: Path) -> list[Talk]:
    """Read the conversations of a file, packed or not."""
    body = file.read_bytes()
    rows = json.loads(gzip.decompress(body) if file.suffix == ".gz" else body)
    return [_talk(row) for row in rows]


def remembered(talks: Sequence[Talk]) -> tuple[Memory, TurnsInMemory]:
    """Put each conversation into memory, as one of a user of its name."""
    shelf = TurnsInMemory()
    memory = Memory(shelf, SystemClock())
    for talk in talks:
        for start in range(0, len(talk.turns), 500):
            memory.append("t", talk.name, talk.turns[start : start + 500])
    return memory, shelf


def _talk(row: dict[str, Any]) -> Talk:
    said, places = [], dict[str, tuple[int, str]]()
    spoken = row["conversation"]
    numbers = sorted(int(key.split("_")[1]) for key in spoken if re.fullmatch(r"session_\d+", key))
    for session in numbers:
        at = datetime.strptime(spoken[f"session_{session}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for turn in spoken[f"session_{session}"]:
            places[turn["dia_id"]] = (len(said) + 1, str(session))
            text = " ".join(filter(None, (turn["text"], turn.get("blip_caption"))))
            at_us = round(at.timestamp()) * 1_000_000 + len(said)
            said.append(
                Said(speaker=turn["speaker"], text=text, at_us=at_us, user=row["sample_id"], session=str(session))
            )
    asked = []
    for one in row["qa"]:
        entries = one.get("evidence", ())
        found = [places[at] for at in _PLACE.findall(" ".join(entries)) if at in places]
        if found:
            turns, sessions = frozenset(number for number, _ in found), frozenset(session for _, session in found)
            listed = tuple((places.get(entry, (0, ""))[0], entry.split(":")[0][1:]) for entry in entries)
            asked.append(Question(one["question"], turns, sessions, one["category"], listed))
    return Talk(row["sample_id"], tuple(said), tuple(asked))
