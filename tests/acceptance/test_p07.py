"""P7: a closed cycle leaves its artifacts in a folder of its name, under their hashes."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from tests.acceptance.lives import living


def test_p07_a_cycle_that_improved_leaves_the_documented_files(tmp_path: Path, switched: None) -> None:
    """Each file is there, or named as absent with the reason; every hash holds."""
    with living(tmp_path) as life:
        cycle = life.breach()
        assert life.run().state == "kept"
        folder = tmp_path / "artifacts" / cycle.id
        found = life.artifact(cycle.id, "manifest.json")
        documented = {
            "diagnostic_report.json",
            "dataset_manifest.yaml",
            "augmented_dataset.csv",
            "ab_test_results.json",
            "helm_patch.yaml",
            "model_registry_ref",
            "dvc.lock",
            f"mlflow_run_{cycle.id}/model",
            f"mlflow_run_{cycle.id}/metrics",
        }
        assert documented <= {*found["files"], *found["absent"]}
        assert all(found["absent"].values()) and "ab_test_results.json" in found["files"]
        for name, entry in found["files"].items():
            assert sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]
        assert life.loop.archive.check("default", cycle.id).whole
