"""The world: models that are right so often, users who notice. Knows nothing of Meliora but how its API is called.

Each model has a chance of being right at an easy and at a hard question, a length of answer and a time it takes; they change
when the story says so, and nobody is told. Users say of some answers whether they were right, and now and then press the wrong thumb.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from meliora.errors import UpstreamBroken
from meliora.gateway.upstream import Headers, UpstreamRequest

SPEAKS_UP = 0.7
"""Share of answers that their user says something about."""
WRONG_THUMB = 0.03
_SUM = re.compile(r"(\d+) apples and (\d+) pears")
_PRODUCT = re.compile(r"print\((\d+) \* (\d+)\)")


@dataclass(frozen=True)
class Behaviour:
    """How a model answers now."""

    easy: float
    """Chance of a right answer to an easy question."""
    hard: float
    words: int
    """Length of its answers."""
    seconds: float
    """Time it takes, on the average."""


MODELS = {
    "birch": Behaviour(easy=0.96, hard=0.88, words=60, seconds=0.6),
    "alder": Behaviour(easy=0.96, hard=0.90, words=60, seconds=0.5),
    "elder": Behaviour(easy=0.98, hard=0.30, words=40, seconds=0.25),
    "fir": Behaviour(easy=0.98, hard=0.95, words=50, seconds=0.4),
}
"""As they are on the first day."""


@dataclass(frozen=True)
class Feature:
    """A part of the application: which model it names, how much it is used, how hard its questions are."""

    name: str
    model: str
    share: float
    hard: float
    """Share of its questions that are hard. A prompt's words do not tell."""


FEATURES = (
    Feature("assistant", "birch", 0.55, 0.5),
    Feature("support", "alder", 0.20, 0.5),
    Feature("autocomplete", "elder", 0.12, 0.0),
    Feature("beta", "fir", 0.13, 0.5),
)


@dataclass(frozen=True)
class Question:
    """What a user asks of a feature."""

    user: str
    feature: str
    model: str
    prompt: str


@dataclass
class World:
    """Users, questions, models. `sleep` lets a model's time pass."""

    seed: int
    sleep: Callable[[float], Awaitable[None]]
    people: int = 600
    models: dict[str, Behaviour] = field(default_factory=lambda: dict(MODELS))

    def __post_init__(self) -> None:
        """Give askers, models and thumbs dice of their own, so that what one does moves no other."""
        self._asking, self._answering, self._judging = (random.Random(f"{self.seed}:{name}") for name in "abc")
        self.answers = 0

    def change(self, model: str, **to: float | int) -> None:
        """Let a model behave otherwise from now on. Nobody is told."""
        self.models[model] = replace(self.models[model], **to)

    def question(self) -> Question:
        """Let somebody ask something."""
        draw = self._asking
        feature = draw.choices(FEATURES, [one.share for one in FEATURES])[0]
        hard = draw.random() < feature.hard
        a, b = (draw.randrange(100, 1000) if hard else draw.randrange(10, 100) for _ in range(2))
        code = draw.random() < 0.5
        prompt = f"What does this Python code print? print({a} * {b})"
        if not code:
            prompt = f"What is the total of this order: {a} apples and {b} pears, please?"
        return Question(f"user-{draw.randrange(self.people)}", feature.name, feature.model, prompt)

    def is_right(self, prompt: str, answer: str) -> bool:
        """Tell whether an answer is right."""
        return answer.split(".")[0] == f"It is {truth(prompt)[0]}"

    def thumb(self, right: bool) -> str | None:
        """Let the user react: `thumbs_up`, `thumbs_down`, or nothing."""
        if self._judging.random() >= SPEAKS_UP:
            return None
        up = right is (self._judging.random() >= WRONG_THUMB)
        return "thumbs_up" if up else "thumbs_down"

    # The provider's side: an upstream as the gateway calls one.

    async def send(self, request: UpstreamRequest) -> Answer:
        """Answer a chat request by the model it names."""
        asked = json.loads(request.body)
        model, prompt = self.models[asked["model"]], asked["messages"][-1]["content"]
        draw = self._answering
        value, hard = truth(prompt)
        if draw.random() >= (model.hard if hard else model.easy):
            value += draw.randrange(1, 10)
        await self.sleep(model.seconds * draw.lognormvariate(0.0, 0.25))
        self.answers += 1
        words = max(4, round(model.words * draw.uniform(0.8, 1.2)))
        text = f"It is {value}. " + "indeed " * words
        return Answer(_body(f"chatcmpl-{self.answers}", asked["model"], text, len(prompt.split()) + 8, words + 4))

    def check(self, now: float) -> None:
        """Have nothing to time out."""

    busy = False

    def retire(self) -> None:
        """Hold nothing open."""

    async def close(self) -> None:
        """Hold nothing, so close nothing."""


class Answer:
    """An answer whole, as the gateway takes one."""

    def __init__(self, body: bytes) -> None:
        """Take its body."""
        self.status = 200
        self.headers: Headers = [(b"content-type", b"application/json")]
        self._rest = body

    async def chunk(self) -> bytes:
        """Give the body, then its end."""
        given, self._rest = self._rest, b""
        return given

    async def read(self, limit: int) -> bytes:
        """Give the body. Raises `UpstreamBroken` past `limit` bytes."""
        if len(self._rest) > limit:
            raise UpstreamBroken(f"The answer is longer than {limit} bytes.")
        return await self.chunk()

    def abort(self) -> None:
        """Drop it."""
        self._rest = b""


def truth(prompt: str) -> tuple[int, bool]:
    """Give the right answer to a question, and whether it is a hard one. Raises `ValueError` for another prompt."""
    if (found := _SUM.search(prompt)) is not None:
        a, b = int(found[1]), int(found[2])
        return a + b, a >= 100
    if (found := _PRODUCT.search(prompt)) is not None:
        a, b = int(found[1]), int(found[2])
        return a * b, a >= 100
    raise ValueError(f"Nobody asks {prompt!r} here.")


def _body(id: str, model: str, text: str, tokens_in: int, tokens_out: int) -> bytes:
    return json.dumps(
        {
            "id": id,
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": tokens_in,
                "completion_tokens": tokens_out,
                "total_tokens": tokens_in + tokens_out,
            },
        }
    ).encode()
