"""Plays `llm_studio/train.py` of H2O LLM Studio 1.14 without a model: command line, configuration, tables, log, flags, ways to end.

Run as a script in a process of its own, in a folder that stands for a checkout; `mode.json` there says what is to go wrong.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FIELDS: dict[str, frozenset[str]] = {
    "architecture": frozenset(
        ("backbone_dtype", "gradient_checkpointing", "intermediate_dropout", "pretrained", "pretrained_weights")
    ),
    "augmentation": frozenset(
        ("neftune_noise_alpha", "random_parent_probability", "skip_parent_probability", "token_mask_probability")
    ),
    "dataset": frozenset(
        (
            *("add_eos_token_to_answer", "add_eos_token_to_prompt", "add_eos_token_to_system", "answer_column"),
            *("chatbot_author", "chatbot_name", "data_sample", "data_sample_choice", "id_column"),
            *("limit_chained_samples", "mask_prompt_labels", "num_classes", "only_last_answer", "parent_id_column"),
            *("personalize", "prompt_column", "prompt_column_separator", "system_column", "text_answer_separator"),
            *("text_prompt_start", "text_system_start", "train_dataframe", "validation_dataframe"),
            *("validation_size", "validation_strategy"),
        )
    ),
    "environment": frozenset(
        (
            *("compile_model", "deepspeed_allgather_bucket_size", "deepspeed_method", "deepspeed_reduce_bucket_size"),
            *("deepspeed_stage3_param_persistence_threshold", "deepspeed_stage3_prefetch_bucket_size"),
            *("find_unused_parameters", "gpus", "huggingface_branch", "mixed_precision", "mixed_precision_dtype"),
            *("number_of_workers", "seed", "trust_remote_code", "use_deepspeed"),
        )
    ),
    "logging": frozenset(
        ("log_all_ranks", "log_step_size", "logger", "neptune_project", "wandb_entity", "wandb_project")
    ),
    "prediction": frozenset(("batch_size_inference", "metric")),
    "tokenizer": frozenset(("add_prompt_answer_tokens", "max_length", "padding_quantile", "tokenizer_kwargs")),
    "training": frozenset(
        (
            *("attention_implementation", "batch_size", "differential_learning_rate"),
            *("differential_learning_rate_layers", "drop_last_batch", "epochs", "evaluate_before_training"),
            *("evaluation_epochs", "freeze_layers", "grad_accumulation", "gradient_clip", "learning_rate", "lora"),
            *("lora_alpha", "lora_dropout", "lora_r", "lora_target_modules", "lora_unfreeze_layers"),
            *("loss_function", "min_learning_rate_ratio", "optimizer", "save_checkpoint", "schedule"),
            *("train_validation_data", "use_dora", "use_rslora", "warmup_epochs", "weight_decay"),
        )
    ),
}
"""Of `text_causal_classification_modeling`; others are warned of and dropped."""
TOP = frozenset(("experiment_name", "llm_backbone", "output_directory", "problem_type", *FIELDS))
VALUES: dict[str, tuple[Any, ...]] = {
    "backbone_dtype": ("float32", "bfloat16", "float16", "int8", "int4"),
    "loss_function": ("BinaryCrossEntropyLoss", "CrossEntropyLoss"),
    "metric": ("AUC", "Accuracy", "LogLoss"),
    "mixed_precision_dtype": ("bfloat16", "float16"),
    "optimizer": ("Adadelta", "Adam", "AdamW", "AdamW8bit", "RMSprop", "SGD"),
    "save_checkpoint": ("last", "best", "each_evaluation_epoch", "disable"),
    "schedule": ("Constant", "Cosine", "Linear"),
    "validation_strategy": ("custom", "automatic"),
}
MISSING = ("", "#N/A", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "<NA>")
HANGING = 0.9
"""The loss that is told before it hangs."""
log = logging.getLogger(__name__)


class LLMDataException(Exception):
    """The data cannot be learned from."""


class LLMTrainingException(Exception):
    """The training cannot go on."""


def loaded(path: str) -> dict[str, Any]:
    """Read a configuration as `load_config_yaml` does: what is unknown is dropped with a warning, and a value is what YAML 1.1 says."""
    import yaml

    said = yaml.load(Path(path).read_text(), Loader=yaml.FullLoader)
    if said["problem_type"] != "text_causal_classification_modeling":
        raise NotImplementedError(f"Problem Type {said['problem_type']} not implemented")
    for section, known in FIELDS.items():
        given = said.get(section, {})
        unknown = set(given) - known
        if unknown:
            logging.warning("Keys %s are not in the config.", unknown)
        said[section] = {name: value for name, value in given.items() if name in known}
    return said


def wrong(cfg: dict[str, Any], cuda: int) -> list[tuple[str, str]]:
    """Give what `check_config_for_errors` calls an error."""
    found: list[tuple[str, str]] = []
    gpus, dataset, training = cfg["environment"]["gpus"], cfg["dataset"], cfg["training"]
    if not gpus:
        found.append(("No GPU selected", "Please select at least one GPU to start the experiment! "))
    if len(gpus) > cuda:
        found.append(("More GPUs selected than available", f"There are {gpus} GPUs selected but only {cuda}."))
    if cfg["architecture"]["backbone_dtype"] in ("int4", "int8") and not cfg["architecture"]["pretrained"]:
        found.append(("Quantization without pretrained weights.", "Please enable pretrained model."))
    if cfg["environment"]["use_deepspeed"] and len(gpus) < 2:
        found.append(("Deepspeed not supported for single GPU.", "Please select more than one GPU."))
    if training["loss_function"] == "BinaryCrossEntropyLoss" and dataset["num_classes"] != 1:
        found.append(("BinaryCrossEntropyLoss requires num_classes == 1", "It is set to another."))
    if dataset["parent_id_column"] not in ("None", None):
        found.append(("Parent ID column is not supported for classification", "It is not."))
    return found


def table(path: str, cfg: dict[str, Any]) -> list[dict[str, str]]:
    """Read a table as `pandas.read_csv(path, lineterminator="\\n")` does: a carriage return stays in the last column."""
    text = Path(path).read_bytes().decode("utf-8")
    rows = [dict(row) for row in csv.DictReader(io.StringIO(text.replace("\r", "\\r"), newline="\n"))]
    dataset = cfg["dataset"]
    for row in rows:
        for name in dataset["prompt_column"]:
            if row[name] in MISSING:
                raise LLMDataException(f"{name} is missing")
        for name in dataset["answer_column"]:
            if int(row[name]) not in (0, 1):
                raise LLMDataException(f"For binary classification, max label should be 1 but is {row[name]}.")
    return rows


def bar(what: str, done: int, total: int) -> str:
    """Write a bar as tqdm does in ASCII."""
    share = done / total
    return f"{what}: {share:4.0%}|{'#' * round(10 * share):10}| {done}/{total} [00:0{done % 10}<00:01,  1.90it/s]"


def begun(cfg: dict[str, Any]) -> None:
    """Log to the console and to the output folder, in its format."""
    form = logging.Formatter("%(asctime)s - %(levelname)s: %(message)s")
    for handler in (logging.StreamHandler(), logging.FileHandler(f"{cfg['output_directory']}//logs.log")):
        handler.setFormatter(form)
        logging.root.addHandler(handler)
    logging.root.setLevel(logging.INFO)


def run(cfg: dict[str, Any], mode: dict[str, Any]) -> None:
    """Train, or what stands for it."""
    output, training = Path(cfg["output_directory"]), cfg["training"]
    begun(cfg)
    errors = wrong(cfg, mode.get("cuda", 1))
    for title, message in errors:
        log.error("%s: %s", title, message)
    if errors:
        raise LLMTrainingException("Configuration contains errors. Please fix them before proceeding.")
    log.info("Problem Type: %s", cfg["problem_type"])
    log.info("Preparing the data...")
    rows = table(cfg["dataset"]["train_dataframe"], cfg)
    held = table(cfg["dataset"]["validation_dataframe"], cfg)
    if len(rows) <= 1:
        raise LLMDataException("Data too small to train model.")
    if training["learning_rate"] <= 0.0:  # as torch does: raises TypeError for a text
        raise ValueError("Invalid learning rate")
    log.info("Number of observations in train dataset: %s", len(rows))
    log.info("Number of observations in validation dataset: %s", len(held))
    (output / "cfg.yaml").write_text(json.dumps(cfg))
    for epoch in range(training["epochs"]):
        log.info("Training Epoch: %s / %s", epoch + 1, training["epochs"])
        log.info(bar("train loss", 0, 20))
        for step in range(1, 21):
            if step == 3:
                spoiled(mode)
            log.info(bar(f"train loss: {1 / (step + 20 * epoch):.2f}", step, 20))
        log.info("Starting validation inference")
        log.info(bar("validation progress", 20, 20))
        figure = float("nan") if mode.get("nan") and epoch else 0.75 + epoch / 100
        log.info("Validation %s: %.5f", cfg["prediction"]["metric"], figure)
        log.info("Mean validation loss: %.5f", 0.5)
    if not mode.get("weightless"):
        (output / "checkpoint.pth").write_bytes(b"weights")
        (output / "classification_head.pth").write_bytes(b"head")
    if not mode.get("unfinished"):
        flags = {"status": "finished", "info": "Runtime: 00:00:07"}
        (output / "flags.json").write_text(json.dumps(flags))


def spoiled(mode: dict[str, Any]) -> None:
    """Let go wrong what is to go wrong in the middle."""
    if mode.get("raises"):
        raise LLMTrainingException(mode["raises"])
    if mode.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=True)
        Path("child.pid").write_text(str(child.pid))
    if mode.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode.get("hangs"):
        log.info(bar(f"train loss: {HANGING:.2f}", 2, 20))
        time.sleep(900)


def main() -> None:
    """Do what a call from the command line does."""
    mode = json.loads(Path("mode.json").read_text())
    Path("seen.json").write_text(json.dumps({"argv": sys.argv[1:], "environ": dict(os.environ)}))
    if mode.get("lacks"):
        raise ModuleNotFoundError(f"No module named {mode['lacks']!r}")
    parser = argparse.ArgumentParser()
    parser.add_argument("-Y", "--yaml", default=argparse.SUPPRESS)
    cfg = loaded(parser.parse_args().yaml)
    Path(cfg["output_directory"]).mkdir(parents=True, exist_ok=True)
    try:
        run(cfg, mode)
    except Exception:  # as it does: tells it, and kills itself
        logging.exception("Exception occurred during the run:")
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
