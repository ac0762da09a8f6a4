"""H2O LLM Studio as a trainer: writes tables and configuration, runs it, follows it, and reports what it left. Unpickles nothing."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import msgspec

from meliora.clock import Clock
from meliora.errors import Conflict, UpstreamError
from meliora.integrations.h2o_llm_studio import process
from meliora.integrations.h2o_llm_studio.output import CHECKPOINT, LOG, Output, flagged, raised
from meliora.integrations.h2o_llm_studio.process import CONSOLE, Ended, Limits, Studio
from meliora.integrations.h2o_llm_studio.settings import Tuning, configuration
from meliora.integrations.h2o_llm_studio.tables import Show, tables
from meliora.knowledge.augment.learning import Learnable
from meliora.knowledge.augment.trainers import (
    REPORT,
    Left,
    Progress,
    Report,
    RunState,
    Stop,
    Tell,
    left,
    over,
    reported,
)
from meliora.loop.artifacts.folder import replace
from meliora.loop.artifacts.plain import to_yaml

CONFIG, TRAIN, VALIDATION, OUTPUT = "cfg.yaml", "train.csv", "validation.csv", "output"
_KEPT = (CHECKPOINT, "classification_head.pth", "cfg.yaml")
"""Of the output: weights, those of the head, and the configuration as it was run."""


class H2oLlmStudio:
    """Runs a checkout of H2O LLM Studio. Implements `Trainer`."""

    name = "h2o"

    def __init__(
        self, where: Studio, tuned: Tuning, show: Show, clock: Clock, limits: Limits, present: Mapping[str, str]
    ) -> None:
        """`show` gives the documents of a query, `present` is the environment of this process."""
        self._where, self._tuned, self._show = where, tuned, show
        self._clock, self._limits, self._present = clock, limits, present

    def train(self, data: Learnable, folder: Path, tell: Tell, stop: Stop) -> Report:
        """Prepare and run. Raises what `prepare` raises, and `UpstreamError` where it cannot be started."""
        rows = prepare(data, self._show, self._tuned, folder)
        root = folder.absolute()
        output = Output(root / OUTPUT)

        def heard() -> None:
            tell(Progress(state="running", said=output.said, share=output.share, metrics=dict(output.metrics)))

        tell(Progress(state="running", said="H2O LLM Studio starts", metrics=rows))
        gpus = self._tuned.gpus
        said = process.command(self._where, root / CONFIG, len(gpus))
        given = process.environment(self._present, gpus)
        ended = process.run(said, root, self._where, given, output, self._limits, self._clock, heard, stop)
        state, why = _came_to(ended, output, root)
        files: tuple[Left, ...] = ()
        if state == "finished":
            files = tuple(left(root / OUTPUT / one, one) for one in _KEPT if (root / OUTPUT / one).is_file())
        report = Report(
            trainer=self.name,
            dataset=data.name,
            version=data.version,
            state=state,
            said=why,
            queries=len(data.queries),
            left_out=data.left_out,
            metrics=rows | output.metrics,
            files=files,
        )
        try:
            replace(root / REPORT, msgspec.json.encode(report))
        except OSError as error:
            raise UpstreamError(f"The report could not be written: {error}"[:500]) from error
        return report

    def progress(self, folder: Path) -> Progress:
        """Say how the run of a folder stands."""
        return progress(folder)


def prepare(data: Learnable, show: Show, tuned: Tuning, folder: Path) -> dict[str, float]:
    """Write tables and configuration, and give how many rows they have; the same data, the same bytes.

    Raises `InvalidRequest` for too little data, `Conflict` where a run was in the folder already, `UpstreamError` where it cannot
    be written.
    """
    root = folder.absolute()
    if (root / OUTPUT / LOG).exists() or (root / REPORT).exists():
        raise Conflict(f"There was a run in {root} already.", hint="Give another folder, or move that one away.")
    made = tables(data, show, tuned)
    config = configuration(data.name, root / TRAIN, root / VALIDATION, root / OUTPUT, tuned)
    try:
        replace(root / TRAIN, made.train)
        replace(root / VALIDATION, made.validation)
        replace(root / CONFIG, to_yaml(config))
    except OSError as error:
        raise UpstreamError(f"H2O LLM Studio's configuration could not be written: {error}"[:500]) from error
    rows = {"train_rows": made.rows[0], "validation_rows": made.rows[1], "rows_left_out": made.left_out}
    return {name: float(count) for name, count in rows.items()}


def progress(folder: Path) -> Progress:
    """Say how the run of a folder stands, whoever began it: its report, else its flags, its process and its log.

    A run whose process is gone without a word that it finished has failed. Raises `UpstreamError` for a damaged report.
    """
    report = reported(folder)
    if report is not None:
        return over(report)
    output = Output(folder / OUTPUT)
    output.read()
    flags, runs = flagged(folder / OUTPUT), process.alive(folder)
    state, said = flags.state, flags.said or (output.said if runs else "")
    if state not in ("finished", "failed") and runs is not None:
        state = "running" if runs else "failed"
        said = said if runs else output.failure or "its process is gone, and did not say that it finished"
    return Progress(state=state, said=said, share=output.share, metrics=dict(output.metrics))


def _came_to(ended: Ended, output: Output, root: Path) -> tuple[RunState, str]:
    """Say what a run came to. Only one that ended well, said so and left its weights has finished."""
    flags = flagged(root / OUTPUT)
    if ended.why:
        return ("stopped" if ended.stopped else "failed"), ended.why
    if flags.state == "failed":
        return "failed", output.failure or flags.said
    if ended.code < 0:
        by = signal.Signals(-ended.code).name if -ended.code in set(signal.Signals) else f"signal {-ended.code}"
        return "failed", output.failure or f"it was killed by {by}: by a person, or for want of memory"
    if ended.code:
        return "failed", output.failure or raised(root / CONSOLE) or f"it ended with exit code {ended.code}"
    if flags.state != "finished":
        return "failed", output.failure or "it ended without saying that it finished"
    if not (root / OUTPUT / CHECKPOINT).is_file():
        return "failed", f"it said that it finished, and left no {CHECKPOINT}"
    return "finished", flags.said
