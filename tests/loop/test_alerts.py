"""From what happens and holds to what is sent: a store or a sink that fails holds nothing up, and names stay data."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meliora.errors import StoreUnavailable, UpstreamError
from meliora.loop.alerts import Alerts, Message, Telling, alert_of, failing, stuck
from meliora.loop.change import Change, Origin
from meliora.loop.control import RunState
from meliora.loop.gates.board import GateReading, GateRow
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.standing import Standing
from meliora.loop.house import Happened
from meliora.loop.states import State
from meliora.store import Store
from meliora.store.engine import connect
from meliora.testing import FrozenClock

BROKEN = GateRow(
    name="errors",
    definition=Gate(name="errors", metric="error_rate", direction="max", threshold=0.01, severity="critical"),
    standing=Standing(state="fail", failing=True),
    last=GateReading(gate="errors", at_us=1, state="fail", value=0.2, bound=0.01),
)


def change(**over: Any) -> Change:
    known: dict[str, Any] = {
        "id": "chg_1",
        "tenant": "default",
        "kind": "routing_rule",
        "target": "rule:x",
        "surface": "gateway",
        "environment": "production",
        "origin": Origin("gate", "errors"),
        "state": State.ROLLED_BACK,
    }
    return Change(**known | over)


def happened(what: Any = "rolled_back", **over: Any) -> Happened:
    return Happened(change=change(**over), what=what, sentence="errors are up")


@dataclass
class Watched:
    """A deployment whose gates and switch stand as the test says."""

    rows: list[GateRow] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    halted: bool = False

    def gates(self, tenant: str) -> Sequence[GateRow]:
        return self.rows if tenant == "default" else ()

    def stuck(self, tenant: str) -> Sequence[Change]:
        return self.changes if tenant == "default" else ()

    def state(self) -> RunState:
        return RunState(running=True, halted=self.halted, kill_epoch=3, since_us=1, by="key_1", why="a fire")

    def tenants(self) -> Sequence[str]:
        return ("acme", "default")


@dataclass
class Channel:
    """A sink that remembers."""

    name: str = "channel"
    fails: int = 0
    got: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.fails:
            self.fails -= 1
            raise UpstreamError("it is gone")
        self.got.append(message)


@dataclass
class Desk:
    """Alerts over a real store."""

    store: Store
    clock: FrozenClock
    watched: Watched = field(default_factory=Watched)
    channel: Channel = field(default_factory=Channel)
    telling: Telling = field(default_factory=Telling)

    def alerts(self) -> Alerts:
        return Alerts(self.store.alerts, self.watched, lambda: [self.channel], self.telling, "worker")

    def turn(self) -> list[str]:
        """Look and send once; give what came out."""
        before = len(self.channel.got)
        alerts = self.alerts()
        alerts.look()
        while alerts.send("channel"):
            pass
        return [f"{one.status}:{one.name}" for one in self.channel.got[before:]]


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Desk]:
    path = tmp_path / "meliora.db"
    path.write_bytes(template.read_bytes())
    clock = FrozenClock()
    with Store(connect(f"sqlite:///{path}"), clock_us=clock.now_us, randbytes=random.Random(1).randbytes) as store:
        yield Desk(store, clock)


def test_a_gate_that_fails_is_told_once_over_restarts_and_its_end_too(desk: Desk) -> None:
    desk.watched.rows = [BROKEN]
    assert desk.turn() == ["firing:gate_failing"]
    assert desk.turn() == []
    desk.watched.rows = []
    assert desk.turn() == ["resolved:gate_failing"]


def test_the_kill_switch_and_a_rollback_that_failed_hold_until_somebody_acts(desk: Desk) -> None:
    desk.watched.halted = True
    desk.watched.changes = [change(state=State.ROLLBACK_FAILED, reason="the file is gone")]
    assert sorted(desk.turn()) == ["firing:kill_switch", "firing:rollback_failed"]
    desk.watched.halted, desk.watched.changes = False, []
    assert sorted(desk.turn()) == ["resolved:kill_switch", "resolved:rollback_failed"]


def test_what_happens_to_a_change_is_told_with_its_ids(desk: Desk) -> None:
    desk.alerts().note(happened(cycle="si_1"))
    assert desk.turn() == ["firing:change_rolled_back"]
    assert desk.channel.got[0].labels == {
        "change": "chg_1",
        "kind": "routing_rule",
        "environment": "production",
        "cycle": "si_1",
    }
    assert desk.channel.got[0].summary == "routing_rule at rule:x: errors are up"


def test_degradation_is_kept_quiet_where_the_settings_say_so_and_the_rest_is_told(desk: Desk) -> None:
    desk.telling = Telling(degrade=False)
    desk.watched.rows, desk.watched.halted = [BROKEN], True
    desk.alerts().note(happened())
    desk.alerts().note(happened("approval_needed"))
    assert sorted(desk.turn()) == ["firing:change_approval_needed", "firing:kill_switch"]


def test_a_sink_that_fails_has_it_later(desk: Desk) -> None:
    desk.watched.rows, desk.channel.fails = [BROKEN], 2
    assert desk.turn() == []
    desk.clock.advance(11)
    assert desk.turn() == []
    desk.clock.advance(11)
    assert desk.turn() == [], "the pause has doubled"
    desk.clock.advance(11)
    assert desk.turn() == ["firing:gate_failing"]


def test_a_store_that_cannot_be_written_costs_the_alert_and_not_the_edge() -> None:
    class Gone:
        def happened(self, *_: Any) -> None:
            raise StoreUnavailable("it is gone")

    Alerts(Gone(), Watched(), tuple, Telling(), "worker").note(happened())  # type: ignore[arg-type]


def test_a_summary_is_one_short_line_whatever_a_reason_holds() -> None:
    alert = alert_of(happened(target="x\n<!channel>\x1b[31m" + "y" * 5000))
    assert len(alert.summary) == 600 and alert.summary.isprintable()


def test_a_gate_without_data_says_so_and_has_the_severity_it_was_given() -> None:
    import msgspec

    blind = msgspec.structs.replace(BROKEN, last=None)
    assert "has no data now" in failing(blind).summary
    assert "is 0.2, and the bound is 0.01" in failing(BROKEN).summary
    assert failing(BROKEN).severity == "critical"


def test_the_same_thing_has_the_same_fingerprint_whatever_its_sentence() -> None:
    assert alert_of(happened()).fingerprint == alert_of(happened()).fingerprint
    assert alert_of(happened(id="chg_2")).fingerprint != alert_of(happened()).fingerprint
    assert stuck(change(reason="a")).fingerprint == stuck(change(reason="b")).fingerprint
    assert alert_of(happened("rollback_failed")).lasting
