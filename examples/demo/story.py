"""What happens, and when: a model degrades unseen, a bargain is not one, and one that was goes bad. Judges nothing: the record tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from examples.demo.drive import TENANT, Deployment
from examples.demo.world import World
from meliora.loop.change import Change
from meliora.loop.policy.request import Actor
from meliora.loop.states import ENDED, State
from meliora.settings import Settings
from meliora.settings.load import load
from meliora.testing import FrozenClock

START_US = 1_772_409_600_000_000
"""A Monday: the second of March 2026, 00:00 UTC."""
STEP_SECONDS = 600
HOUR_US = 3_600_000_000


FEATURE = "assistant"
"""The part of the application that the story is about: it names the model birch, and all three changes are of that name."""


@dataclass
class Span:
    """Ten minutes of the assistant: what was asked, how much of it was right, what it cost, and what users said."""

    hour: float
    calls: int = 0
    right: int = 0
    cost_micros: float = 0.0
    ups: int = 0
    words: int = 0


@dataclass
class Played:
    """What was played: the spans, and when the world did what."""

    spans: list[Span] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)
    """Those, and what the loop did, by the hour."""
    calls: int = 0
    """Of all features."""
    changes: dict[str, str] = field(default_factory=dict)
    """Chapter to its change."""


_MARKED = {
    ("degraded", State.TRYING): "found, on trial",
    ("degraded", State.WATCHING): "delivered",
    ("degraded", State.KEPT): "kept",
    ("bargain", State.REJECTED): "stopped",
    ("turned", State.WATCHING): "promoted",
    ("turned", State.ROLLED_BACK): "rolled back",
}
"""What of a change's way is marked in the picture."""


class TooLong(Exception):
    """The story did not come to where it should in the hours it has."""


@dataclass
class Story:
    """Plays it."""

    settings: Settings
    seed: int = 7
    calls_an_hour: int = 480
    say: Callable[[str], None] = lambda _: None

    async def play(self) -> tuple[Played, Deployment]:
        """Play it all, and give the deployment for its record. Raises `TooLong`."""
        self.clock = FrozenClock(START_US)
        self.world = World(self.seed, self.clock.sleep)
        self.here = Deployment(self.settings, self.clock, self.seed, self.world)
        self.played = Played()
        await self._healthy()
        await self._degrades()
        await self._bargain()
        await self._turns()
        await self._hours(4)
        return self.played, self.here

    async def _healthy(self) -> None:
        self.say("A healthy day.")
        await self._hours(10)

    async def _degrades(self) -> None:
        self._event("birch degrades", "Birch answers worse, at twice the length. Every answer is still a 200.")
        self.world.change("birch", easy=0.55, hard=0.35, words=120, seconds=0.9)
        await self._until("a cycle", lambda: bool(self.here.store.changes.list(TENANT).items))
        found = self.here.store.changes.list(TENANT).items[0]
        cause = self.here.store.findings.get(TENANT, found.finding or "")
        self.say(f"hour {self._hour():5.1f}  {cause.sentence}")
        await self._until_state("degraded", found.id, State.KEPT)

    async def _bargain(self) -> None:
        await self._hours(2)
        self._event("elder proposed", "Somebody proposes elder: on record it is as good, at a quarter of the price.")
        await self._until_state("bargain", self._propose("elder").id, State.REJECTED)

    async def _turns(self) -> None:
        await self._hours(1)
        self._event("fir proposed", "Somebody proposes fir: better and cheaper, on record and in its trial.")
        change = self._propose("fir")
        await self._until_state("turned", change.id, State.WATCHING)
        self._event("fir degrades", "Fir, promoted, degrades.")
        self.world.change("fir", easy=0.5, hard=0.1)
        await self._until_state("turned", change.id, State.ROLLED_BACK)

    def _propose(self, serve: str) -> Change:
        payload = {"model": "birch", "serve": serve, "measured": "cost"}
        ann = Actor(kind="person", key="key_ann", role="admin", scopes=("admin",), tenant=TENANT)
        return self.here.loop.asked(TENANT, ann, "model_choice", "model:birch", payload)

    def _event(self, short: str, long: str) -> None:
        self.played.events.append((self._hour(), short))
        self.played.marks[short] = self._hour()
        self.say(f"hour {self._hour():5.1f}  {long}")

    def _hour(self) -> float:
        return (self.clock.now_us() - START_US) / HOUR_US

    async def _until_state(self, chapter: str, change: str, state: State) -> None:
        self.played.changes[chapter] = change
        before: State | None = None

        def there() -> bool:
            nonlocal before
            found = self.here.store.changes.get(TENANT, change)
            if found.state is not before:
                before = found.state
                if (mark := _MARKED.get((chapter, found.state))) is not None:
                    self.played.marks[mark] = self._hour()
                self.say(f"hour {self._hour():5.1f}  {found.target}: {found.state}{_why(found)}")
            if found.state is not state and found.state in ENDED:
                raise TooLong(f"{chapter}: {found.state} where {state} was to be: {found.reason}")
            return found.state is state

        await self._until(f"{chapter} {state}", there)

    async def _until(self, what: str, there: Callable[[], bool], hours: float = 48) -> None:
        end = self._hour() + hours
        while not there():
            if self._hour() > end:
                raise TooLong(f"No {what} within {hours} hours.")
            await self._step()

    async def _hours(self, hours: float) -> None:
        end = self._hour() + hours
        while self._hour() < end - 1e-9:
            await self._step()

    async def _step(self) -> None:
        """Play ten minutes, then let the worker work."""
        count = round(self.calls_an_hour * STEP_SECONDS / 3600)
        span = Span(self._hour())
        began = self.clock.now_us()
        for at in range(count):
            await self._ask(span)
            due = began + round((at + 1) / count * STEP_SECONDS * 1e6)
            self.clock.advance(max(0, due - self.clock.now_us()) / 1e6)
        self.played.spans.append(span)
        self.here.settle()

    async def _ask(self, span: Span) -> None:
        asked = self.world.question()
        body = {"model": asked.model, "messages": [{"role": "user", "content": asked.prompt}]}
        told = await self.here.call(body, **{"x-meliora-user": asked.user, "x-meliora-feature": asked.feature})
        if told.status != 200:
            raise RuntimeError(f"A call failed: {told.status} {told.body[:200]!r}")
        answer = json.loads(told.body)
        self.played.calls += 1
        span = span if asked.feature == FEATURE else Span(span.hour)
        right = self.world.is_right(asked.prompt, answer["choices"][0]["message"]["content"])
        span.calls += 1
        span.right += right
        span.cost_micros += self._cost(told.headers["x-meliora-model"], answer["usage"])
        thumb = self.world.thumb(right)
        if thumb is None:
            return
        span.words += 1
        span.ups += thumb == "thumbs_up"
        given = {"call_id": told.headers["x-meliora-call"], "feedback_type": thumb, "user_id": asked.user}
        heard = await self.here.api("POST", "/api/v1/learning/feedback", given)
        if heard.status != 200:
            raise RuntimeError(f"Feedback was refused: {heard.status} {heard.body[:200]!r}")

    def _cost(self, model: str, usage: dict[str, int]) -> float:
        """Give micro-dollars, by the price list that the application has."""
        price = self.settings.models[model].price
        assert price is not None and price.input is not None and price.output is not None
        return usage["prompt_tokens"] * price.input + usage["completion_tokens"] * price.output


def _why(change: Change) -> str:
    return f" ({change.reason})" if change.reason else ""


def settings_in(state_dir: Path) -> Settings:
    """Write the demo's settings file into its state directory, and give what it says. Raises `SettingsError`."""
    state_dir.mkdir(parents=True, exist_ok=True)
    shipped = Path(__file__).with_name("meliora.toml").read_text(encoding="utf-8")
    file = state_dir / "meliora.toml"
    file.write_text(f"{shipped}\n[server]\nstate_dir = {json.dumps(str(state_dir.resolve()))}\n", encoding="utf-8")
    return load(file, {})
