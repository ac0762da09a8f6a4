"""MLflow and DVC by the few calls that are made of them: a repetition makes nothing twice, and whatever they raise is one error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meliora.errors import MissingExtra, UpstreamError
from meliora.integrations.dvc import Dvc
from meliora.integrations.mlflow import Mlflow
from meliora.loop.artifacts.documents import Run

FIGURES = [
    {"change": "chg_1", "source": "proof", "name": "gain (%)", "value": 0.2, "low": 0.1, "high": 0.3},
    {"change": "chg_1", "source": "trial", "name": "reward", "value": None, "low": float("nan"), "high": None},
]


@dataclass
class Client:
    """`mlflow.tracking.MlflowClient`, 3.x."""

    experiments: dict[str, str] = field(default_factory=dict)
    runs: list[Any] = field(default_factory=list)
    metrics: list[tuple[str, str, float]] = field(default_factory=list)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    raises: Exception | None = None

    def get_experiment_by_name(self, name: str) -> Any:
        if self.raises is not None:
            raise self.raises
        known = self.experiments.get(name)
        return None if known is None else SimpleNamespace(experiment_id=known)

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = str(len(self.experiments) + 1)
        return self.experiments[name]

    def search_runs(self, experiments: list[str], filter_string: str, max_results: int) -> list[Any]:
        wanted = filter_string.split("'")[1]
        return [run for run in self.runs if run.tags["meliora.cycle"] == wanted][:max_results]

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        number = str(len(self.runs) + 1)
        info = SimpleNamespace(run_id=f"run{number}", artifact_uri=f"mlflow-artifacts:/{experiment}/run{number}")
        run = SimpleNamespace(info=info, tags=tags, name=run_name)
        self.runs.append(run)
        return run

    def log_metric(self, run_id: str, name: str, value: float) -> None:
        self.metrics.append((run_id, name, value))

    def set_terminated(self, run_id: str) -> None:
        self.ended.append(run_id)

    def log_artifacts(self, run_id: str, folder: str) -> None:
        if self.raises is not None:
            raise self.raises
        self.uploads.append((run_id, folder))


def test_a_cycle_is_one_run_however_often_it_is_asked_for() -> None:
    client = Client()
    mlflow = Mlflow(client, "meliora")
    first = mlflow.run("si_2026_11_26_001", FIGURES, {"outcome": "improved"})
    assert mlflow.run("si_2026_11_26_001", FIGURES, {"outcome": "improved"}) == first
    assert mlflow.run("si_2026_11_26_002", [], {}) != first
    assert first == Run(run_id="run1", artifact_uri="mlflow-artifacts:/1/run1")
    assert (len(client.runs), len(client.experiments)) == (2, 1)
    assert client.runs[0].tags == {"meliora.cycle": "si_2026_11_26_001", "meliora.outcome": "improved"}


def test_figures_are_metrics_by_names_that_mlflow_takes_and_what_was_not_measured_is_left_out() -> None:
    client = Client()
    Mlflow(client, "meliora").run("si_1", FIGURES, {})
    assert client.metrics == [
        ("run1", "proof.gain ___", 0.2),
        ("run1", "proof.gain ___.low", 0.1),
        ("run1", "proof.gain ___.high", 0.3),
    ]


def test_whatever_mlflow_raises_is_one_error(tmp_path: Path) -> None:
    mlflow = Mlflow(Client(raises=RuntimeError("no server")), "meliora")
    with pytest.raises(UpstreamError, match="no server"):
        mlflow.run("si_1", [], {})
    with pytest.raises(UpstreamError, match="no server"):
        mlflow.upload(Run(run_id="r", artifact_uri="u"), tmp_path)


class Repository:
    """`dvc.repo.Repo`, 3.x."""

    other_hash = False

    def __init__(self, root: str) -> None:
        assert (Path(root) / ".dvc").is_dir()

    @classmethod
    @contextmanager
    def init(cls, root: str, *, no_scm: bool) -> Iterator[Repository]:
        assert no_scm
        (Path(root) / ".dvc").mkdir()
        yield cls(root)

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, path: str) -> None:
        digest = "0" * 32 if self.other_hash else md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()
        Path(f"{path}.dvc").write_text(f"outs:\n- md5: {digest}\n")


def test_a_data_set_is_kept_under_its_cycle_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    dvc = Dvc(tmp_path / "dvc", Repository)
    first = dvc.track("si_1", "data.json", b"{}\n")
    assert dvc.track("si_1", "data.json", b"{}\n") == first
    assert (first.path, first.size) == ("dvc/si_1/data.json", 3)
    assert (tmp_path / "dvc" / "si_1" / "data.json").read_bytes() == b"{}\n"


def test_a_hash_that_is_not_the_contents_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Repository, "other_hash", True)
    with pytest.raises(UpstreamError, match="another hash"):
        Dvc(tmp_path / "dvc", Repository).track("si_1", "data.json", b"{}\n")


def test_whatever_dvc_raises_is_one_error(tmp_path: Path) -> None:
    def broken(root: str) -> None:
        raise RuntimeError("the cache is broken")

    (tmp_path / ".dvc").mkdir()
    with pytest.raises(UpstreamError, match="the cache is broken"):
        Dvc(tmp_path, broken).track("si_1", "data.json", b"{}\n")


@pytest.mark.parametrize(
    ("module", "make"), [("mlflow.tracking", lambda path: Mlflow.at("http://x", "e")), ("dvc.repo", Dvc.at)]
)
def test_what_is_not_installed_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, make: Any
) -> None:
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    with pytest.raises(MissingExtra, match=r"pip install 'meliora\["):
        make(tmp_path)
