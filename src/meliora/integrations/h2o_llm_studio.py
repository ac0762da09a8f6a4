"""H2O LLM Studio: a configuration for a data set, and how the run of it stands. Starts nothing, and unpickles nothing.

The configuration is what `python -m llm_studio.train -Y FILE` takes; fields are those of its `text_causal_language_modeling`. A run is
read from its folder's `flags.json`, `flags?*.json` (one a GPU) and the end of `logs.log`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from meliora.errors import InvalidRequest, UpstreamError
from meliora.knowledge.augment.manifest import Manifest
from meliora.knowledge.augment.trainers import Progress, RunState
from meliora.loop.artifacts.folder import replace
from meliora.loop.artifacts.plain import to_yaml

PROBLEM = "text_causal_language_modeling"
_STATES: dict[str, RunState] = {
    "queued": "queued",
    "running": "running",
    "finished": "finished",
    "failed": "failed",
    "stopped": "stopped",
}
_TAIL = 200_000
"""Bytes of a log that are read, from its end."""
_METRIC = re.compile(r"(?:Validation|Train) ([A-Za-z][\w ]{0,40}): (-?\d+(?:\.\d+)?(?:e-?\d+)?)\b")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BACKBONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")

_Ratio = Annotated[float, msgspec.Meta(ge=0.01, le=0.95)]
_Length = Annotated[int, msgspec.Meta(ge=32, le=16_384)]


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be set of a run, within the bounds that H2O LLM Studio has."""

    llm_backbone: str
    backbone_dtype: Literal["float32", "bfloat16", "float16", "int8", "int4"] = "int4"
    learning_rate: Annotated[float, msgspec.Meta(ge=1e-6, le=1.0)] = 1e-4
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    epochs: Annotated[int, msgspec.Meta(ge=0, le=10)] = 1
    lora_r: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    lora_alpha: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    lora_dropout: Annotated[float, msgspec.Meta(ge=0.0, le=0.5)] = 0.05
    validation_size: _Ratio = 0.1
    max_length: _Length = 512
    gpus: tuple[str, ...] = ("0",)
    seed: Annotated[int, msgspec.Meta(ge=0)] = 1


def tuning(said: dict[str, Any]) -> Tuning:
    """Read what was set. Raises `InvalidRequest` naming the field."""
    try:
        found = msgspec.convert(said, Tuning)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"H2O LLM Studio would not take this: {error}", field="tuning") from error
    if not _BACKBONE.fullmatch(found.llm_backbone) or ".." in found.llm_backbone:
        raise InvalidRequest(f"{found.llm_backbone[:200]!r} is no name of a model.", field="llm_backbone")
    return found


class H2oLlmStudio:
    """Writes configurations and follows runs. Implements `Trainer`."""

    def __init__(self, tuned: Tuning) -> None:
        self._tuned = tuned

    def prepare(self, manifest: Manifest, dataset: Path, folder: Path) -> Path:
        """Write the run's configuration, and give its path; the same data set, the same bytes.

        Raises `InvalidRequest` for a data set without rows or of another file type, and `UpstreamError` where it cannot be written.
        """
        if manifest.statistics.total_examples < 1 or dataset.suffix not in (".csv", ".pq", ".parquet"):
            raise InvalidRequest(f"{dataset.name} is no data set to train on.", hint="Give a CSV file with rows.")
        if not _NAME.fullmatch(manifest.dataset_id):
            raise InvalidRequest(f"{manifest.dataset_id[:100]!r} is no name of a data set.", field="dataset_id")
        path = folder / f"{manifest.dataset_id}.yaml"
        try:
            replace(path, to_yaml(configuration(manifest, dataset, folder / "output", self._tuned)))
        except OSError as error:
            raise UpstreamError(f"H2O LLM Studio's configuration could not be written: {error}"[:500]) from error
        return path

    def progress(self, folder: Path) -> Progress:
        """Say how the run stands whose output is in a folder: unknown where it left no readable flag."""
        flags = [_flags(path) for path in sorted(folder.glob("flags?*.json"))]
        states = [_STATES.get(str((flag or {}).get("status")), "unknown") for flag in flags]
        own = _flags(folder / "flags.json")
        state = _STATES.get(str((own or {}).get("status")), "unknown")
        if "failed" in states:
            state = "failed"
        said = " ".join(str((own or {}).get("info") or "").split())[:200]
        return Progress(state=state, said=said, metrics=_metrics(folder / "logs.log"))


def configuration(manifest: Manifest, dataset: Path, output: Path, tuned: Tuning) -> dict[str, Any]:
    """Give the configuration: to answer a query with the document that it was made for."""
    half = max(32, tuned.max_length // 2)
    return {
        "architecture": {"backbone_dtype": tuned.backbone_dtype, "gradient_checkpointing": True, "pretrained": True},
        "dataset": {
            "train_dataframe": str(dataset),
            "prompt_column": ["query"],
            "answer_column": "document",
            "system_column": "None",
            "parent_id_column": "None",
            "validation_strategy": "automatic",
            "validation_dataframe": "None",
            "validation_size": tuned.validation_size,
            "data_sample": 1.0,
            "personalize": False,
        },
        "environment": {"gpus": list(tuned.gpus), "seed": tuned.seed, "trust_remote_code": False},
        "experiment_name": manifest.dataset_id,
        "llm_backbone": tuned.llm_backbone,
        "logging": {"logger": "None"},
        "output_directory": str(output),
        "prediction": {"metric": "Perplexity"},
        "problem_type": PROBLEM,
        "tokenizer": {"max_length": tuned.max_length, "max_length_prompt": half, "max_length_answer": half},
        "training": {
            "batch_size": tuned.batch_size,
            "epochs": tuned.epochs,
            "learning_rate": tuned.learning_rate,
            "lora": True,
            "lora_r": tuned.lora_r,
            "lora_alpha": tuned.lora_alpha,
            "lora_dropout": tuned.lora_dropout,
        },
    }


def _flags(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _TAIL:
            return None
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _metrics(path: Path) -> dict[str, float]:
    """Give the last figure of each name that the end of a log tells; none where there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL))
            text = log.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return {}
    found = {match[1].strip(): float(match[2]) for match in _METRIC.finditer(text)}
    return {name: value for name, value in found.items() if math.isfinite(value)}
