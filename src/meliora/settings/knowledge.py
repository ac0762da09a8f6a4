"""Documents, searches and conversations: what is kept, how it is cut and found, and how it is looked after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from meliora.settings.section import Name, Seconds, Section, Share

Days = Annotated[float, Field(gt=0, le=36_500)]


class KnowledgeEmbeddings(Section):
    """Vectors of a model besides those that are made of the documents themselves."""

    model: str = Field(default="", description="Model that gives embeddings, called through the gateway; empty: none.")
    key: str = Field(default="", description="Reference (`env:NAME`, `file:PATH`) to the key its calls are charged to.")

    @model_validator(mode="after")
    def _has_a_key(self) -> KnowledgeEmbeddings:
        if self.model and not self.key:
            raise ValueError("a model takes a key, to which its calls are charged")
        return self


class KnowledgeUpkeep(Section):
    """How a collection is kept free of what is stale or said twice. Nothing is deleted: what goes is archived, and can be restored."""

    enabled: bool = Field(default=True, description="Look for stale and redundant documents.")
    interval: Seconds = Field(default=86_400, description="Seconds between two looks at a collection.")
    prune_confidence: Share = Field(
        default=0.8, description="How sure it must be to propose that a document is archived without a person."
    )
    stale_days: dict[Name, Days] = Field(
        default={},
        description="Days after which documents of a category are stale, in place of those it has by itself.",
    )


class KnowledgeMemory(Section):
    """Conversations that applications ask to be remembered."""

    enabled: bool = Field(default=True, description="Keep conversations that applications send.")
    retention_days: float = Field(
        default=0, ge=0, description="Days for which one is kept in which nothing more is said; 0: for ever."
    )
    summary_model: str = Field(
        default="", description="Model that sums conversations up, called through the gateway; empty: extracts."
    )
    key: str = Field(default="", description="Reference (`env:NAME`, `file:PATH`) to the key its calls are charged to.")

    @model_validator(mode="after")
    def _has_a_key(self) -> KnowledgeMemory:
        if self.summary_model and not self.key:
            raise ValueError("a summary_model takes a key, to which its calls are charged")
        return self


class KnowledgeAugment(Section):
    """Data sets of made queries. Four methods need nothing of this; `model` lets three more be used, which ask it."""

    model: str = Field(
        default="", description="Model that is asked for queries, called through the gateway; empty: none."
    )
    key: str = Field(default="", description="Reference (`env:NAME`, `file:PATH`) to the key its calls are charged to.")
    calls: int = Field(default=100, ge=0, le=100_000, description="Most calls of the model for one data set.")
    rerankers: bool = Field(
        default=False,
        description="Let the loop train rerankers on made queries too. As measured, they do not help.",
    )

    @model_validator(mode="after")
    def _has_a_key(self) -> KnowledgeAugment:
        if self.model and not self.key:
            raise ValueError("a model takes a key, to which its calls are charged")
        return self


class Knowledge(Section):
    """Documents and their searches. What is asked is recorded as `[recording]` says of calls."""

    enabled: bool = Field(default=True, description="Keep documents and answer searches.")
    backend: Literal["embedded", "postgres"] = Field(
        default="embedded", description="Index on each machine's disk, or in the PostgreSQL of `store.url`."
    )
    directory: Path | None = Field(
        default=None,
        description="Directory of this machine's indexes; empty: `knowledge` in the state directory. They can be built again.",
    )
    document_bytes: int = Field(default=20_000_000, ge=1, le=1_000_000_000, description="Most text of a document.")
    passage_words: int = Field(
        default=400, ge=20, le=2000, description="Words of a passage: what is indexed and found."
    )
    passage_overlap: int = Field(
        default=40, ge=0, description="Words that a passage has in common with the one before it."
    )
    cross_encoder: str = Field(
        default="", description="Directory of a cross-encoder that reranks the first results; empty: none."
    )
    embeddings: KnowledgeEmbeddings = KnowledgeEmbeddings()
    upkeep: KnowledgeUpkeep = KnowledgeUpkeep()
    memory: KnowledgeMemory = KnowledgeMemory()
    augment: KnowledgeAugment = KnowledgeAugment()

    @model_validator(mode="after")
    def _moves_on(self) -> Knowledge:
        if self.passage_overlap * 2 > self.passage_words:
            raise ValueError("passage_overlap is at most half of passage_words")
        return self
