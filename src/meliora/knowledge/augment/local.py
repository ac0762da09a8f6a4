"""Trains a reranker on this machine: LambdaMART over what serves, with figures of queries that were held out. Implements `Trainer`.

The same data set, collection and seed give the same bytes; the model's file is named by its SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from meliora.errors import InvalidRequest, UpstreamError
from meliora.knowledge.augment.learning import Learnable
from meliora.knowledge.augment.trainers import REPORT, Left, Progress, Report, RunState, Stop, Tell, over, reported
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.index.base import View
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.ranking.examples import examples
from meliora.knowledge.ranking.heldout import HeldOut, held_out
from meliora.knowledge.ranking.model import CHOSEN, Boosting, Reranker
from meliora.knowledge.ranking.train import train
from meliora.knowledge.search.parts import Parts

Write = Callable[[Path, bytes], None]
"""Writes a file whole or not at all. Raises `OSError`."""
_LOOKED = 0.4
_HELD = 0.9
"""Shares of the work after which the candidates are known, and the figures."""


class LocalTrainer:
    """Trains over one state of an index and one configuration without its reranker."""

    name = "local"

    def __init__(
        self,
        view: View,
        config: SearchConfig,
        parts: Parts,
        seed: int,
        write: Write,
        boosting: Boosting = CHOSEN,
    ) -> None:
        self._view, self._parts, self._seed, self._write = view, parts, seed, write
        self._boosting = boosting
        self._config = msgspec.structs.replace(config, reranking=None)

    def train(self, data: Learnable, folder: Path, tell: Tell, stop: Stop) -> Report:
        """Train. Raises `MissingExtra`; too few queries that tell anything fail the run."""
        made = list(examples(_asked(data, tell, stop), self._view, self._config, self._parts, data.family))
        if stop():
            return self._over(data, folder, "stopped", "it was stopped before it had learned anything")
        try:
            tell(Progress(state="running", said="queries are held out and ranked", share=_LOOKED))
            found = held_out(made, self._boosting, seed=self._seed)
            if stop():
                return self._over(data, folder, "stopped", "it was stopped before the model was trained", found)
            tell(Progress(state="running", said="the model is trained on all", share=_HELD, metrics=found.figures()))
            sources = (data.version,)
            model = train(
                made, self._boosting, seed=self._seed, judgments=sources, figures=found.figures(), learned=data.texts
            )
        except InvalidRequest as error:
            return self._over(data, folder, "failed", error.message)
        said = "" if found.better else "it orders queries that it did not see no better than the fusion does"
        return self._over(data, folder, "finished", said, found, model)

    def progress(self, folder: Path) -> Progress:
        """Say how the run of a folder stands; unknown before its end, since it runs in the process that began it."""
        report = reported(folder)
        return Progress(state="unknown") if report is None else over(report)

    def _over(
        self,
        data: Learnable,
        folder: Path,
        state: RunState,
        said: str,
        found: HeldOut | None = None,
        model: Reranker | None = None,
    ) -> Report:
        body = b"" if model is None else model.write()
        name = "" if model is None else f"{model.sha256}.reranker"
        report = Report(
            trainer=self.name,
            dataset=data.name,
            version=data.version,
            state=state,
            said=said,
            queries=len(data.queries),
            left_out=data.left_out,
            metrics={} if found is None else found.figures(),
            held_out=found,
            features="" if model is None else model.head.schema,
            files=() if model is None else (Left(name=name, sha256=model.sha256, bytes=len(body)),),
        )
        try:
            if model is not None:
                self._write(folder / name, body)
            self._write(folder / REPORT, msgspec.json.encode(report))
        except OSError as error:
            raise UpstreamError(f"The model could not be written to {folder}: {error}"[:500]) from error
        return report


def _asked(data: Learnable, tell: Tell, stop: Stop) -> Iterator[JudgedQuery]:
    """Give the queries one by one, tell how far it is, and end where it is to stop."""
    count = len(data.queries)
    for at, query in enumerate(data.queries):
        if stop():
            return
        if at % max(1, count // 20) == 0:
            said = f"candidates of {at} of {count} queries are known"
            tell(Progress(state="running", said=said, share=_LOOKED * at / count))
        yield query
