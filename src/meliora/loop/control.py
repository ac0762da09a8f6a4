"""Start, stop and the kill switch: by the store, by a file, by a signal. Who may is the policies' to say; killing never waits for them.

`stop` begins nothing new. `kill` is more: all traffic to the baselines, every edge stopped but rollback, in every process. Each kill
and each resume makes a new epoch, which processes acknowledge.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from meliora.errors import Conflict, Forbidden
from meliora.loop.approvals import Record
from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.policy.decide import Policies
from meliora.loop.policy.request import Action, Actor, Facts, Request, Target

ProcessKind = Literal["gateway", "worker", "control"]
KILL_FILE = "kill"
"""In the state directory."""


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """How the loop stands."""

    running: bool
    halted: bool
    kill_epoch: int
    since_us: int | None
    """When it was killed or resumed last."""
    by: str | None = None
    why: str | None = None
    """Of the last kill or resume."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process that obeys the kill switch. `id` is its own, stable as long as it lives."""

    id: str
    kind: ProcessKind
    host: str
    pid: int


class Ack(Process, frozen=True, kw_only=True):
    """Whether a process has acknowledged an epoch, and how long after it was made."""

    seen_us: int
    seconds: float | None
    """None: not yet."""
    alive: bool


class Acks(msgspec.Struct, frozen=True, kw_only=True):
    """Who has acknowledged an epoch."""

    epoch: int
    at_us: int | None
    processes: tuple[Ack, ...]

    @property
    def complete(self) -> bool:
        """Whether every living process has."""
        return all(one.seconds is not None for one in self.processes if one.alive)

    @property
    def seconds(self) -> float | None:
        """Give the time to the last acknowledgement; None while one is out, or none has come."""
        known = [one.seconds for one in self.processes if one.seconds is not None]
        return max(known) if known and self.complete else None


class ControlShelf(Protocol):
    """Where the run state is kept."""

    def state(self) -> RunState:
        """Give it."""
        ...

    def halted(self) -> bool:
        """Tell whether the kill switch is on; one look by key."""
        ...

    def start(self, by: str) -> bool:
        """Let the loop begin things; False where it could already."""
        ...

    def stop(self, by: str) -> bool:
        """Let it begin nothing new; False where it could not already."""
        ...

    def kill(self, by: str, why: str) -> int:
        """Switch it on and give the epoch."""
        ...

    def resume(self, by: str, why: str) -> int:
        """Switch it off and give the epoch."""
        ...


class KillFile:
    """A file that kills as long as it is there: for when the store, the API or the command line cannot be reached."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / KILL_FILE
        self._signalled = False

    def present(self) -> bool:
        """Tell whether it is there, or a signal came. What cannot be looked at counts as there."""
        if self._signalled:
            return True
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def reason(self) -> str:
        """Give its first line."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            text = ""
        return text.split("\n")[0][:500] or f"the file {self.path} is there"

    def write(self, why: str) -> None:
        """Make it, if it is not there. Raises `OSError`."""
        with suppress(FileExistsError), self.path.open("x", encoding="utf-8") as file:
            file.write(f"{why}\n")

    def clear(self) -> None:
        """Remove it. Raises `Conflict` where it stays."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise Conflict(
                f"{self.path} cannot be removed: {error.strerror}.", hint="Remove it by hand, then resume again."
            ) from error
        self._signalled = False

    def on_signal(self, number: int = signal.SIGUSR1) -> None:
        """Make it when this process gets a signal; the next `Switch.look` kills, also where no file can be made. Main thread only."""

        def came(*_: object) -> None:
            self._signalled = True
            with suppress(OSError):  # a full disk must neither end this process nor stop the kill
                self.write("a signal came")

        signal.signal(number, came)


class Switch:
    """What a worker asks before each edge."""

    def __init__(self, shelf: ControlShelf, file: KillFile) -> None:
        self._shelf = shelf
        self._file = file

    def halted(self) -> bool:
        """Tell whether anything but restoring has to wait."""
        return self._file.present() or self._shelf.halted()

    def look(self) -> bool:
        """Pass a kill by file on to the store, from where all processes hear of it. Call it every second or so."""
        if self._file.present() and not self._shelf.halted():
            self._shelf.kill("system:file", self._file.reason())
        return self.halted()


class Controls:
    """Start, stop, kill and resume as somebody: asks the policies, and tells the audit what they refuse."""

    def __init__(self, shelf: ControlShelf, file: KillFile, policies: Policies, audit: Record) -> None:
        self._shelf = shelf
        self._file = file
        self._policies = policies
        self._audit = audit

    def start(self, actor: Actor, facts: Facts) -> bool:
        """Let the loop begin things; False where it could already. Raises `Forbidden`."""
        self._ask("start", actor, facts)
        return self._shelf.start(actor.name)

    def stop(self, actor: Actor, facts: Facts) -> bool:
        """Let it begin nothing new; False where it did not. Raises `Forbidden`."""
        self._ask("stop", actor, facts)
        return self._shelf.stop(actor.name)

    def kill(self, actor: Actor, facts: Facts, why: str) -> int:
        """Kill, and give the epoch to wait for. Raises `Forbidden`."""
        self._ask("kill", actor, facts)
        return self._shelf.kill(actor.name, why)

    def resume(self, actor: Actor, facts: Facts, why: str) -> int:
        """Take the kill switch back, this machine's file too. Raises `Forbidden`, and `Conflict` where the file stays."""
        self._ask("resume", actor, facts)
        self._file.clear()
        return self._shelf.resume(actor.name, why)

    def _ask(self, action: Action, actor: Actor, facts: Facts) -> None:
        facts = msgspec.structs.replace(facts, halted=self._shelf.halted())
        asked = Request(
            actor=actor, action=action, target=Target(id="loop", kind="loop", tenant=actor.tenant), facts=facts
        )
        decision = self._policies.decide(asked)
        if action == "start" and decision.policies == ("halted",):
            raise Conflict("The kill switch is on.", hint="Take it back first: resume.")
        if not decision.allowed:
            note = AuditNote(
                tenant=actor.tenant,
                actor=word(actor.name),
                action="loop.refused",
                subject="loop",
                body=self._policies.recorded(asked, decision),
            )
            self._audit.record(note)
            raise Forbidden(decision.reason)
