"""What a closed cycle leaves: the documented files, references and figures only, whole or not at all, and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from meliora.errors import Conflict, MissingExtra, NotFound, UpstreamError
from meliora.loop.acts import Acts
from meliora.loop.artifacts.archive import DONE, Archive
from meliora.loop.artifacts.documents import Run, Version, version_of
from meliora.loop.artifacts.facts import NOTE, MadeData, Reader
from meliora.loop.change import Change, Origin
from meliora.loop.cycle import Cycle
from meliora.loop.engine import Engine
from meliora.loop.house import House, Rules, TrialVerdict, WatchVerdict
from meliora.store import Store
from meliora.store.engine import connect
from meliora.testing import FrozenClock
from meliora.testing.loop import MemoryTrials, OpenGovernance, ScriptedJudge, ScriptedKind

TRIAL = {
    "split": [[40, 160, 0.2]],
    "verdict": {
        "primary": {"metric": {"name": "reward", "better": "higher", "relative": False}, "stages": []},
        "guardrails": [],
        "rules": {"alpha": 0.05},
        "looks": [],
    },
    "figures": [{"name": "reward", "effect": 0.12, "low": 0.03, "high": 0.21}],
}
BREACH = {"metric": "error_rate", "gate": "errors", "reading": {"value": 0.2}, "baseline": {"value": 0.01}}


def reported(tenant: str, finding: str, cycle: str) -> dict[str, Any]:
    return {"cycle_id": cycle, "trigger": "error_rate", "current_value": 0.2, "finding": finding}


def archive(root: Path, store: Store, **more: Any) -> Archive:
    reader = Reader(store.cycles, store.changes, reported, lambda cycle: 1_250_000, more.pop("augmented", _none))
    return Archive(root, reader, more.pop("now_us", lambda: 1_900_000_000_000_000), **more)


def _none(change: Change) -> None:
    return None


@dataclass
class Here:
    """A deployment whose cycles end as the test wants."""

    store: Store
    clock: FrozenClock
    root: Path
    database: Path
    kind: ScriptedKind = field(default_factory=ScriptedKind)

    def archive(self, **more: Any) -> Archive:
        return archive(self.root, self.store, now_us=self.clock.now_us, **more)

    def cycle(self, breach: dict[str, Any] | None = None) -> Cycle:
        made = self.store.cycles.open(
            "default",
            environment="production",
            origin=Origin("gate", "errors"),
            subject="errors",
            kinds=("scripted",),
            breach=breach,
        )
        assert made is not None
        return made

    def change(self, cycle: Cycle, *, judge: ScriptedJudge | None = None, seconds: float = 20) -> Change:
        """Take a change of the cycle to its end."""
        self.kind.serves.setdefault("thing", "v1")
        change = self.store.changes.add(
            "default",
            kind="scripted",
            target="thing",
            surface="scripted",
            environment="production",
            origin=cycle.origin,
            cycle=cycle.id,
        )
        better = TrialVerdict(
            outcome="better",
            sentence="wins",
            candidate_units=90,
            baseline_units=400,
            stage_units=90,
            evidence=TRIAL,
        )
        judge = judge or ScriptedJudge([better], [WatchVerdict(outcome="pass", sentence="as before", calls=100)])
        house = House(
            shelf=self.store.changes,
            kinds={"scripted": self.kind},
            governance=OpenGovernance(),
            judge=judge,
            trials=MemoryTrials(),
            finding=lambda tenant, finding: {"id": finding},
            diagnose=lambda change: ("fnd_1", {"sentence": "errors of a model"}),
            tell=lambda happened: None,
            owner="worker",
            rules=Rules(look_seconds=10),
        )
        engine = Engine(house)
        for _ in range(100):
            engine.step()
            found = self.store.changes.get("default", change.id)
            if found.due_us is None:
                return found
            self.clock.advance(seconds)
        raise AssertionError(found)

    def improved(self) -> Cycle:
        cycle = self.cycle(BREACH)
        self.change(cycle)
        return self.store.cycles.close("default", cycle.id, "improved")

    def read(self, cycle: Cycle) -> dict[str, bytes]:
        folder = self.root / cycle.id
        return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.fixture
def here(template: Path, tmp_path: Path) -> Iterator[Here]:
    database, clock = tmp_path / "meliora.db", FrozenClock()
    database.write_bytes(template.read_bytes())
    with Store(connect(f"sqlite:///{database}"), clock_us=clock.now_us) as store:
        yield Here(store, clock, tmp_path / "artifacts", database)


def test_p07_a_cycle_that_improved_leaves_the_documented_files(here: Here) -> None:
    cycle = here.improved()
    here.archive().make(cycle)
    manifest = json.loads((here.root / cycle.id / "manifest.json").read_text())
    assert set(manifest["files"]) == {
        "ab_test_results.json",
        "audit_record.json",
        "dataset_manifest.yaml",
        "dataset_references.json",
        "diagnostic_report.json",
        "helm_patch.yaml",
        f"mlflow_run_{cycle.id}/metrics",
        f"mlflow_run_{cycle.id}/model",
        "model_registry_ref",
    }
    assert set(manifest["absent"]) == {"augmented_dataset.csv", "dvc.lock", "mlflow"}
    for name, entry in manifest["files"].items():
        assert sha256((here.root / cycle.id / name).read_bytes()).hexdigest() == entry["sha256"]


def test_p08_the_diagnosis_is_the_findings_report(here: Here) -> None:
    cycle = here.improved()
    here.archive().make(cycle)
    assert json.loads(here.read(cycle)["diagnostic_report.json"]) == reported("default", "fnd_1", cycle.id)


def test_p09_the_dataset_manifest_has_its_fields_and_names_what_it_does_not_know_null(here: Here) -> None:
    cycle = here.improved()
    here.archive().make(cycle)
    files = here.read(cycle)
    found = yaml.safe_load(files["dataset_manifest.yaml"])
    assert found["dataset_id"] == f"ds_{sha256(files['dataset_references.json']).hexdigest()[:16]}"
    assert (found["cycle_id"], found["source"]["trigger"]) == (cycle.id, "errors")
    assert found["dvc"] == {"path": None, "hash": None}
    assert found["mlflow"] == {"run_id": None, "artifact_uri": None}
    assert found["target_tokens"] is None and found["statistics"]["diversity_score"] is None


def test_p10_the_audit_record_has_each_edge_its_evidence_by_hash_and_how_to_go_back(here: Here) -> None:
    cycle = here.improved()
    here.archive().make(cycle)
    found = json.loads(here.read(cycle)["audit_record.json"])
    assert found["trigger"] == {
        "type": "gate",
        "name": "errors",
        "metric": "error_rate",
        "value": 0.2,
        "baseline": 0.01,
    }
    assert [one["sequence"] for one in found["actions"]] == list(range(1, len(found["actions"]) + 1))
    assert (found["actions"][0]["type"], found["actions"][-1]["type"]) == ("observed", "kept")
    assert all(len(one["outputs"]["hash"]) == 64 for one in found["actions"])
    plans = [one["rollback_plan"] for one in found["actions"] if one["type"] == "delivering"]
    assert plans and all(plans)
    assert (found["approver"], found["total_cost_usd"], found["outcome"]) == ("system", 1.25, "improved")
    assert found["rollback_available"] is True


def test_the_arms_are_told_with_their_sizes_figures_and_rules(here: Here) -> None:
    cycle = here.improved()
    here.archive().make(cycle)
    (found,) = json.loads(here.read(cycle)["ab_test_results.json"])["tests"]
    assert found["verdict"] == {"outcome": "better", "sentence": "wins"}
    assert found["looks"][-1]["arms"] == [{"candidate_units": 40, "baseline_units": 160, "candidate_share": 0.2}]
    assert found["looks"][-1]["figures"] == TRIAL["figures"]
    assert [one["candidate_share"] for one in found["stages"]] == [0.05, 0.2]
    assert found["watch"] and found["state"] == "kept"


def test_a_cycle_that_found_nothing_names_all_that_is_not_there(here: Here) -> None:
    cycle = here.cycle()
    cycle = here.store.cycles.close("default", cycle.id, "unchanged")
    here.archive().make(cycle)
    checked = here.archive().check("default", cycle.id)
    assert set(checked.manifest.files) == {"audit_record.json"}
    assert checked.manifest.absent["helm_patch.yaml"] == "nothing was delivered"
    assert all(checked.manifest.absent.values())


def test_a_change_that_was_rejected_leaves_no_patch_and_nothing_to_roll_back(here: Here) -> None:
    cycle = here.cycle()
    here.kind.verdict = "failed"
    here.change(cycle)
    cycle = here.store.cycles.close("default", cycle.id, "unchanged")
    here.archive().make(cycle)
    files = here.read(cycle)
    assert "helm_patch.yaml" not in files and "dataset_manifest.yaml" in files
    assert json.loads(files["audit_record.json"])["rollback_available"] is False
    assert json.loads(files["audit_record.json"])["actions"][-1]["status"] == "rejected"


def test_a_price_that_is_unknown_is_null_in_the_record(here: Here) -> None:
    cycle = here.improved()
    reader = Reader(here.store.cycles, here.store.changes, reported, lambda cycle: None)
    Archive(here.root, reader, here.clock.now_us).make(cycle)
    assert json.loads(here.read(cycle)["audit_record.json"])["total_cost_usd"] is None


def test_an_open_cycle_has_no_artifacts(here: Here) -> None:
    cycle = here.cycle()
    with pytest.raises(Conflict, match="open"):
        here.archive().make(cycle)
    with pytest.raises(NotFound):
        here.archive().check("default", cycle.id)
    assert not here.archive().step()
    assert not (here.root / cycle.id).exists()


@pytest.mark.parametrize("most", [0, 1, 4, 9, 12])
def test_killed_in_the_middle_it_comes_to_the_same_bytes(here: Here, tmp_path: Path, most: int) -> None:
    cycle = here.improved()
    here.archive().closed(cycle, ())
    script = Path(__file__).with_name("killed.py")
    arguments = [str(here.database), str(here.root), cycle.id, str(most)]
    command = [sys.executable, "-m", "tests.loop.artifacts.killed", *arguments]
    assert subprocess.run(command, cwd=script.parents[3], check=False).returncode == -9
    assert not (here.root / cycle.id / "manifest.json").exists() or most == 12
    here.archive().make(cycle)
    untouched = archive(tmp_path / "other", here.store)
    untouched.make(cycle)
    other = {
        str(p.relative_to(tmp_path / "other" / cycle.id)): p.read_bytes() for p in _files(tmp_path / "other" / cycle.id)
    }
    assert here.read(cycle) == other
    assert {one.name for one in here.root.iterdir()} == {".lock", cycle.id}


def _files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


def test_what_happens_after_the_closing_changes_no_byte(here: Here, tmp_path: Path) -> None:
    cycle = here.improved()
    first = here.archive()
    first.closed(cycle, ())
    change = here.store.changes.of_cycle("default", cycle.id)[0]
    Acts(here.store.changes, MemoryTrials()).roll_back("default", change.id, actor="key_1", why="no")
    first.make(cycle)
    found = json.loads(here.read(cycle)["audit_record.json"])
    assert found["actions"][-1]["type"] == "kept"
    assert found["rollback_available"] is True


def test_a_worker_that_died_between_closing_and_writing_is_made_up_for(here: Here) -> None:
    cycle = here.improved()
    made = here.archive()
    made.step()
    noted = here.store.cycles.get("default", cycle.id).notes
    assert noted[DONE] == made.check("default", cycle.id).sha256
    assert NOTE in noted
    before = here.read(cycle)
    made.step()
    assert here.read(cycle) == before


def test_two_archives_over_one_folder_agree(here: Here) -> None:
    cycle = here.improved()
    assert here.archive().make(cycle) == here.archive().make(cycle)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "helm_patch.yaml").write_text("x: 1\n"), "helm_patch.yaml is not as it was written"),
        (lambda folder: (folder / "audit_record.json").unlink(), "audit_record.json is missing"),
        (lambda folder: (folder / "extra").write_text(""), "extra is not in the manifest"),
    ],
)
def test_a_file_that_was_touched_is_found(here: Here, spoil: Callable[[Path], Any], problem: str) -> None:
    cycle = here.improved()
    made = here.archive()
    made.step()
    assert made.check("default", cycle.id).whole
    spoil(here.root / cycle.id)
    assert made.check("default", cycle.id).problems == (problem,)


def test_what_it_tells_of_was_erased_so_a_folder_is_written_anew_and_noted(here: Here) -> None:
    cycle = here.improved()
    made = here.archive()
    made.step()
    before = here.read(cycle)
    here.store.cycles.renote("default", cycle.id, here.store.cycles.get("default", cycle.id).notes | {"other": 1})
    assert made.again("default", cycle.id)
    assert here.read(cycle) == before and made.check("default", cycle.id).whole
    (here.root / cycle.id / "diagnostic_report.json").write_text("a word that has to go")
    assert made.again("default", cycle.id)
    assert here.read(cycle) == before and made.check("default", cycle.id).whole
    assert here.store.cycles.get("default", cycle.id).notes["other"] == 1


def test_a_folder_of_another_machine_is_not_written_here(here: Here) -> None:
    cycle = here.improved()
    here.archive().step()
    elsewhere = archive(here.root / "elsewhere", here.store)
    assert not elsewhere.again("default", cycle.id)
    assert here.archive().check("default", cycle.id).whole
    assert not (here.root / "elsewhere").exists()


def test_a_manifest_that_was_made_to_fit_is_found_by_the_store(here: Here) -> None:
    cycle = here.improved()
    made = here.archive()
    made.step()
    manifest = here.root / cycle.id / "manifest.json"
    manifest.write_text(manifest.read_text().replace("nothing", "nothing "))
    (here.root / cycle.id / "manifest.json").write_text(manifest.read_text() + " ")
    assert "noted" in made.check("default", cycle.id).problems[-1]


def test_a_folder_that_cannot_be_written_is_tried_again_and_holds_up_no_other(here: Here) -> None:
    first, second = here.improved(), here.improved()
    (here.root / first.id).mkdir(parents=True)
    made = here.archive()
    with pytest.raises(Conflict, match="without a manifest"):
        made.step()
    assert made.check("default", second.id).whole
    (here.root / first.id).rmdir()
    made.step()
    assert made.check("default", first.id).whole


def test_a_kind_that_makes_data_has_it_among_the_files(here: Here) -> None:
    cycle, rows, trackers = here.improved(), b"id,label\n1,code\n", Trackers()
    said = {
        "dataset_id": "ds_1",
        "created_at": "2026-11-26T00:00:00+00:00",
        "source": {"type": "documents", "trigger": None, "base_documents": ["a"]},
        "method": ["typo"],
        "target_tokens": ["harbour"],
        "statistics": {"total_examples": 1, "avg_length": 2.0, "diversity_score": 0.5},
        "version": "abc",
    }
    made = MadeData(rows=rows, manifest=said)
    here.archive(augmented=lambda change: made, versions=lambda: trackers).make(cycle)
    files = here.read(cycle)
    assert files["augmented_dataset.csv"] == rows
    manifest = yaml.safe_load(files["dataset_manifest.yaml"])
    assert {name: manifest[name] for name in said if name != "source"} == {
        name: value for name, value in said.items() if name != "source"
    }
    assert manifest["source"] == {"type": "documents", "trigger": "errors", "base_documents": ["a"]}
    assert manifest["cycle_id"] == cycle.id
    assert manifest["references"]["sha256"] == sha256(files["dataset_references.json"]).hexdigest()
    tracked = version_of(f"dvc/{cycle.id}/augmented_dataset.csv", rows)
    assert manifest["dvc"] == {"path": tracked.path, "hash": tracked.hash}
    assert yaml.safe_load(files["dvc.lock"])["stages"]["dataset"]["outs"][0]["md5"] == tracked.hash


@dataclass
class Trackers:
    """MLflow and DVC as the archive sees them."""

    fails: bool = False
    runs: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)

    def run(self, cycle: str, figures: Sequence[dict[str, Any]], tags: dict[str, str]) -> Run:
        if self.fails:
            raise UpstreamError("it is gone")
        self.runs.append(cycle)
        return Run(run_id="abc", artifact_uri="mlflow-artifacts:/1/abc")

    def upload(self, run: Run, folder: Path) -> None:
        self.uploads.append(run.run_id)
        raise UpstreamError("the disk there is full")

    def track(self, cycle: str, name: str, body: bytes) -> Version:
        if self.fails:
            raise UpstreamError("it is gone")
        return version_of(f"dvc/{cycle}/{name}", body)


def test_with_trackers_their_references_stand_in_the_files(here: Here) -> None:
    cycle = here.improved()
    trackers = Trackers()
    made = here.archive(runs=lambda: trackers, versions=lambda: trackers)
    made.make(cycle)
    files = here.read(cycle)
    manifest = yaml.safe_load(files["dataset_manifest.yaml"])
    digest = md5(files["dataset_references.json"], usedforsecurity=False).hexdigest()
    assert manifest["mlflow"] == {"run_id": "abc", "artifact_uri": "mlflow-artifacts:/1/abc"}
    assert manifest["dvc"]["hash"] == digest
    assert yaml.safe_load(files["dvc.lock"])["stages"]["dataset"]["outs"][0]["md5"] == digest
    assert "mlflow_run_abc/metrics" in files
    assert trackers.uploads == ["abc"]
    assert made.check("default", cycle.id).whole


def test_trackers_that_fail_or_are_not_installed_cost_no_plain_file(here: Here) -> None:
    def missing() -> Trackers:
        raise MissingExtra("MLflow is not installed.", hint="pip install 'meliora[mlflow]'")

    cycle = here.improved()
    made = here.archive(runs=missing, versions=lambda: Trackers(fails=True))
    made.step()
    checked = made.check("default", cycle.id)
    assert checked.whole and f"mlflow_run_{cycle.id}/metrics" in checked.manifest.files
    assert checked.manifest.absent["dvc.lock"] == "DVC could not be used"
    assert checked.manifest.absent["mlflow"].startswith("MLflow could not be used")
