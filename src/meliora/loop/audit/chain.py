"""Walks the chain from its first entry and says exactly what is wrong: what was altered, is missing, or was cut off. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from meliora.loop.audit.entry import START, Row
from meliora.loop.audit.heads import Head, Outside, signature

RESTORED = "audit.restored"
"""Action of the entry that a restore appends: the chain went back to an earlier entry on purpose."""
_MOST = 50

Fault = Literal["altered", "gap", "order", "cut", "head", "outside", "restore"]


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with the audit, at which entry (None: at none in particular)."""

    fault: Fault
    seq: int | None
    sentence: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk found. `problems` is cut at fifty; `found` counts them all."""

    entries: int
    last: Head | None
    problems: tuple[Problem, ...]
    found: int
    notes: tuple[str, ...]
    """What is worth knowing and no fault, e.g. that a backup was restored."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0


class Lost(msgspec.Struct, frozen=True):
    """Entries that a restore replaced: those above `kept`, up to `seq`. `by` is the head of the entry that tells of it."""

    kept: int
    seq: int
    hash: str
    by: tuple[int, str]

    def mac(self, secret: str) -> str:
        """Give the keyed hash that the entry has to carry."""
        return signature(secret, "restored", self.kept, self.seq, self.hash)


def lost_by(row: Row, secret: str) -> Lost | None:
    """Give what a `RESTORED` entry says went; None where it is not signed with the key. Raises `ValueError` for no such entry."""
    try:
        body = row.entry().body
        lost = Lost(body["kept"], body["lost_seq"], body["lost_hash"], (row.seq, row.hash))
        return lost if body["mac"] == lost.mac(secret) else None
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ValueError(f"Entry {row.seq} tells of a restore and cannot be read.") from error


def strangers(outside: Outside, hashes: Mapping[int, str], lost: Sequence[Lost]) -> list[Head]:
    """Give the heads outside that are not in the chain, and that no restore after them explains; ascending by number."""
    places = {(head.seq, head.hash): place for place, head in enumerate(outside.heads)}
    every = list(enumerate(outside.heads))
    if outside.signed is not None:
        every.append((len(outside.heads), outside.signed))
    found = {
        (head.seq, head.hash): head
        for place, head in every
        if hashes.get(head.seq) != head.hash
        and not any(one.kept < head.seq <= one.seq and place <= places.get(one.by, place) for one in lost)
    }
    return sorted(found.values(), key=lambda head: head.seq)


def verify(rows: Iterable[Row], head: Head | None, outside: Outside, secret: str) -> Verified:
    """Check the rows (ascending by number) against each other, the head in the database and the heads outside it."""
    walk = _Walk(secret, {one.seq for one in outside.heads} | ({outside.signed.seq} if outside.signed else set()))
    for row in rows:
        walk.step(row)
    walk.check_head(head)
    walk.check_outside(outside)
    return walk.result()


class _Walk:
    def __init__(self, secret: str, wanted: set[int]) -> None:
        self._secret = secret
        self._wanted = wanted
        self._hashes: dict[int, str] = {}
        self._lost: list[Lost] = []
        self._problems: list[Problem] = []
        self._found = 0
        self._notes: list[str] = []
        self._entries = 0
        self._seq = 0
        self._hash = START

    def step(self, row: Row) -> None:
        if row.seq > self._seq + 1:
            first, last = self._seq + 1, row.seq - 1
            what = f"Entry {first} is missing" if first == last else f"Entries {first} to {last} are missing"
            self._say("gap", first, f"{what}: entry {row.seq} follows entry {self._seq}.")
        elif row.seq <= self._seq:
            self._say("order", row.seq, f"Entry {row.seq} comes after entry {self._seq}.")
        elif row.prev != self._hash:
            before = f"entry {self._seq}, which is {self._hash[:12]}" if self._seq else "the chain's beginning"
            self._say(
                "altered",
                row.seq,
                f"Entry {row.seq} does not follow {before}: it names {row.prev[:12]}. "
                "One of the two was replaced, or one between them was taken out.",
            )
        hashed = row.hashed()
        if hashed != row.hash:
            self._say(
                "altered", row.seq, f"Entry {row.seq} was altered: it says {row.hash[:12]} and hashes to {hashed[:12]}."
            )
        self._entries += 1
        self._seq = row.seq
        self._hash = row.hash
        if row.seq in self._wanted:
            self._hashes[row.seq] = row.hash
        if row.action == RESTORED:
            self._restored(row)

    def _restored(self, row: Row) -> None:
        try:
            lost = lost_by(row, self._secret)
        except ValueError as error:
            self._say("restore", row.seq, str(error))
            return
        if lost is None:
            self._say(
                "restore", row.seq, f"Entry {row.seq} tells of a restore and is not signed with this deployment's key."
            )
            return
        self._lost.append(lost)
        went = (
            f"; what was written after entry {lost.kept} went, up to entry {lost.seq}" if lost.seq > lost.kept else ""
        )
        self._notes.append(f"Entry {row.seq}: a backup was restored that ended at entry {row.seq - 1}{went}.")

    def check_head(self, head: Head | None) -> None:
        if head is None:
            if self._entries:
                self._say("head", None, "The head row is missing from the database.")
        elif head.seq > self._seq:
            self._say(
                "cut", self._seq + 1, f"The chain ends at entry {self._seq}, and the head row knows entry {head.seq}."
            )
        elif (head.seq, head.hash) != (self._seq, self._hash):
            self._say("head", head.seq, f"The head row names entry {head.seq}, and the chain ends at {self._seq}.")

    def check_outside(self, outside: Outside) -> None:
        if not outside.heads and self._entries:
            self._notes.append("No head was written outside the database on this machine: a cut tail would not show.")
        if outside.torn:
            self._notes.append("The last line of the heads file was not finished; the process was killed.")
        for number in outside.unreadable:
            self._say("outside", None, f"Line {number} of the heads file cannot be read.")
        if outside.signature:
            self._say("outside", None, f"{outside.signature}.")
        unknown = strangers(outside, self._hashes, self._lost)
        cut = [head.seq for head in unknown if head.seq > self._seq]
        if cut:
            last = max(cut)
            what = f"Entry {last} is" if last == self._seq + 1 else f"Entries {self._seq + 1} to {last} are"
            self._say(
                "cut",
                self._seq + 1,
                f"The tail was cut: {what} gone. Their heads were written outside the database, which ends at {self._seq}.",
            )
        for head in unknown:
            if head.seq <= self._seq and head.seq in self._hashes:
                here = self._hashes[head.seq][:12]
                self._say(
                    "outside",
                    head.seq,
                    f"Entry {head.seq} is {here} here and was {head.hash[:12]} when it was written.",
                )

    def _say(self, fault: Fault, seq: int | None, sentence: str) -> None:
        self._found += 1
        if len(self._problems) < _MOST:
            self._problems.append(Problem(fault, seq, sentence))

    def result(self) -> Verified:
        last = Head(self._seq, self._hash) if self._entries else None
        return Verified(
            entries=self._entries,
            last=last,
            problems=tuple(self._problems),
            found=self._found,
            notes=tuple(self._notes),
        )
