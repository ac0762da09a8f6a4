"""When a call goes to another tier than its prompt alone would: a long queue, danger, repeated failure, high stakes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meliora.settings.section import Name, Seconds, Section, Tier

TwoTiers = tuple[Tier, Tier]
Word = Annotated[str, Field(max_length=100, pattern=r"\S")]


class TaskTiers(Section):
    """The tier for a task while few calls are in flight, and the one while many are.

    Read by `/routing/route` where the task is named or the queue is long, and shown by `/routing/matrix`.
    """

    chat: TwoTiers = Field(default=("balanced", "fast"), description="Conversation.")
    code: TwoTiers = Field(default=("code", "code"), description="Writing, mending and explaining code.")
    reasoning: TwoTiers = Field(default=("deep", "balanced"), description="Proofs, puzzles, analysis.")
    research: TwoTiers = Field(default=("deep", "balanced"), description="Sources, evidence, literature.")
    creative: TwoTiers = Field(default=("balanced", "fast"), description="Stories, poems, ideas.")
    system: TwoTiers = Field(default=("balanced", "fast"), description="Servers, deployments, logs.")
    simple: TwoTiers = Field(default=("fast", "fast"), description="Greetings, facts, definitions.")


class Escalation(Section):
    """When `auto` goes to a stronger tier than the prompt alone would. Never because of a budget or a rate limit."""

    security_words: list[Word] = Field(
        default=[
            "security",
            "vulnerability",
            "vulnerabilities",
            "exploit",
            "exploits",
            "cryptography",
            "encryption",
            "authentication",
            "authorization",
            "penetration test",
            "privilege escalation",
            "data breach",
        ],
        description="Words that send a prompt to the deep tier, whatever their case; an empty list for none.",
    )
    security_priority: int = Field(
        default=100, gt=-(2**31), lt=2**31, description="Priority of that rule among all routing rules."
    )
    failures: int = Field(
        default=2,
        ge=0,
        description="Failed calls of a conversation that are borne before its next one goes a tier up; as many again for the next.",
    )
    memory: Seconds = Field(default=600, description="Seconds that a failure is remembered; 0 switches escalation off.")


class Crosscheck(Section):
    """When two models answer and a third compares them: `POST /routing/crosscheck`."""

    stakes: list[Name] = Field(
        default=["high", "critical"], description="Stakes at which it is done; at others one model answers alone."
    )
    reviewer: str = Field(
        default="", description="Model that compares the answers; empty: one of the deep tier that gave none of them."
    )
    arbitrator: str = Field(
        default="", description="Model that settles a conflict; empty: another of the deep tier, or else the reviewer."
    )
    timeout: Seconds = Field(default=120, description="Seconds for the whole of it.")
