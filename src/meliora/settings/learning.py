"""How a learned policy is taught: what an answer is worth, who judges it, and how what was learned comes to serve."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from meliora.settings.section import Name, Seconds, Section, Share

Weight = Annotated[float, Field(gt=0, le=1)]


class Reward(Section):
    """What an answer is worth, in [0, 1]. The first that is known decides: feedback, scorers, a retry, a failure.

    An answer about which nothing more is known than that it came counts for nothing, neither for nor against its model.
    """

    formula: Literal["quality", "documented"] = Field(
        default="quality",
        description=(
            "`quality`: the value alone; what it cost is the dial's to weigh. `documented`: (value + 0.3 * max(0, 1 - cost / $0.01) "
            "+ 0.2 * max(0, 1 - ms / 5000)) / 1.5; what is unknown is left out, and the rest weighed up."
        ),
    )
    feedback_weight: Weight = Field(default=1, description="How much a person's word counts.")
    scorer_weight: Weight = Field(default=0.5, description="How much scorers count.")
    retry_weight: Weight = Field(default=0.25, description="How much it counts that the prompt was sent again.")
    retry_value: Share = Field(
        default=0.2, description="What an answer is worth whose prompt the same user or session sent again."
    )
    retry_minutes: float = Field(
        default=5, ge=0, le=1440, description="Within how many minutes that counts; 0 for never."
    )
    failure_weight: Weight = Field(default=1, description="How much a failure of the model or its provider counts.")
    failure_value: Share = Field(default=0, description="What a failure is worth.")


class RoutingEmbedding(Section):
    """What is known of the meaning of prompts, folded into a policy when it is fitted. A call is decided without asking anybody."""

    table: str = Field(
        default="",
        description="File of word vectors as text (`word v1 v2 ...` a line), such as GloVe's .txt or fastText's .vec.",
    )
    model: str = Field(
        default="",
        description="Or a model that gives embeddings; a calibration asks it about each prompt of the sample.",
    )
    key: str = Field(
        default="", description="model: reference (`env:NAME`, `file:PATH`) to the key its calls are charged to."
    )
    width: int = Field(default=20, ge=1, le=256, description="Directions of meaning that are kept, at most.")

    @model_validator(mode="after")
    def _has_one_source(self) -> RoutingEmbedding:
        if self.table and self.model:
            raise ValueError("takes a table or a model, not both")
        if self.model and not self.key:
            raise ValueError("a model takes a key, to which its calls are charged")
        return self


class RoutingLearning(Section):
    """How outcomes move a policy. `learning.enabled = false` freezes it as it is."""

    interval: Seconds = Field(default=2, description="Seconds between two looks at what came in.")
    publish_seconds: Seconds = Field(
        default=30, description="Least seconds between two snapshots of a tenant; none is made while nothing changes."
    )
    start: Literal["prior", "cold", "off"] = Field(
        default="prior",
        description=(
            "How a policy begins where routing.dial.reference is declared and nothing was learned: by the shipped prior, knowing "
            "nothing but the price list, or not by itself."
        ),
    )
    margin: Share = Field(
        default=0.01,
        description="How much worse than the best single model the policy may be expected to be, in quality less cost at the dial.",
    )
    influence: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="The most by which one key may move any prediction of quality, while others are heard too.",
    )
    window: int = Field(
        default=10_000, ge=10, le=1_000_000, description="Outcomes that the posterior is made of, the latest."
    )
    keep: int = Field(
        default=20, ge=2, le=1000, description="Snapshots of online learning whose bytes are kept; others are always."
    )


class Scorer(Section):
    """Something that says how good an answer is, from 0 to 1. The worker asks it about recorded answers of routed calls."""

    name: Name = Field(description="Name it is known by, in records and in `meliora routing calibrate --scorer`.")
    kind: Literal["regex", "json_schema", "code", "judge"] = Field(
        description="A pattern, a JSON schema, a function of yours, or a model that judges."
    )
    tenant: str = Field(default="", description="Tenant whose answers it scores; empty: every tenant's.")
    tasks: list[Name] = Field(default=[], description="Tasks whose answers it scores; empty: all.")
    weight: Weight = Field(default=1, description="How much it counts beside other scorers.")
    sample: Share = Field(default=1, description="Share of the answers it is asked about.")
    pattern: str = Field(
        default="", description="regex: RE2 pattern; an answer in which it is found is worth 1, any other 0."
    )
    invert: bool = Field(default=False, description="regex: an answer in which it is found is worth 0, any other 1.")
    json_schema: dict[str, Any] = Field(
        default={}, description="json_schema: an answer that is JSON of this shape is worth 1, any other 0."
    )
    function: str = Field(
        default="",
        description="code: `module:function`, called with the prompt, the answer and the expected answer or None.",
        pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$",
    )
    model: str = Field(default="", description="judge: the model that judges.")
    key: str = Field(
        default="", description="judge: reference (`env:NAME`, `file:PATH`) to the key its calls are charged to."
    )
    rubric: str = Field(
        default="Is the answer correct, complete and what was asked for?",
        description="judge: what it is asked about the answer.",
    )
    labels: int = Field(
        default=50, ge=10, description="judge: answers that people judged too before it counts as calibrated."
    )
    uncalibrated_weight: Share = Field(
        default=0.2, description="judge: what its weight is multiplied by until then; 0 leaves it out."
    )

    @model_validator(mode="after")
    def _has_what_it_takes(self) -> Scorer:
        needed = {"regex": "pattern", "json_schema": "json_schema", "code": "function", "judge": "model"}[self.kind]
        if not getattr(self, needed):
            raise ValueError(f"a scorer of kind {self.kind} takes {needed}")
        if self.kind == "judge" and not self.key:
            raise ValueError("a judge takes a key, to which its calls are charged")
        return self
