"""What a user's liking adds to a policy: a few hundredths of quality for a model at a task, never more than a declared bound.

The control side computes a table of all users that have an offset; a gateway looks into it. Knows people only by keyed hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from meliora.errors import InvalidRequest
from meliora.routing.preferences.interactions import Interaction
from meliora.routing.preferences.profile import Marks, standings, tasks_of

LARGEST = 0.1
"""Points of quality (0..1) that a liking may add or take."""
USERS = 20_000
"""Users that one table holds, those with the largest offsets: about a megabyte."""
_FORMAT = 1
_LEAST = 0.005

Offsets = dict[str, dict[str, float]]
"""By task, as `words.same_task` spells it, and model."""

_read = msgspec.msgpack.Decoder(Offsets).decode
_write = msgspec.msgpack.Encoder(order="sorted").encode


def offsets(seen: Sequence[Interaction], marks: Marks, *, rate: float, largest: float = LARGEST) -> Offsets:
    """Give how much more or less this user likes each model than others do, at each task, as points of quality.

    It is the personal part of what is believed (`belief`): shrunk by how few ratings there are, free of how generous the user is
    and of what everyone says, since the policy has learned that already. Cut to `largest`; what is next to nothing is left out.
    """
    found: Offsets = {}
    for task in tasks_of(seen):
        liked = {
            one.name: round(max(-largest, min(largest, one.personal)), 4)
            for one in standings(seen, marks, task, rate)
            if abs(one.personal) >= _LEAST
        }
        if liked and largest >= _LEAST:
            found[task] = liked
    return found


class OffsetTable(msgspec.Struct, frozen=True):
    """The offsets of a tenant's users, by the keyed hash of each. Immutable.

    A user's are kept encoded, so that a gateway takes a table of thousands in a few milliseconds and reads only whom it serves.
    """

    users: dict[str, bytes] = {}
    format: int = _FORMAT

    def of(self, subject: str) -> Offsets | None:
        """Give a user's offsets by task and model; None where nothing is known."""
        found = self.users.get(subject)
        return None if found is None else _read(found)

    def changed(self, changes: Mapping[str, Offsets]) -> OffsetTable:
        """Give a table in which these users have these offsets; without any a user is out. At most `USERS` stay."""
        users = {subject: kept for subject, kept in self.users.items() if subject not in changes}
        users |= {subject: _write(given) for subject, given in changes.items() if given}
        if len(users) > USERS:
            # A twentieth goes at once, so that this is not done at each change of a full table.
            strongest = sorted(users, key=lambda subject: -_largest(_read(users[subject])))
            kept = strongest[: USERS - USERS // 20]
            users = {subject: users[subject] for subject in kept}
        return OffsetTable(users)


def encode(table: OffsetTable) -> bytes:
    """Give a table as bytes; the same table gives the same bytes."""
    return _write(table)


def decode(body: bytes) -> OffsetTable:
    """Read a table. Raises `InvalidRequest` for what is none, or one of another format."""
    try:
        table = msgspec.msgpack.decode(body, type=OffsetTable)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"This is no table of preferences: {error}.") from error
    if table.format != _FORMAT:
        raise InvalidRequest(
            f"The table of preferences is of format {table.format}; this Meliora reads {_FORMAT}.",
            hint="Upgrade this process.",
        )
    return table


def _largest(given: Offsets) -> float:
    return max(abs(value) for liked in given.values() for value in liked.values())
