"""H2O LLM Studio: a configuration and tables that it takes as they are, and a run that is well only where it says so and left weights."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from meliora.errors import Conflict, InvalidRequest, MissingExtra
from meliora.integrations.h2o_llm_studio import process
from meliora.integrations.h2o_llm_studio.output import Output, flagged
from meliora.integrations.h2o_llm_studio.process import Limits, studio
from meliora.integrations.h2o_llm_studio.settings import tuning
from meliora.integrations.h2o_llm_studio.tables import Shown, tables
from meliora.integrations.h2o_llm_studio.trainer import H2oLlmStudio, prepare, progress
from meliora.knowledge.augment.learning import Learnable
from meliora.knowledge.augment.trainers import Progress, Report, reported
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.testing.clock import FrozenClock
from tests.integrations import studio_train

BACKBONE = "h2oai/h2o-danube3-500m-base"
SAID = {"llm_backbone": BACKBONE, "epochs": 2}


class Hurrying(FrozenClock):
    """A clock by which an hour goes by whenever it is looked at."""

    def monotonic(self) -> float:
        self.advance(3600.0)
        return super().monotonic()


def learned(count: int = 30, text: Callable[[int], str] = lambda at: f"what is {at}") -> Learnable:
    queries = tuple(
        JudgedQuery(id=f"q{at}", text=text(at), grades={f"d{at}": 2.0}, origin="judged") for at in range(count)
    )
    return Learnable(
        name="ds_abc",
        version="abc",
        queries=queries,
        families={one.id: one.id for one in queries},
        left_out={"test_set": 1},
    )


def show(query: JudgedQuery) -> Sequence[Shown]:
    at = int(query.id[1:])
    return [Shown(f"d{one}", f'It is said\nof {one},\r\n=that "it" is.') for one in (at + 1, at + 2, at, at + 3)]


def only_answers(query: JudgedQuery) -> Sequence[Shown]:
    return [one for one in show(query) if one.document in query.grades]


@dataclass
class Checkout:
    """A folder that stands for a checkout, and a run in another."""

    root: Path
    run: Path
    heard: list[Progress] = field(default_factory=list)

    def mode(self, **said: Any) -> None:
        (self.root / "mode.json").write_text(json.dumps(said))

    def trainer(self, clock: FrozenClock | None = None, limits: Limits | None = None, **said: Any) -> H2oLlmStudio:
        present = {**os.environ, "MELIORA_ADMIN_KEY": "secret", "OPENAI_API_KEY": "secret", "HF_HOME": "/models"}
        limits = limits or Limits()
        return H2oLlmStudio(studio(self.root), tuning({**SAID, **said}), show, clock or FrozenClock(), limits, present)

    def train(self, trainer: H2oLlmStudio | None = None, stop: Callable[[], bool] = lambda: False) -> Report:
        return (trainer or self.trainer()).train(learned(), self.run, self.heard.append, stop)

    @property
    def pid(self) -> int:
        return json.loads((self.run / "run.json").read_text())["pid"]

    @property
    def under_way(self) -> bool:
        """Whether it was told that it hangs, which is after all that is to go wrong."""
        return any(one.metrics.get("train loss") == studio_train.HANGING for one in self.heard)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "studio"
    (root / "llm_studio").mkdir(parents=True)
    shutil.copy(studio_train.__file__, root / "llm_studio" / "train.py")
    (root / ".venv" / "bin").mkdir(parents=True)
    python = root / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    found = Checkout(root, tmp_path / "run")
    found.mode()
    return found


def rows(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def test_a_run_is_followed_to_its_end_and_what_it_left_is_told(checkout: Checkout) -> None:
    report = checkout.train()
    assert (report.state, report.said) == ("finished", "Runtime: 00:00:07")
    assert report.metrics["AUC"] == 0.76 and report.metrics["validation loss"] == 0.5
    assert (report.metrics["train_rows"], report.metrics["validation_rows"]) == (96, 24)
    assert [one.name for one in report.files] == ["checkpoint.pth", "classification_head.pth", "cfg.yaml"]
    assert reported(checkout.run) == report
    assert progress(checkout.run) == checkout.trainer().progress(checkout.run)
    assert progress(checkout.run).share == 1.0


def test_how_it_goes_on_is_told_while_it_runs(checkout: Checkout) -> None:
    checkout.mode(hangs=True)
    report = checkout.train(stop=lambda: checkout.under_way)
    assert (report.state, report.said) == ("stopped", "it was stopped")
    last = checkout.heard[-1]
    assert (last.state, last.said, last.share) == ("running", "epoch 1 of 2, step 2 of 20", 0.05)
    assert last.metrics["train loss"] == 0.9 and "AUC" not in last.metrics


def test_it_is_started_by_its_own_command_with_what_it_needs_and_no_secret(checkout: Checkout) -> None:
    checkout.train()
    seen = json.loads((checkout.root / "seen.json").read_text())
    assert seen["argv"] == ["-Y", str(checkout.run / "cfg.yaml")]
    assert seen["environ"]["CUDA_VISIBLE_DEVICES"] == "0" and seen["environ"]["HF_HOME"] == "/models"
    assert "secret" not in seen["environ"].values()


def test_several_gpus_take_a_process_each(checkout: Checkout, tmp_path: Path) -> None:
    where = studio(checkout.root)
    said = process.command(where, tmp_path / "cfg.yaml", 2)
    assert said[1:4] == ["-m", "torch.distributed.run", "--nproc_per_node=2"]
    assert said[4:] == [str(where.script), "-Y", str(tmp_path / "cfg.yaml")]
    assert process.environment({}, ("1", "3"))["CUDA_VISIBLE_DEVICES"] == "1,3"


def test_every_field_is_one_that_it_has_and_every_value_one_that_it_takes(checkout: Checkout) -> None:
    prepare(learned(), show, tuning({**SAID, "learning_rate": 1e-6}), checkout.run)
    said = yaml.load((checkout.run / "cfg.yaml").read_text(), Loader=yaml.FullLoader)
    assert set(said) <= studio_train.TOP
    for section, known in studio_train.FIELDS.items():
        for name, value in said.get(section, {}).items():
            assert name in known, f"{section}.{name}"
            assert value in studio_train.VALUES.get(name, (value,)), f"{section}.{name}: {value}"
    assert (said["training"]["learning_rate"], said["training"]["differential_learning_rate"]) == (1e-6, 1e-7)
    assert studio_train.wrong(said, 1) == []


def test_the_same_data_gives_the_same_bytes_and_a_run_is_not_written_over(checkout: Checkout, tmp_path: Path) -> None:
    prepare(learned(), show, tuning(SAID), checkout.run)
    first = {path.name: path.read_bytes() for path in checkout.run.iterdir()}
    prepare(learned(), show, tuning(SAID), checkout.run)
    assert {path.name: path.read_bytes() for path in checkout.run.iterdir()} == first
    checkout.train()
    with pytest.raises(Conflict, match="a run in"):
        checkout.train()


def test_it_learns_answers_and_what_is_found_and_answers_not(checkout: Checkout) -> None:
    made = tables(learned(), show, tuning({**SAID, "negatives": 2}))
    header, *body = rows(made.train)
    assert header == ["query", "document", "label"] and b"\r" not in made.train
    assert len(body) == 24 * 3 and sum(int(row[2]) for row in body) == 24
    assert body[0][1].startswith("It is said of ") and body[0][1].endswith(', =that "it" is.')
    assert body[2] == [
        f"what is {body[0][0].split()[-1]}",
        f'It is said of {body[0][0].split()[-1]}, =that "it" is.',
        "1",
    ]


def test_a_long_document_does_not_push_its_query_out(checkout: Checkout) -> None:
    """What is more than `max_length` tokens is cut at the beginning of the prompt."""
    tuned = tuning({**SAID, "max_length": 64})
    made = tables(learned(), lambda query: [Shown(one.document, one.text * 99) for one in show(query)], tuned)
    assert max(len(row[1]) for row in rows(made.train)[1:]) == 64 * 4
    prepare(learned(), show, tuning(SAID), checkout.run)
    said = yaml.load((checkout.run / "cfg.yaml").read_text(), Loader=yaml.FullLoader)
    assert said["dataset"]["prompt_column"] == ["document", "query"]


def test_a_query_and_what_was_made_of_it_are_in_one_table() -> None:
    data = learned()
    families = {one.id: f"f{int(one.id[1:]) // 3}" for one in data.queries}
    together = Learnable(name="d", version="v", queries=data.queries, families=families, left_out={})
    made = tables(together, show, tuning({**SAID, "negatives": 2, "validation_size": 0.3}))
    of = {one.text: families[one.id] for one in data.queries}
    first, second = ({of[row[0]] for row in rows(body)[1:]} for body in (made.train, made.validation))
    assert first and second and not first & second


@pytest.mark.parametrize("word", ["null", "NA", "nan", "", "  "])
def test_what_it_would_read_as_nothing_is_left_out_and_counted(checkout: Checkout, word: str) -> None:
    data = learned(text=lambda at: word if at == 3 else f"what is {at}")
    counts = prepare(data, show, tuning(SAID), checkout.run)
    assert counts["rows_left_out"] == 4
    assert counts["train_rows"] + counts["validation_rows"] == 29 * 4


def test_too_little_to_learn_from_or_to_measure_by_is_refused(checkout: Checkout) -> None:
    with pytest.raises(InvalidRequest, match="held out; 10 rows"):
        prepare(learned(8), show, tuning(SAID), checkout.run)
    with pytest.raises(InvalidRequest, match="0 other documents"):
        tables(learned(), only_answers, tuning({**SAID, "validation_size": 0.5}))
    assert not checkout.run.exists()


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({}, "llm_backbone"),
        ({"llm_backbone": "../../etc"}, "no name of a model"),
        ({"llm_backbone": "a\nb: c"}, "no name of a model"),
        ({"llm_backbone": "a", "epochs": 11}, "epochs"),
        ({"llm_backbone": "a", "epochs": "many"}, "epochs"),
        ({"llm_backbone": "a", "lora_dropout": 0.9}, "lora_dropout"),
        ({"llm_backbone": "a", "backbone_dtype": "int2"}, "backbone_dtype"),
        ({"llm_backbone": "a", "max_length": 100}, "max_length"),
        ({"llm_backbone": "a", "gpus": []}, "gpus"),
        ({"llm_backbone": "a", "gpus": "all"}, "gpus"),
        ({"llm_backbone": "a", "gpus": "0,0"}, "twice"),
        ({"llm_backbone": "a", "epoch": 1}, "epoch"),
    ],
)
def test_what_it_would_not_take_is_refused_by_name(said: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        tuning(said)


def test_what_is_typed_is_read_as_what_a_field_takes() -> None:
    found = tuning({"llm_backbone": BACKBONE, "epochs": "3", "learning_rate": "2e-5", "gpus": "0,1", "seed": "7"})
    assert (found.epochs, found.learning_rate, found.gpus, found.seed) == (3, 2e-5, ("0", "1"), 7)


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(checkout: Checkout, tmp_path: Path) -> None:
    with pytest.raises(MissingExtra) as absent:
        studio(tmp_path / "nowhere")
    assert f"make -C {tmp_path / 'nowhere'} setup" in absent.value.hint and "git clone" in absent.value.hint
    (checkout.root / ".venv" / "bin" / "python").unlink()
    with pytest.raises(MissingExtra) as bare:
        studio(checkout.root)
    assert f"make -C {checkout.root} setup" in bare.value.hint
    assert studio(checkout.root, Path(sys.executable)).python == Path(sys.executable)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        (
            {"raises": "NaN caught in loss during training."},
            "LLMTrainingException: NaN caught in loss during training.",
        ),
        ({"cuda": 0}, "More GPUs selected than available"),
        ({"lacks": "deepspeed"}, "ModuleNotFoundError: No module named 'deepspeed'"),
        ({"unfinished": True}, "without saying that it finished"),
        ({"weightless": True}, "left no checkpoint.pth"),
    ],
)
def test_a_run_that_failed_tells_why(checkout: Checkout, mode: dict[str, Any], why: str) -> None:
    checkout.mode(**mode)
    report = checkout.train()
    assert report.state == "failed" and why in report.said and not report.files
    assert progress(checkout.run).state == "failed"


def test_a_process_that_somebody_kills_is_told_from_one_that_failed_by_itself(checkout: Checkout) -> None:
    checkout.mode(hangs=True)

    def stop() -> bool:
        if checkout.under_way:
            os.kill(checkout.pid, signal.SIGKILL)
        return False

    report = checkout.train(stop=stop)
    assert report.state == "failed" and "killed by SIGKILL" in report.said


def test_a_run_that_takes_too_long_or_says_nothing_is_ended(checkout: Checkout) -> None:
    checkout.mode(hangs=True)
    long = checkout.train(checkout.trainer(Hurrying(), Limits(seconds=5 * 3600, silent=1e9)))
    assert (long.state, long.said) == ("failed", "it took longer than 18000 s")
    assert not process.alive(checkout.run)
    checkout.run = checkout.run.with_name("second")
    silent = checkout.train(checkout.trainer(Hurrying(), Limits(seconds=1e9, silent=4 * 3600)))
    assert (silent.state, silent.said) == ("failed", "its log said nothing for 14400 s")


def test_what_is_stopped_is_gone_with_all_that_it_started(checkout: Checkout) -> None:
    checkout.mode(hangs=True, deaf=True, child=True)
    report = checkout.train(checkout.trainer(limits=Limits(grace=0.3)), stop=lambda: checkout.under_way)
    assert report.state == "stopped"
    assert process.alive(checkout.run) is False
    assert process.born(int((checkout.root / "child.pid").read_text())) == ""


def test_who_follows_dies_and_nothing_runs_on(checkout: Checkout) -> None:
    checkout.mode(hangs=True)

    def fails() -> bool:
        if checkout.under_way:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        checkout.train(stop=fails)
    assert process.alive(checkout.run) is False
    found = progress(checkout.run)
    assert (found.state, found.said) == ("failed", "its process is gone, and did not say that it finished")


def test_a_run_that_somebody_else_follows_is_told_by_its_process_and_its_log(checkout: Checkout) -> None:
    checkout.mode(hangs=True)
    seen: list[Progress] = []

    def stop() -> bool:
        if checkout.under_way:
            seen.append(progress(checkout.run))
        return bool(seen)

    checkout.train(stop=stop)
    assert (seen[0].state, seen[0].said, seen[0].share) == ("running", "epoch 1 of 2, step 2 of 20", 0.05)


def test_a_figure_that_was_no_number_last_is_not_told(checkout: Checkout) -> None:
    checkout.mode(nan=True)
    report = checkout.train()
    assert report.state == "finished" and "AUC" not in report.metrics and "validation loss" in report.metrics


@pytest.mark.parametrize("status", ["queued", "running", "finished", "failed", "stopped"])
def test_the_state_is_that_of_the_flag(tmp_path: Path, status: str) -> None:
    (tmp_path / "flags.json").write_text(json.dumps({"status": status, "info": "OOM\nerror"}))
    found = flagged(tmp_path)
    assert (found.state, found.said) == (status, "OOM error")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"status": "fine"}', '{"status": null}', "{}", "[" * 99_999])
def test_what_is_not_told_is_unknown(tmp_path: Path, body: str) -> None:
    assert progress(tmp_path / "absent").state == "unknown"
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "flags.json").write_text(body)
    assert progress(tmp_path).state == "unknown"


def test_one_failed_gpu_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text('{"status": "finished"}')
    (tmp_path / "flags1.json").write_text('{"status": "failed"}')
    assert flagged(tmp_path).state == "failed"


def lines(*said: str) -> bytes:
    return "".join(f"2026-07-10 10:00:00,123 - {one}\n" for one in said).encode()


def appended(path: Path, parts: Iterable[bytes], output: Output) -> None:
    for part in parts:
        with path.open("ab") as log:
            log.write(part)
        output.read()


def test_a_log_is_read_the_same_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    said = ("INFO: Training Epoch: 2 / 4", "INFO: train loss: 0.31:  50%|#####     | 10/20 [00:05<00:05,  1.9it/s]")
    body = (
        lines(*said, "INFO: Validation AUC: 0.91") + b"\xff\xfe not a line\n" + lines("INFO: Validation AUC: 0.")[:-1]
    )
    whole, piecewise = Output(tmp_path / "a"), Output(tmp_path / "b")
    for folder in "ab":
        (tmp_path / folder).mkdir()
    appended(tmp_path / "a" / "logs.log", [body], whole)
    appended(tmp_path / "b" / "logs.log", [body[at : at + 7] for at in range(0, len(body), 7)], piecewise)
    for one in (whole, piecewise):
        assert (one.share, one.metrics) == (0.375, {"train loss": 0.31, "AUC": 0.91})


def test_errors_of_a_log_are_told_with_what_was_raised(tmp_path: Path) -> None:
    output = Output(tmp_path)
    trace = b"Traceback (most recent call last):\n  File x\ntorch.cuda.OutOfMemoryError: CUDA out of memory.\n"
    appended(
        tmp_path / "logs.log",
        [lines("ERROR: No GPU selected: Choose one", "ERROR: Exception occurred during the run:"), trace],
        output,
    )
    assert output.failure == "No GPU selected: Choose one; torch.cuda.OutOfMemoryError: CUDA out of memory."
