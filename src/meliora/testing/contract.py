"""The contract that every kind of change keeps, as checks that need no test framework: `check_kind(make)` runs all of them.

`make` gives a fresh `KindBench` each time: a plane with something to improve, and the ways in which it can go wrong. Each call to a
kind is made on a newly built one, as after a restart, so that nothing can be kept in memory. Refuses no style, only broken promises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec

from meliora.loop.change import Change, Origin
from meliora.loop.engine import seed_of
from meliora.loop.kind import ChangeKind, Later, Proposal
from meliora.loop.states import State
from meliora.loop.work import Fence, Superseded, Work

T = TypeVar("T")

PATIENCE = 500
"""How often a method may ask for `Later` before it counts as never ending."""
_DAY = 86_400.0


class Killed(BaseException):
    """The process was killed here. No `except Exception` holds it up, as none would."""


class Broken(AssertionError):
    """A kind does not keep its contract: what was found."""


class ContractBroken(AssertionError):
    """All checks that a kind fails, by name, with what was found."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        lines = "\n".join(f"- {name}: {found}" for name, found in failures.items())
        super().__init__(f"The kind fails {len(failures)} checks:\n{lines}")


class Faults:
    """Counts the calls to what a kind works with, and kills the process right before or after one of them."""

    def __init__(self) -> None:
        self.calls = 0
        self._at: int | None = None
        self._after = False

    def around(self, thing: T) -> T:
        """Give the same thing with its methods (or, of a function, the call) counted."""
        return cast("T", _Counted(thing, self))

    def kill(self, at: int, *, after: bool) -> None:
        """Kill at the call that many calls from now: before it has an effect, or after."""
        self.calls, self._at, self._after = 0, at, after

    def spare(self) -> None:
        """Kill no more, and count anew."""
        self.calls, self._at = 0, None

    def through(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make a call, unless this is where the process is killed."""
        self.calls += 1
        hit = self.calls == self._at
        if hit and not self._after:
            raise Killed(f"before call {self.calls}")
        found = call(*args, **named)
        if hit:
            raise Killed(f"after call {self.calls}")
        return found


class _Counted:
    def __init__(self, thing: Any, faults: Faults) -> None:
        self._thing, self._faults = thing, faults

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if not callable(found):
            return found
        return lambda *args, **named: self._faults.through(found, *args, **named)

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._faults.through(self._thing, *args, **named)


class Fences:
    """Which attempt at a change is the current one. `check` is what a kind is given in place of the store's."""

    def __init__(self) -> None:
        self._current: dict[str, int] = {}

    def take(self, change: Change) -> Fence:
        """Begin the next attempt; the one before is old from now on."""
        self._current[change.id] = self._current.get(change.id, 0) + 1
        return Fence(change.tenant, change.id, self._current[change.id])

    def check(self, fence: Fence) -> Callable[[Any], None]:
        """Give what raises `Superseded` for an old attempt, to be called first in the write's transaction."""

        def held(connection: Any) -> None:
            if self._current.get(fence.change) != fence.attempt:
                raise Superseded(f"Attempt {fence.attempt} was superseded.")

        return held


@dataclass(kw_only=True)
class KindBench:
    """A plane with something to improve, for one run of one check."""

    build: Callable[[], ChangeKind]
    """Make the kind over this bench's plane, as a process does when it starts."""
    change: Change
    """As it stands when its candidate is to be made. The bench's data must let the candidate's proof pass."""
    state: Callable[[], Any]
    """Give all that serves at the plane, comparable across benches: no times, no random ids."""
    decode: Callable[[dict[str, Any]], Any]
    """Read an overlay as the plane does; raises for one that it cannot read."""
    lose_data: Callable[[], None]
    """Take away what proofs are made of."""
    lose_baseline: Callable[[Change], object]
    """Make it impossible to go back to the baseline of a change that is proposed and not delivered."""
    replace: Callable[[], None]
    """Put something else in service behind the kind's back: neither baseline nor candidate."""
    faults: Faults = field(default_factory=Faults)
    fences: Fences = field(default_factory=Fences)
    contents: tuple[str, ...] = ()
    """Pieces of people's content in the bench's data: none of them may be seen in evidence."""
    finding: dict[str, Any] | None = None
    splits: bool = True
    """Whether traffic can be split for it: then it must have plans for trial and watch."""
    now_us: Callable[[], int] = lambda: 1_800_000_000_000_000


def change_of(kind: str, target: str, surface: str, **fields: Any) -> Change:
    """Give a change for a bench, diagnosed and without a candidate."""
    values: dict[str, Any] = {"tenant": "default", "environment": "production", "origin": Origin("gate", "test")}
    values |= {"state": State.DIAGNOSED, "updated_us": 1_800_000_000_000_000, "created_us": 1_800_000_000_000_000}
    return Change(id="chg_c0ffee", kind=kind, target=target, surface=surface, **(values | fields))


_STATES = {
    "propose": State.DIAGNOSED,
    "prove": State.PROVING,
    "rehearse": State.PROVED,
    "deliver": State.DELIVERING,
    "undo": State.ROLLING_BACK,
}


class Run:
    """A change on its way over one bench. Used by the checks."""

    def __init__(self, make: Callable[[], KindBench]) -> None:
        self.bench = make()
        self.change = self.bench.change
        self.heard: list[Any] = []
        """Everything that was said on the way: progress, notes, checkpoints."""
        self.asked: list[Later] = []

    def fence(self) -> Fence:
        """Begin an attempt."""
        return self.bench.fences.take(self.change)

    def call(self, method: str, fence: Fence | None = None) -> Any:
        """Call a method until it is finished, on a new kind each time, each `Later` given back as its checkpoint."""
        checkpoint: dict[str, Any] = {}
        for _ in range(PATIENCE):
            change = msgspec.structs.replace(self.change, state=_STATES[method])
            work = self.work(change, fence or self.fence(), checkpoint)
            found = getattr(self.bench.build(), method)(change, work)
            if not isinstance(found, Later):
                return found
            self.asked.append(found)
            self.heard.append(msgspec.to_builtins(found))
            checkpoint = _through_json(found.checkpoint)
        raise Broken(f"{method} asked for later {PATIENCE} times and never finished")

    def work(self, change: Change, fence: Fence, checkpoint: dict[str, Any]) -> Work:
        """Give an attempt's work."""
        held = self.bench.fences.check(fence)

        def tell(share: float | None, sentence: str, said: dict[str, Any] | None) -> None:
            held(None)
            self.heard.append((share, sentence, said))

        return Work(
            fence=fence,
            key=f"{change.id}/{change.state}",
            seed=seed_of(change),
            now_us=self.bench.now_us,
            tell=tell,
            checkpoint=checkpoint,
            finding=self.bench.finding,
        )

    def plan(self, method: str) -> Any:
        """Ask a new kind for `trial`, `watch` or `serving`."""
        return getattr(self.bench.build(), method)(self.change)

    def propose(self) -> Proposal:
        """Make the candidate and note it in the change, as the loop does. Raises `Broken` where there is none."""
        made = self.call("propose")
        if not isinstance(made, Proposal):
            raise Broken(f"propose gave {made!r} where the bench has something to improve")
        self.change = msgspec.structs.replace(
            self.change,
            target=made.target,
            summary=made.summary,
            payload=_through_json(made.payload),
            candidate=made.candidate,
            baseline=made.baseline,
        )
        return made

    def killed(self, method: str, at: int, *, after: bool) -> None:
        """Call a method and kill the process at a call of it."""
        self.bench.faults.kill(at, after=after)
        try:
            self.call(method)
        except Killed as killed:
            self.heard.append(str(killed))
        finally:
            self.bench.faults.spare()


def check_kind(make: Callable[[], KindBench], only: Iterable[str] | None = None) -> None:
    """Hold a kind to its contract: all checks, or those named in `only`. Raises `ContractBroken` with every check it fails."""
    from meliora.testing.contract_checks import CHECKS

    failures: dict[str, str] = {}
    for name in CHECKS if only is None else only:
        try:
            CHECKS[name](make)
        except Broken as broken:
            failures[name] = str(broken)
        except (Exception, Killed) as error:  # noqa: BLE001 - what a foreign kind raises is reported
            failures[name] = f"raised {type(error).__name__}: {error}"
    if failures:
        raise ContractBroken(failures)


def expect(holds: object, otherwise: str) -> None:
    """Raise `Broken` where something does not hold."""
    if not holds:
        raise Broken(otherwise)


def reasonable(later: Later) -> bool:
    """Tell whether somebody can wait as asked, and be told why."""
    return 0 < later.seconds <= _DAY and bool(later.note.strip())


def _through_json(plain: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(plain))
    except (TypeError, ValueError) as error:
        raise Broken(f"{plain!r} cannot be kept as JSON: {error}") from error
