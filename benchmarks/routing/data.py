"""Sets of public outcomes for the benchmark, split by a hash of the normalised prompt over all files at once.

Refuses rows without a prompt, and a prompt that is in training in one file and in test in another. What a row's `source` says is
kept for leaving sources out; no policy is ever shown it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from meliora.routing.learning.table import Outcomes

TEST_SHARE = 0.25
"""Of the prompts, where a directory is split into training and test here."""

NAMES = {
    "routerbench_subset": "routerbench",
    "zeroeval": "zeroeval",
    "mmlupro_models": "mmlupro",
    "routellm_mmlu": "mmlu",
    "routellm_gsm8k": "gsm8k",
    "pareto_val": "pareto",
    "pareto_test": "pareto",
}
"""Sets by the name that their figures carry; files of one set are put together."""


@dataclass(frozen=True)
class Set:
    """A benchmark's outcomes. `answers[model]` are the parsed answers of a model, where the set has them."""

    name: str
    outcomes: Outcomes
    sources: tuple[str, ...]
    answers: dict[str, tuple[str | None, ...]]

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def priced(self) -> bool:
        """Whether the cost of every model is known on some prompt."""
        return not np.isnan(self.outcomes.costs).all(axis=0).any()

    def take(self, rows: NDArray[np.int64]) -> Set:
        """Give the set of these rows."""
        chosen = [int(row) for row in rows]
        return Set(
            self.name,
            self.outcomes.take(chosen),
            tuple(self.sources[row] for row in chosen),
            {model: tuple(answers[row] for row in chosen) for model, answers in self.answers.items()},
        )


@dataclass(frozen=True)
class Split:
    """Training and test parts by the set's name; a set may be in one of them only."""

    train: dict[str, Set]
    test: dict[str, Set]
    dropped: int = 0
    """Training rows left out because the test part has their prompt."""


def load(folder: Path) -> dict[str, Set]:
    """Read every set in a folder. Raises `FileNotFoundError` where there is none."""
    found: dict[str, Set] = {}
    for file in sorted(folder.glob("*.parquet")):
        name = NAMES.get(file.stem)
        if name is None and (name := _like(file.stem)) is None:
            continue
        here = _read(file, name)
        if here is not None:
            found[name] = joined(found[name], here) if name in found else here
    if not found:
        raise FileNotFoundError(f"{folder} has no set that is known here: {', '.join(sorted(NAMES))} (.parquet)")
    return found


def split(sets: dict[str, Set]) -> Split:
    """Split every set by the hash of its prompts."""
    train, test = {}, {}
    for name, whole in sets.items():
        marks = placed(whole)
        train[name], test[name] = whole.take(np.flatnonzero(~marks)), whole.take(np.flatnonzero(marks))
    return Split(train, test)


def pair(train: dict[str, Set], test: dict[str, Set]) -> Split:
    """Put two folders' sets together; a training row whose prompt is in any test file is dropped."""
    there = {digest(prompt) for whole in test.values() for prompt in whole.outcomes.prompts}
    kept, dropped = {}, 0
    for name, whole in train.items():
        rows = np.array([digest(prompt) not in there for prompt in whole.outcomes.prompts], bool)
        dropped += int((~rows).sum())
        kept[name] = whole.take(np.flatnonzero(rows))
    return Split(kept, test, dropped)


def digest(prompt: str) -> bytes:
    """Give the hash of a prompt: case, form of letters and white space do not matter."""
    plain = " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def placed(whole: Set, salt: str = "") -> NDArray[np.bool_]:
    """Tell which prompts are in the test part; another `salt` gives another split."""
    return np.array([_place(digest(prompt), salt) < TEST_SHARE for prompt in whole.outcomes.prompts], bool)


def _place(mark: bytes, salt: str) -> float:
    salted = hashlib.sha256(mark + salt.encode()).digest() if salt else mark
    return int.from_bytes(salted[:8], "big") / 2**64


def _like(stem: str) -> str | None:
    """A file of another name belongs to a set when its name begins with the set's."""
    known = {**NAMES, **{name: name for name in NAMES.values()}}
    best = max((key for key in known if stem.startswith(key)), key=len, default=None)
    return None if best is None else known[best]


def _read(file: Path, name: str) -> Set | None:
    columns = parquet.read_table(file).to_pydict()
    models = tuple(column.removeprefix("reward|") for column in columns if column.startswith("reward|"))
    prompts = columns["prompt"]
    if not models:
        return None
    if any(not isinstance(prompt, str) for prompt in prompts):
        raise ValueError(f"{file.name} has rows without a prompt: leave them out of the file")
    nothing = [None] * len(prompts)
    outcomes = Outcomes(
        tuple(prompts),
        models,
        _numbers(columns[f"reward|{model}"] for model in models),
        _numbers(columns.get(f"cost|{model}", nothing) for model in models),
    )
    answers = {model: tuple(columns[f"pred|{model}"]) for model in models if f"pred|{model}" in columns}
    return Set(name, outcomes, tuple(str(source) for source in columns.get("source", [name] * len(prompts))), answers)


def _numbers(columns: Iterable[list[float | None]]) -> NDArray[np.float64]:
    return np.array([[np.nan if x is None else x for x in column] for column in columns], np.float64).T


def joined(one: Set, other: Set) -> Set:
    """Put two parts of a set together."""
    if one.outcomes.models != other.outcomes.models:
        raise ValueError(f"the files of {one.name} are about different models: put them in folders of their own")
    return Set(
        one.name,
        Outcomes(
            one.outcomes.prompts + other.outcomes.prompts,
            one.outcomes.models,
            np.concatenate((one.outcomes.rewards, other.outcomes.rewards)),
            np.concatenate((one.outcomes.costs, other.outcomes.costs)),
        ),
        one.sources + other.sources,
        {model: answers + other.answers[model] for model, answers in one.answers.items() if model in other.answers},
    )
