"""A warm start: every model answers a sample of prompts, a scorer says how well, a policy is fitted to that and held against
what serves.

Everything that was paid for is written down before the next thing is asked, so that a run that was killed goes on where it
stood. Makes no call itself: how models are asked is passed in.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from meliora.errors import InvalidRequest, Overloaded, RateLimited, UpstreamError
from meliora.routing.learning.prompts import Prompt
from meliora.routing.learning.scorers import Sample, Scorer

CHARS_PER_TOKEN = 4.0
OUTPUT_TOKENS = 400
"""Tokens of an answer, in the estimate, where nothing is known of a model's answers."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the journal: an answer that was paid for, with `scorer` what that one says of it, or the prompt's `embedding`."""

    prompt: str
    model: str
    answer: str | None = None
    cost_micros: int | None = None
    scorer: str | None = None
    value: float | None = None
    reason: str = ""
    embedding: bytes | None = None
    """32-bit floats, little-endian."""


class Journal:
    """What a calibration has paid for, a line at once, each on the disk before it counts. To be used by `with`.

    A torn last line, which a kill leaves, is cut off. Raises `InvalidRequest` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[tuple[str, str], Entry] = {}
        self._scores: dict[tuple[str, str, str], Entry] = {}
        self._embeddings: dict[tuple[str, str], bytes] = {}
        self._file: BinaryIO | None = None

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            self._file = os.fdopen(descriptor, "r+b")
            whole = self._load(self._file.read())
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            self.__exit__()
            raise InvalidRequest(f"The journal {self.path} cannot be used: {error.strerror or error}.") from error
        except InvalidRequest:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def _load(self, content: bytes) -> int:
        """Take the whole lines; give where they end."""
        end = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:end].splitlines(), 1):
            try:
                self._keep(msgspec.json.decode(line, type=Entry))
            except msgspec.MsgspecError as error:
                hint = "Move it away, or repair the line; what it holds was paid for."
                raise InvalidRequest(f"{self.path}:{number} does not read: {error}.", hint=hint) from error
        return end

    def _keep(self, entry: Entry) -> None:
        if entry.embedding is not None:
            self._embeddings[entry.prompt, entry.model] = entry.embedding
        elif entry.scorer is None:
            self._answers[entry.prompt, entry.model] = entry
        else:
            self._scores[entry.prompt, entry.model, entry.scorer] = entry

    def add(self, *entries: Entry) -> None:
        """Write lines down for good."""
        assert self._file is not None
        self._file.write(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        self._file.flush()
        os.fsync(self._file.fileno())
        for entry in entries:
            self._keep(entry)

    def answer(self, prompt: Prompt, model: str) -> Entry | None:
        """Give a model's answer, None where it was not paid for yet."""
        return self._answers.get((prompt.id, model))

    def score(self, prompt: Prompt, model: str, scorer: str) -> Entry | None:
        """Give what a scorer said, None where it was not asked."""
        return self._scores.get((prompt.id, model, scorer))

    def embedding(self, prompt: Prompt, model: str) -> bytes | None:
        """Give a prompt's embedding by a model, None where it was not paid for yet."""
        return self._embeddings.get((prompt.id, model))


def journal_path(folder: Path, tenant: str, prompts: Sequence[Prompt]) -> Path:
    """Give where the journal of this sample lies: the same sample of the same tenant goes on in the same file."""
    digest = blake2b("\n".join([tenant, *sorted(prompt.id for prompt in prompts)]).encode(), digest_size=10)
    return folder / f"{digest.hexdigest()}.jsonl"


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """US$ a million tokens; None where it is not known."""

    input: float | None = None
    output: float | None = None

    @property
    def blended(self) -> float | None:
        """Three tokens of input to one of output."""
        return None if self.input is None or self.output is None else (3 * self.input + self.output) / 4


@dataclass(frozen=True, slots=True)
class Quote:
    """What a model's missing answers are likely to cost."""

    model: str
    calls: int
    usd: float | None
    """None where a price is not known."""


def quotes(
    prompts: Sequence[Prompt], prices: Mapping[str, ModelPrice], journal: Journal, output_tokens: int = OUTPUT_TOKENS
) -> list[Quote]:
    """Estimate what is still to be paid, model by model; scorers that ask a model come on top."""
    found = []
    for model, price in prices.items():
        missing = [prompt for prompt in prompts if journal.answer(prompt, model) is None]
        tokens = math.fsum(len(prompt.text) / CHARS_PER_TOKEN for prompt in missing)
        known = price.input is not None and price.output is not None
        usd = (tokens * (price.input or 0) + len(missing) * output_tokens * (price.output or 0)) / 1e6
        found.append(Quote(model, len(missing), usd if known or not missing else None))
    return found


Ask = Callable[[str, Prompt], tuple[str, int | None]]
"""Puts a prompt to a model and gives the answer and its cost in micro-dollars, None where not known. Raises `MelioraError`."""


class Step(msgspec.Struct, frozen=True):
    """One thing done: an answer or a score, or what went wrong with it."""

    model: str
    scored: bool
    error: str | None = None


@dataclass(slots=True)
class Run:
    """The answers and scores of a sample, as far as the journal does not have them."""

    prompts: Sequence[Prompt]
    models: Sequence[str]
    journal: Journal
    ask: Ask
    scorer: Scorer
    together: int = 8

    def missing(self) -> int:
        """Count the steps that are left."""
        answers = [(p, m) for p in self.prompts for m in self.models if self.journal.answer(p, m) is None]
        return len(answers) + sum(1 for _ in self._unscored()) + len(answers)

    def steps(self) -> Iterator[Step]:
        """Do what is left, several at once, and tell each step.

        What fails for the moment is told and left out; it comes with the next run. Raises what no repetition would mend: a key
        that is refused, a budget that is used up, a model that does not exist.
        """
        wanted = [(p, m) for p in self.prompts for m in self.models if self.journal.answer(p, m) is None]
        yield from self._each(wanted, self._answer, scored=False)
        yield from self._each(self._unscored(), self._score, scored=True)

    def _unscored(self) -> Iterator[tuple[Prompt, str]]:
        for prompt in self.prompts:
            for model in self.models:
                answered = self.journal.answer(prompt, model) is not None
                if answered and self.journal.score(prompt, model, self.scorer.name) is None:
                    yield prompt, model

    def _each(
        self, wanted: Iterable[tuple[Prompt, str]], do: Callable[[Prompt, str], Entry], *, scored: bool
    ) -> Iterator[Step]:
        left = iter(list(wanted))
        running: dict[Future[Entry], str] = {}
        with ThreadPoolExecutor(self.together) as pool:
            while True:
                for prompt, model in left:
                    running[pool.submit(do, prompt, model)] = model
                    if len(running) >= self.together:
                        break
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                try:
                    for one in done:
                        yield self._told(one, running.pop(one), scored)
                except BaseException:
                    self._save(running)
                    raise

    def _save(self, running: Iterable[Future[Entry]]) -> None:
        """Write down what is still under way when the run ends early: it will have been paid for."""
        for one in running:
            if one.exception() is None:
                self.journal.add(one.result())

    def _told(self, done: Future[Entry], model: str, scored: bool) -> Step:
        try:
            self.journal.add(done.result())
        except (UpstreamError, RateLimited, Overloaded) as error:
            return Step(model, scored, str(error))
        return Step(model, scored)

    def _answer(self, prompt: Prompt, model: str) -> Entry:
        text, cost = self.ask(model, prompt)
        return Entry(prompt.id, model, answer=text, cost_micros=cost)

    def _score(self, prompt: Prompt, model: str) -> Entry:
        answered = self.journal.answer(prompt, model)
        assert answered is not None
        found = self.scorer.score(Sample(prompt.text, answered.answer or "", prompt.expected))
        return Entry(prompt.id, model, scorer=self.scorer.name, value=found.value, reason=found.reason)


def table_of(prompts: Sequence[Prompt], models: Sequence[str], journal: Journal, scorer: str) -> Any:
    """Give the outcomes, `table.Outcomes`: nan where a model did not answer or the scorer could not say, and who said the same."""
    import numpy as np

    from meliora.routing.learned.cascade import final_answer
    from meliora.routing.learned.features import Context
    from meliora.routing.learning.table import Outcomes

    rewards = np.full((len(prompts), len(models)), np.nan)
    costs = np.full((len(prompts), len(models)), np.nan)
    said = np.full((len(prompts), len(models)), -1)
    for row, prompt in enumerate(prompts):
        heard: dict[str, int] = {}
        for column, model in enumerate(models):
            score, answer = journal.score(prompt, model, scorer), journal.answer(prompt, model)
            if score is not None and score.value is not None:
                rewards[row, column] = score.value
            if answer is not None and answer.cost_micros is not None:
                costs[row, column] = answer.cost_micros / 1e6
            if answer is not None and (final := final_answer(answer.answer or "")):
                said[row, column] = heard.setdefault(final, column)
    contexts = tuple(Context(prompt.task, 0.0, round(len(prompt.text) / CHARS_PER_TOKEN)) for prompt in prompts)
    return Outcomes(tuple(prompt.text for prompt in prompts), tuple(models), rewards, costs, contexts, said)
