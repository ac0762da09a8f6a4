"""P9: a made data set says what it is made of, how, how much it is and how varied; what is not known is null."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from meliora.knowledge.augment import manifest
from meliora.knowledge.augment.examples import Source
from meliora.knowledge.augment.make import Means, make
from meliora.knowledge.augment.quality import ForbiddenQueries
from tests.acceptance.knowing import kept
from tests.server.house import control_house


def test_p09_a_manifest_has_the_documented_fields_and_one_version_for_the_same_rows() -> None:
    sources = [Source(document="d", query="frozen water pipes burst", text="Frozen water pipes burst in winter.")]
    made = make(sources, ("typo",), ForbiddenQueries([]), Means(), seed=3, targets=("pipes",))
    about = manifest.Origin(type="augmentation", trigger="search_success", base_documents=("d",))
    said = msgspec.to_builtins(manifest.describe(made, about, 0, cycle="si_1", targets=("pipes",)))
    assert {
        "dataset_id",
        "cycle_id",
        "created_at",
        "source",
        "method",
        "target_tokens",
        "statistics",
        "dvc",
        "mlflow",
    } <= set(said)
    assert set(said["statistics"]) == {"total_examples", "avg_length", "diversity_score"}
    assert said["statistics"]["total_examples"] == len(made.examples) > 0
    assert said["dvc"]["hash"] is None and said["mlflow"]["run_id"] is None
    again = msgspec.to_builtins(manifest.describe(made, about, 9, cycle="si_2", targets=("pipes",)))
    assert again["dataset_id"] == said["dataset_id"]


def test_p09_the_manifest_of_a_collection_s_set_is_a_file(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        text = "# Storm warnings on the pier\n\nA red lantern on the pier means storm. Boats leave the pier early."
        client = kept(house, [{"id": "storms", "text": text}])
        made = client.post("/api/v1/knowledge/datasets", json={"tokens": ["pier"]}).json()["dataset"]
        said = yaml.safe_load(client.get(f"/api/v1/knowledge/datasets/{made['id']}/file?format=manifest").text)
        assert said["dataset_id"] == made["id"] and said["cycle_id"] is None
        assert said["source"]["base_documents"] == ["storms"] and said["target_tokens"] == ["pier"]
        assert said["statistics"]["total_examples"] == made["examples"] > 0
        assert said["statistics"]["avg_length"] > 1 and said["statistics"]["diversity_score"] == made["diversity_score"]
