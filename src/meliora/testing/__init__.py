"""Shipped fakes and players, for Meliora's own tests and those of its users. Not for production: they misbehave on purpose.

    faults       what an upstream can do wrong
    plan         which call gets which fault
    server       `FakeProvider`: a real server on the loopback that follows a plan
    connection, wire, spoiling   its parts: the socket, the steps, the content
    inprocess    the same faults without a socket
    clock        a clock that stands still
    player       recorded traffic, played again
    gateway      a whole gateway in this process: `from meliora.testing.gateway import RunningGateway`
    policies     learned policies that know what they are told: `from meliora.testing.policies import planted`
    turns        conversations in memory: `from meliora.testing.turns import TurnsInMemory`
    store        a store that is gone afterwards: `from meliora.testing.store import temporary_store`
    contract     the contract of a kind of change: `from meliora.testing.contract import check_kind`

What needs an extra import line is not exported here, because it brings half of Meliora with it.
"""

from meliora.testing import faults
from meliora.testing.clock import FrozenClock
from meliora.testing.connection import Seen
from meliora.testing.faults import Fault
from meliora.testing.inprocess import Patience
from meliora.testing.plan import FaultPlan, FaultRule
from meliora.testing.player import Pace as PlayerPace
from meliora.testing.player import PlayedCall, RecordedCall, play, read_recording, record_line, row_line
from meliora.testing.server import FakeProvider, Play

__all__ = [
    "FakeProvider",
    "Fault",
    "FaultPlan",
    "FaultRule",
    "FrozenClock",
    "Patience",
    "Play",
    "PlayedCall",
    "PlayerPace",
    "RecordedCall",
    "Seen",
    "faults",
    "play",
    "read_recording",
    "record_line",
    "row_line",
]
