"""How a model is chosen: the classifier, the learned policy's dial, its exploration, and the cascade."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from meliora.settings.escalation import Crosscheck, Escalation, TaskTiers
from meliora.settings.learning import Reward, RoutingEmbedding, RoutingLearning, Scorer
from meliora.settings.section import Name, Seconds, Section, Share, Tier


class Dial(Section):
    """What weighs quality against cost, where a learned policy chooses. A key or a request may name its own."""

    quality_floor: float = Field(
        default=0.98, gt=0, le=1, description="Share of the reference model's quality to hold."
    )
    reference: str = Field(
        default="",
        max_length=200,
        description=(
            "Model that floors are a share of, and that answers until another is expected to be as good; declared, a policy "
            "begins without any data. Empty: the best one of a calibration."
        ),
    )
    willingness_to_pay: float | None = Field(
        default=None,
        ge=0,
        description="US dollars to pay for an answer of quality 1 in place of one of quality 0; set, it stands in place of the floor.",
    )
    from_requests: bool = Field(
        default=True,
        description="Let a request name its own by `x-meliora-quality-floor` or `x-meliora-willingness-to-pay`.",
    )
    pacing: bool = Field(
        default=True,
        description="Pay less for quality while a key's daily budget is spent faster than the day (UTC) goes by.",
    )
    pace_floor: Share = Field(default=0.05, description="Least share of the willingness to pay that pacing leaves.")


class Exploration(Section):
    """How far a learned policy may depart from what looks best in order to learn. Off while learning is off."""

    enabled: bool = Field(default=True, description="Explore at all; keys opt out by `explore = false`.")
    floor: Share = Field(default=0.002, description="Least probability of every model that may be explored.")
    cap: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Greatest share of calls that goes to others than the model that looks best; `learning.exploration` bounds it too.",
    )
    caution: float = Field(
        default=0,
        ge=0,
        description="Standard errors by which a model has to look better than the reference before it is preferred to it.",
    )
    loss: float = Field(
        default=0.002,
        ge=0,
        description="Most expected quality (less its price) that exploring may give up a call, on the average.",
    )
    never: list[Name] = Field(default=[], description="Models that are never chosen in order to learn: names or globs.")

    @model_validator(mode="after")
    def _leaves_room(self) -> Exploration:
        if self.floor > self.cap:
            raise ValueError(
                "floor is the least probability of one model and cannot be above cap, which is for all of them"
            )
        return self


class Cascade(Section):
    """Ask two cheap models at once where the policy is unsure; where they agree, or a third agrees with one of them, the dear one is
    not asked.

    Never for streams: an answer is known to be good only when it is whole.
    """

    enabled: bool = Field(default=False, description="Use it. Every model that is asked is charged to the call.")
    latency: Seconds = Field(
        default=10,
        description="Seconds the cheaper ones may take in all before the strong model is asked without them.",
    )
    tools: bool = Field(default=False, description="Also for calls that offer tools.")
    agreement: Literal["exact", "normalised", "embedding", "verifier"] = Field(
        default="normalised",
        description=(
            "What counts as agreeing: the same text; the same final answer; that, or texts whose embeddings are near; or what "
            "your own function says."
        ),
    )
    embedding_model: str = Field(
        default="", description="embedding: the model that embeds both answers, in one call that is charged as a leg."
    )
    similarity: float = Field(
        default=0.9, gt=0, le=1, description="embedding: least cosine of both answers' embeddings at which they agree."
    )
    verifier: str = Field(
        default="",
        description="`module:function` that is given the prompt and both answers and says whether they agree.",
        pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$",
    )
    alternatives: float = Field(
        default=4,
        ge=1,
        description=(
            "How many ways there are to be wrong: the more, the more two models that agree are to be believed. Where no calibration "
            "has compared answers."
        ),
    )
    correlation: Share = Field(
        default=0.5,
        description="How far models are right and wrong on the same prompts: 0 not at all, 1 always. Likewise.",
    )

    @model_validator(mode="after")
    def _has_what_it_takes(self) -> Cascade:
        if self.agreement == "verifier" and not self.verifier:
            raise ValueError('agreement = "verifier" takes a verifier = "module:function"')
        if self.agreement == "embedding" and not self.embedding_model:
            raise ValueError('agreement = "embedding" takes an embedding_model = "NAME"')
        return self


class Preferences(Section):
    """What a user's liking adds to a learned policy's choice, or takes from it."""

    enabled: bool = Field(default=True, description="Let what a user likes move the choice for their calls.")
    largest: Share = Field(
        default=0.1, description="Most points of quality (0 to 1) that a liking adds to a model, or takes from it."
    )


class Routing(Section):
    """How a model is chosen when the client leaves it to Meliora."""

    default_tier: Tier = Field(
        default="balanced", description="Tier for `auto` where the classifier has nothing to go by."
    )
    complexity_threshold: float = Field(
        default=0.45, ge=0, le=1, description="Complexity at and above which a prompt is deep."
    )
    token_threshold: int = Field(
        default=300, ge=0, description="Estimated prompt tokens above which complexity is raised by 0.15."
    )
    learned: Literal["on", "observe", "off"] = Field(
        default="on",
        description="Let a learned policy choose where there is one; only record what it would choose; or do without.",
    )
    high_queue_threshold: int = Field(
        default=5, ge=1, description="Calls in flight from which `/routing/route` takes the tiers of a long queue."
    )
    matrix: TaskTiers = TaskTiers()
    escalation: Escalation = Escalation()
    crosscheck: Crosscheck = Crosscheck()
    dial: Dial = Dial()
    exploration: Exploration = Exploration()
    cascade: Cascade = Cascade()
    preferences: Preferences = Preferences()
    reward: Reward = Reward()
    learning: RoutingLearning = RoutingLearning()
    embedding: RoutingEmbedding = RoutingEmbedding()
    scorers: list[Scorer] = Field(default=[], description="What judges answers, besides people.")
