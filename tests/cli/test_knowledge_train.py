"""`meliora knowledge train`: from a data set's file to a candidate that serves nobody, and what the loop is asked for."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

import pytest

from meliora.cli import main
from tests.cli.governed import Typed, typed_  # noqa: F401
from tests.integrations import studio_train

SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
ABOUT = 12
"""Topics, each with words of its own."""


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(3))


@pytest.fixture
def data(typed: Typed, tmp_path: Path) -> Path:
    """Keep documents of a few topics, and give a data set: a topic's words are answered by its documents, whatever words they share."""
    rng = random.Random(5)
    topics = [[_word(rng) for _ in range(8)] for _ in range(ABOUT)]
    noise = [_word(rng) for _ in range(30)]
    documents, rows = [], []
    for number in range(96):
        words = [*rng.sample(topics[number % ABOUT], 5), *rng.sample(rng.choice(topics), 2), *rng.sample(noise, 8)]
        rng.shuffle(words)
        documents.append({"id": f"d{number}", "text": " ".join(words)})
    for number in range(70):
        topic = number % ABOUT
        query = " ".join([*rng.sample(topics[topic], 2), rng.choice(noise), f"{number}x"])
        rows += [{"query": query, "document": f"d{at}", "grade": 1} for at in range(topic, 96, ABOUT)]
    rows.append({"query": "not kept", "document": "elsewhere"})
    for name, lines in (("docs.jsonl", documents), ("data.jsonl", rows)):
        (tmp_path / name).write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert typed("knowledge", "index", "docs.jsonl")[0] == 0
    return tmp_path / "data.jsonl"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a folder that stands for a checkout of H2O LLM Studio, with an interpreter elsewhere."""
    root = tmp_path / "studio"
    (root / "llm_studio").mkdir(parents=True)
    shutil.copy(studio_train.__file__, root / "llm_studio" / "train.py")
    (root / "mode.json").write_text("{}")
    return root


def test_a_trained_model_is_a_candidate_that_answers_nothing(typed: Typed, data: Path) -> None:
    (said,) = typed.json("knowledge", "train", "--data", str(data))
    report = said["report"]
    assert (report["state"], report["queries"], report["left_out"]) == ("finished", 70, {"no_document": 1})
    assert said["snapshot"] == 1 and said["change"] is None
    made = Path(said["folder"]) / report["files"][0]["name"]
    assert made.name == f"{report['files'][0]['sha256']}.reranker" and made.is_file()
    assert report["held_out"]["queries"] == 70 and report["held_out"]["low"] <= report["held_out"]["difference"]
    assert typed("knowledge", "snapshots")[1].startswith("Snapshot 0 serves.")
    code, out, err = typed("knowledge", "train", "--data", str(data))
    assert code == 0 and "Snapshot 1 of default is a candidate: it answers no search yet." in out
    assert "`meliora knowledge propose 1 --collection default`" in out and "candidates of 0 of 70" in err
    assert "finished 100%" in typed("knowledge", "training", said["folder"])[1]


def test_a_candidate_is_proposed_to_the_loop_and_serves_nobody_before_it_is_proved(typed: Typed, data: Path) -> None:
    (said,) = typed.json("knowledge", "train", "--data", str(data), "--propose")
    (change,) = typed.json("changes", "list")
    assert (change["id"], change["kind"], change["origin"]["kind"]) == (said["change"], "reranker", "person")
    assert change["payload"]["snapshot"] == 1 and change["payload"]["forced"] is False
    assert typed("knowledge", "snapshots")[1].startswith("Snapshot 0 serves.")
    code, _, err = typed("knowledge", "propose", "7")
    assert code == 1 and "no snapshot 7" in err


def test_with_the_loop_off_nothing_is_proposed(typed: Typed, data: Path) -> None:
    Path("meliora.toml").write_text("[loop]\nenabled = false\n")
    code, _, err = typed("knowledge", "train", "--data", str(data), "--propose")
    assert code == 1 and "nothing would prove it" in err
    assert typed("knowledge", "snapshots")[1].startswith("Snapshot 0 serves.")


def test_queries_that_prove_changes_are_not_learned_from(typed: Typed, data: Path) -> None:
    lines = data.read_text().splitlines()
    judged = [json.loads(line) for line in lines[:16]]
    Path("judged.jsonl").write_text("\n".join(json.dumps(one | {"query": one["query"].upper()}) for one in judged))
    assert typed("knowledge", "judgments", "import", "judged.jsonl")[0] == 0
    (said,) = typed.json("knowledge", "train", "--data", str(data))
    assert said["report"]["left_out"] == {"no_document": 1, "test_set": 2} and said["report"]["queries"] == 68


def test_a_model_that_orders_no_better_is_no_candidate(typed: Typed, data: Path) -> None:
    """Who asks in a document's own words has it first: nothing is left to be ordered better."""
    documents = [json.loads(line) for line in data.with_name("docs.jsonl").read_text().splitlines()]
    found = [{"query": one["text"], "document": one["id"], "grade": 1} for one in documents[:70]]
    data.write_text("\n".join(map(json.dumps, found)))
    (said,) = typed.json("knowledge", "train", "--data", str(data))
    held = said["report"]["held_out"]
    assert held["after"]["value"] <= held["before"]["value"] == 1.0
    assert said["snapshot"] is None and not typed.json("knowledge", "snapshots")
    assert "It is no candidate: it orders" in typed("knowledge", "train", "--data", str(data))[1]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"query": "a"}\n', "Line 1 is no judgment"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "it has no line"),
        (b'{"query": "a", "document": "d1"}\n', "a reranker is trained from 30 or more"),
    ],
)
def test_bad_data_is_named_and_nothing_is_kept(typed: Typed, data: Path, body: bytes, named: str) -> None:
    data.write_bytes(body)
    code, out, err = typed("knowledge", "train", "--data", str(data))
    assert code in (1, 2) and named in out + err
    assert not typed.json("knowledge", "snapshots")


def test_a_collection_or_a_file_that_is_not_there_is_named(typed: Typed, data: Path) -> None:
    code, _, err = typed("knowledge", "train", "--data", str(data), "--collection", "defalt")
    assert code == 1 and "defalt" in err
    code, _, err = typed("knowledge", "train", "--data", "nowhere.jsonl")
    assert code == 2 and "nowhere.jsonl" in err
    code, _, err = typed("knowledge", "training", "nowhere")
    assert code == 2 and "nowhere is no folder" in err


def test_h2o_llm_studio_is_run_and_its_model_is_no_candidate(typed: Typed, data: Path, checkout: Path) -> None:
    asked = ("knowledge", "train", "--data", str(data), "--trainer", "h2o", "--studio", str(checkout))
    asked += ("--python", sys.executable, "--set", "llm_backbone=h2oai/h2o-danube3-500m-base")
    (said,) = typed.json(*asked, "--output", "run")
    report = said["report"]
    assert (report["state"], report["trainer"], said["snapshot"]) == ("finished", "h2o", None)
    assert report["metrics"]["AUC"] == 0.75 and report["files"][0]["name"] == "checkpoint.pth"
    assert "AUC" in typed("knowledge", "training", "run")[1]
    assert "There was a run" in typed(*asked, "--output", "run")[2]
    (checkout / "mode.json").write_text('{"lacks": "deepspeed"}')
    code, out, _ = typed(*asked, "--output", "second")
    assert code == 1 and "No module named 'deepspeed'" in out


def test_h2o_llm_studio_is_asked_for_by_name_and_by_what_it_takes(typed: Typed, data: Path, checkout: Path) -> None:
    asked = ("knowledge", "train", "--data", str(data), "--trainer", "h2o")
    assert "--studio FOLDER" in typed(*asked, "--set", "llm_backbone=a")[2]
    assert "git clone" in typed(*asked, "--studio", "nowhere", "--set", "llm_backbone=a")[2]
    there = (*asked, "--studio", str(checkout), "--python", sys.executable)
    assert "llm_backbone" in typed(*there)[2]
    assert "NAME=VALUE" in typed(*there, "--set", "llm_backbone")[2]
    assert "epochs" in typed(*there, "--set", "llm_backbone=a", "--set", "epochs=99")[2]


def test_what_h2o_llm_studio_is_run_by_can_be_written_for_elsewhere(typed: Typed, data: Path) -> None:
    asked = ("knowledge", "train", "--data", str(data), "--trainer", "h2o", "--prepare", "--output", "run")
    code, out, _ = typed(*asked, "--set", "llm_backbone=a/b")
    assert code == 0 and f"python llm_studio/train.py -Y {Path('run').absolute() / 'cfg.yaml'}" in out
    assert sorted(one.name for one in Path("run").glob("[!.]*")) == ["cfg.yaml", "train.csv", "validation.csv"]
    assert typed("knowledge", "training", "run")[1].startswith("unknown")
    assert main(["knowledge", "train", "--help"]) == 0
