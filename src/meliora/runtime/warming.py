"""Makes record types ready before threads share them: one that two threads decode for the first time at once ends the process.

msgspec 0.22 reads a type's annotations at its first use, and another thread meanwhile sees it half read: a segmentation fault.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec

_one_at_a_time = threading.Lock()
"""For the whole process: what a type's annotations came to is kept with the type."""


def make_ready() -> None:
    """Have every record type of Meliora that is loaded by now read; to do so again costs a millisecond.

    Call it before threads start, and behind an import within a function that threads come by.
    """
    with _one_at_a_time:
        for kind in set(_below(msgspec.Struct)):
            if kind.__module__.partition(".")[0] == "meliora":
                _read(kind)


def _below(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _read(kind: type) -> None:
    try:
        msgspec.json.Decoder(kind)
    except (NameError, TypeError):  # of what type checks alone know, or JSON does not: such a type is never decoded
        return
