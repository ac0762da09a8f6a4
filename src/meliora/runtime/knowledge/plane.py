"""Puts the knowledge plane together from settings and store: one for each process, over this machine's indexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meliora.clock import Clock
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Plane
from meliora.knowledge.index.base import Index
from meliora.knowledge.indexes import Indexes, Open
from meliora.knowledge.library import Library, Limits
from meliora.knowledge.memory.memory import Memory
from meliora.knowledge.service import Knowledge, Searched
from meliora.knowledge.serving import Serving
from meliora.runtime.knowledge.arms import SearchArms
from meliora.runtime.knowledge.parts import Loading
from meliora.settings import Settings
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.knowledge.documents import Passage


FEATURE = "knowledge"
"""Feature that its own model calls are accounted under."""


def plane_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    record: Callable[[Searched], None] = lambda searched: None,
    halted: Callable[[], bool] = lambda: False,
) -> Plane:
    """Put it together; `record` writes down what is searched, `halted` tells of a kill switch that needs no store."""
    from meliora.knowledge.text.marks import marks

    chosen = settings.knowledge
    shelf, snapshots = store.knowledge_documents, store.knowledge_snapshots
    indexes = Indexes(directory_of(settings), shelf, opener(settings, store, clock))
    arms = SearchArms(store.trials, clock, settings.loop.gateway_lease_seconds, halted)
    serving = Serving(snapshots, Loading(snapshots, chosen.cross_encoder), clock, arms)
    return Plane(
        shelf=shelf,
        snapshots=snapshots,
        library=Library(shelf, marks, Limits(document_bytes=chosen.document_bytes)),
        indexes=indexes,
        searches=Knowledge(indexes, serving, clock, store.search_ids.new, record),
        opinions=store.searches,
        memory=Memory(store.memory, clock, marks=marks),
    )


def directory_of(settings: Settings) -> Path:
    """Where this machine's indexes lie: made of the documents, never the only copy of anything."""
    return settings.knowledge.directory or settings.server.state_dir / "knowledge"


def opener(settings: Settings, store: Store, clock: Clock) -> Open:
    """Give what opens the index of a collection: in its directory, or in the database."""
    chosen = settings.knowledge

    def chunk(document: Document) -> tuple[Passage, ...]:
        from meliora.knowledge.text.chunking import chunk as cut

        return cut(document, chosen.passage_words, chosen.passage_overlap)

    embed = embedder(settings)

    def embedded(tenant: str, collection: str, directory: Path) -> Index:
        from meliora.knowledge.index.embedded import Embedded

        return Embedded(directory, chunk=chunk, clock=clock, embed=embed)

    def postgres(tenant: str, collection: str, directory: Path) -> Index:
        from meliora.store.knowledge_index import PostgresIndex

        return PostgresIndex(store.engine, tenant, collection, chunk=chunk, clock=clock)

    return postgres if chosen.backend == "postgres" else embedded


def embedder(settings: Settings) -> Callable[[Sequence[str]], Any] | None:
    """Give what asks the configured model for vectors, through this deployment's own gateway; None where none is configured."""
    chosen = settings.knowledge.embeddings
    if not chosen.model:
        return None
    from meliora.runtime.asking import OwnGateway, gateway_url
    from meliora.settings.secret import resolve_secret

    def embed(texts: Sequence[str]) -> Any:
        gateway = OwnGateway(gateway_url(settings))  # it may have been started since
        return gateway.embed(resolve_secret(chosen.key), chosen.model, texts, feature=FEATURE)

    return embed
