"""Cycles as runs of MLflow, one a cycle: found by its tag before it is made, so that a repetition makes no second one.

Needs the extra `mlflow`. Whatever MLflow raises becomes one error, which costs the reference and nothing else.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meliora.errors import MissingExtra, UpstreamError
from meliora.loop.artifacts.documents import Run

TAG = "meliora.cycle"


class Mlflow:
    """Speaks to a tracking server by MLflow's own client."""

    def __init__(self, client: Any, experiment: str) -> None:
        self._client = client
        self._experiment = experiment

    @classmethod
    def at(cls, uri: str, experiment: str) -> Mlflow:
        """Make a client. Raises `MissingExtra` without MLflow."""
        try:
            tracking: Any = importlib.import_module("mlflow.tracking")
        except ImportError as error:
            raise MissingExtra("MLflow is not installed.", hint="pip install 'meliora[mlflow]'") from error
        with _ours():
            return cls(tracking.MlflowClient(tracking_uri=uri), experiment)

    def run(self, cycle: str, figures: Sequence[dict[str, Any]], tags: dict[str, str]) -> Run:
        """Give the run of a cycle with its figures, made where there is none yet. Raises `UpstreamError`."""
        with _ours():
            experiment = self._experiment_id()
            found = self._client.search_runs([experiment], filter_string=f"tags.`{TAG}` = '{cycle}'", max_results=1)
            run = found[0] if found else self._made(experiment, cycle, tags)
            run_id = str(run.info.run_id)
            for name, value in _metrics(figures):
                self._client.log_metric(run_id, name, value)
            self._client.set_terminated(run_id)
            return Run(run_id=run_id, artifact_uri=str(run.info.artifact_uri))

    def upload(self, run: Run, folder: Path) -> None:
        """Hand a cycle's files over; a repetition replaces them. Raises `UpstreamError`."""
        with _ours():
            self._client.log_artifacts(run.run_id, str(folder))

    def _experiment_id(self) -> str:
        known = self._client.get_experiment_by_name(self._experiment)
        return str(self._client.create_experiment(self._experiment) if known is None else known.experiment_id)

    def _made(self, experiment: str, cycle: str, tags: dict[str, str]) -> Any:
        named = {f"meliora.{name}": value for name, value in tags.items()}
        return self._client.create_run(experiment, run_name=cycle, tags={TAG: cycle, **named})


def _metrics(figures: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Give figures as MLflow's metrics, with the ends of their intervals; what was not measured is left out."""
    for figure in figures:
        name = "".join(c if c.isalnum() or c in "_-. /" else "_" for c in f"{figure['source']}.{figure['name']}")
        for part, key in (("", "value"), (".low", "low"), (".high", "high")):
            value = figure.get(key)
            if isinstance(value, int | float) and math.isfinite(value):
                yield f"{name}{part}", float(value)


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow raises its own, its HTTP client's and the system's
        raise UpstreamError(f"MLflow: {type(error).__name__}: {error}"[:500]) from error
