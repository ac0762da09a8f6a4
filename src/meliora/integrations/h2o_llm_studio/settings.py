"""What may be set of a run, within the bounds that H2O LLM Studio has, and its configuration as data.

Fields are those of its `text_causal_classification_modeling` with one class: an answer or none. What it refuses at its start
(`check_config_for_errors`) cannot be written: no GPU, quantised weights that are not pretrained, a classification with parents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from meliora.errors import InvalidRequest

PROBLEM = "text_causal_classification_modeling"
QUERY, DOCUMENT, LABEL = "query", "document", "label"
"""Columns of the tables."""
METRIC = "AUC"
_BACKBONE = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._/-]{0,199}")

_SLOWEST = 1e-9
_Gpu = Annotated[str, msgspec.Meta(pattern=r"^\d{1,2}$")]


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be set of a run."""

    llm_backbone: str
    """Name at Hugging Face, or a folder."""
    backbone_dtype: Literal["float32", "bfloat16", "float16", "int8", "int4"] = "bfloat16"
    mixed_precision: bool = True
    mixed_precision_dtype: Literal["bfloat16", "float16"] = "bfloat16"
    learning_rate: Annotated[float, msgspec.Meta(ge=_SLOWEST, le=1.0)] = 1e-4
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    grad_accumulation: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    epochs: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    lora_r: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    lora_alpha: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    lora_dropout: Annotated[float, msgspec.Meta(ge=0.0, le=0.5)] = 0.05
    max_length: Annotated[int, msgspec.Meta(ge=32, le=16_384, multiple_of=32)] = 512
    """Tokens of query and document together."""
    gpus: Annotated[tuple[_Gpu, ...], msgspec.Meta(min_length=1)] = ("0",)
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 1
    trust_remote_code: bool = False
    """Whether code that comes with a backbone may run; it does what it likes."""
    validation_size: Annotated[float, msgspec.Meta(ge=0.01, le=0.95)] = 0.2
    """Share of the queries' families that are held out."""
    negatives: Annotated[int, msgspec.Meta(ge=1, le=50)] = 4
    """Documents a query that a search finds first and nobody says of that they answer."""


def tuning(said: Mapping[str, Any]) -> Tuning:
    """Read what was set; texts such as `2` or `0,1` are read as what the field takes. Raises `InvalidRequest` naming the field."""
    given = dict(said)
    if isinstance(given.get("gpus"), str):
        given["gpus"] = [one.strip() for one in given["gpus"].split(",")]
    try:
        found = msgspec.convert(given, Tuning, strict=False)
    except msgspec.ValidationError as error:
        fields = ", ".join(Tuning.__struct_fields__)
        raise InvalidRequest(
            f"H2O LLM Studio would not take this: {error}", hint=f"Fields are {fields}.", field="tuning"
        ) from error
    if not _BACKBONE.fullmatch(found.llm_backbone) or ".." in found.llm_backbone:
        raise InvalidRequest(f"{found.llm_backbone[:200]!r} is no name of a model.", field="llm_backbone")
    if len(set(found.gpus)) < len(found.gpus):
        raise InvalidRequest(f"A GPU is named twice in {','.join(found.gpus)}.", field="gpus")
    return found


def configuration(name: str, train: Path, validation: Path, output: Path, tuned: Tuning) -> dict[str, Any]:
    """Give the configuration: whether a document answers a query, learned from one table and measured on another."""
    return {
        "architecture": {
            "backbone_dtype": tuned.backbone_dtype,
            "gradient_checkpointing": True,
            "intermediate_dropout": 0.0,
            "pretrained": True,
            "pretrained_weights": "",
        },
        "dataset": {
            "add_eos_token_to_answer": False,
            "add_eos_token_to_prompt": False,
            "add_eos_token_to_system": False,
            "answer_column": [LABEL],
            "data_sample": 1.0,
            "num_classes": 1,
            "parent_id_column": "None",
            "personalize": False,
            "prompt_column": [DOCUMENT, QUERY],  # what is too long is cut at its beginning: the query is last
            "system_column": "None",
            "text_answer_separator": "",
            "text_prompt_start": "",
            "text_system_start": "",
            "train_dataframe": str(train),
            "validation_dataframe": str(validation),
            "validation_strategy": "custom",
        },
        "environment": {
            "compile_model": False,
            "gpus": list(tuned.gpus),
            "huggingface_branch": "main",
            "mixed_precision": tuned.mixed_precision,
            "mixed_precision_dtype": tuned.mixed_precision_dtype,
            "number_of_workers": tuned.workers,
            "seed": tuned.seed,
            "trust_remote_code": tuned.trust_remote_code,
            "use_deepspeed": False,
        },
        "experiment_name": name,
        "llm_backbone": tuned.llm_backbone,
        "logging": {"logger": "None"},
        "output_directory": str(output),
        "prediction": {"batch_size_inference": 0, "metric": METRIC},
        "problem_type": PROBLEM,
        "tokenizer": {"max_length": tuned.max_length, "padding_quantile": 1.0},
        "training": {
            "batch_size": tuned.batch_size,
            "differential_learning_rate": max(tuned.learning_rate / 10, _SLOWEST),
            "differential_learning_rate_layers": ["classification_head"],
            "drop_last_batch": True,
            "epochs": tuned.epochs,
            "evaluate_before_training": False,
            "evaluation_epochs": 1.0,
            "grad_accumulation": tuned.grad_accumulation,
            "learning_rate": tuned.learning_rate,
            "lora": True,
            "lora_alpha": tuned.lora_alpha,
            "lora_dropout": tuned.lora_dropout,
            "lora_r": tuned.lora_r,
            "loss_function": "BinaryCrossEntropyLoss",
            "optimizer": "AdamW",
            "save_checkpoint": "last",
            "schedule": "Cosine",
            "train_validation_data": False,
        },
    }
