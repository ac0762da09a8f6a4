"""Puts the knowledge plane together from settings and store: one for each process, over this machine's indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meliora.clock import Clock
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Plane
from meliora.knowledge.index.base import Index
from meliora.knowledge.indexes import Indexes, Open
from meliora.knowledge.library import Library, Limits
from meliora.knowledge.memory.memory import Memory
from meliora.knowledge.memory.summary import Summarizer
from meliora.knowledge.service import Knowledge, Searched
from meliora.knowledge.serving import Serving
from meliora.knowledge.upkeep.keeper import Keeper
from meliora.knowledge.upkeep.plan import Rules
from meliora.runtime.knowledge.arms import SearchArms
from meliora.runtime.knowledge.augmenting import workshop_of
from meliora.runtime.knowledge.evidence import StoredEvidence, searched
from meliora.runtime.knowledge.parts import Loading
from meliora.runtime.warming import make_ready
from meliora.settings import Settings
from meliora.store.knowledge.searches import MOST
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.knowledge.augment.examples import Ask
    from meliora.knowledge.documents import Passage
    from meliora.knowledge.memory.memory import Memory
    from meliora.knowledge.quality.records import Searched as Logged


FEATURE = "knowledge"
"""Feature that its own model calls are accounted under."""


def plane_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    record: Callable[[Searched], None] = lambda searched: None,
    halted: Callable[[], bool] = lambda: False,
    pass_on: Callable[[], None] = lambda: None,
    rest: Callable[[], None] = lambda: None,
) -> Plane:
    """Put it together; `record` writes down what is searched, `halted` tells of a kill switch that needs no store.

    `pass_on` closes what `record` writes to, `rest` does where it is old.
    """
    from meliora.knowledge.text.marks import marks

    chosen = settings.knowledge
    shelf, snapshots = store.knowledge_documents, store.knowledge_snapshots
    indexes = indexes_of(settings, store, clock)
    arms = SearchArms(store.trials, clock, settings.loop.gateway_lease_seconds, halted)
    serving = Serving(snapshots, Loading(snapshots, chosen.cross_encoder), clock, arms)
    return Plane(
        shelf=shelf,
        snapshots=snapshots,
        library=Library(shelf, marks, Limits(document_bytes=chosen.document_bytes)),
        indexes=indexes,
        searches=Knowledge(indexes, serving, clock, store.search_ids.new, record),
        opinions=store.searches,
        keeper=keeper_of(settings, store, clock),
        judgments=store.judgments,
        evidence=StoredEvidence(store, indexes),
        workshop=workshop_of(settings, store, clock, indexes, asker(settings)),
        memory=memory_of(settings, store, clock),
        pass_on=pass_on,
        rest=rest,
        obey=arms.obey,
    )


def keeper_of(settings: Settings, store: Store, clock: Clock) -> Keeper:
    """Give what keeps collections in order."""
    chosen = settings.knowledge.upkeep

    def searches(tenant: str, collection: str, since_us: int, until_us: int) -> list[Logged]:
        return [searched(one) for one in store.searches.window(tenant, collection, since_us, until_us, MOST)]

    rules = Rules(least=chosen.prune_confidence, stale_days=chosen.stale_days)
    shelves = store.knowledge_documents, store.knowledge_figures, store.knowledge_upkeep, store.knowledge_comparisons
    return Keeper(*shelves, searches, clock.now_us, rules)


def memory_of(settings: Settings, store: Store, clock: Clock) -> Memory | None:
    """Give the memory of conversations; None where it is switched off."""
    if not settings.knowledge.memory.enabled:
        return None
    from meliora.knowledge.memory.memory import Memory
    from meliora.knowledge.text.marks import marks

    return Memory(store.memory, clock, marks=marks, summarizer=summarizer(settings))


@contextmanager
def knowledge_of(settings: Settings, store: Store, clock: Clock) -> Iterator[Plane | None]:
    """Give the plane of a process that answers searches, and write down what is searched; None where it is switched off."""
    if not settings.knowledge.enabled:
        yield None
        return
    from meliora.loop.control import KillFile
    from meliora.runtime.knowledge.recording import SearchRecorder
    from meliora.runtime.shared import process_name

    recorder = SearchRecorder(settings, store.secret, process_name("control"))
    halted = KillFile(settings.server.state_dir).present
    plane = plane_of(settings, store, clock, recorder, halted, recorder.close, recorder.rest)
    try:
        yield plane
    finally:
        plane.close()
        recorder.close()


def directory_of(settings: Settings) -> Path:
    """Where this machine's indexes lie: made of the documents, never the only copy of anything."""
    return settings.knowledge.directory or settings.server.state_dir / "knowledge"


def indexes_of(settings: Settings, store: Store, clock: Clock) -> Indexes:
    """Give the indexes that this machine searches: its own, or those in the database."""

    def elsewhere() -> Iterable[tuple[str, str]]:
        if settings.knowledge.backend != "postgres":
            return ()
        from meliora.store.knowledge.index import indexed

        return indexed(store.engine)

    return Indexes(directory_of(settings), store.knowledge_documents, opener(settings, store, clock), elsewhere)


def opener(settings: Settings, store: Store, clock: Clock) -> Open:
    """Give what opens the index of a collection: in its directory, or in the database."""
    chosen = settings.knowledge

    def chunk(document: Document) -> tuple[Passage, ...]:
        from meliora.knowledge.text.chunking import chunk as cut

        return cut(document, chosen.passage_words, chosen.passage_overlap)

    embed = embedder(settings)

    def embedded(tenant: str, collection: str, directory: Path) -> Index:
        from meliora.knowledge.index.embedded import Embedded

        make_ready()
        return Embedded(directory, chunk=chunk, clock=clock, embed=embed)

    def postgres(tenant: str, collection: str, directory: Path) -> Index:
        from meliora.store.knowledge.index import PostgresIndex

        make_ready()
        return PostgresIndex(store.engine, tenant, collection, chunk=chunk, clock=clock, embed=embed)

    return postgres if chosen.backend == "postgres" else embedded


def summarizer(settings: Settings) -> Summarizer | None:
    """Give what asks the configured model to sum up, through this deployment's own gateway; None: extracts."""
    chosen = settings.knowledge.memory
    if not chosen.summary_model:
        return None
    from meliora.knowledge.memory.model_summary import ModelSummarizer
    from meliora.runtime.asking import OwnGateway, gateway_url
    from meliora.settings.secret import resolve_secret

    def ask(prompt: str, user: str) -> str:
        said = [{"role": "user", "content": prompt}]
        gateway = OwnGateway(gateway_url(settings))
        return gateway.ask(resolve_secret(chosen.key), chosen.summary_model, said, feature=FEATURE, user=user).text

    return ModelSummarizer(ask)


def asker(settings: Settings) -> Ask | None:
    """Give what asks the configured model for queries, through this deployment's own gateway; None where none is configured."""
    chosen = settings.knowledge.augment
    if not chosen.model:
        return None
    from meliora.runtime.asking import OwnGateway, gateway_url
    from meliora.settings.secret import resolve_secret

    def ask(prompt: str) -> str:
        said = [{"role": "user", "content": prompt}]
        gateway = OwnGateway(gateway_url(settings))
        return gateway.ask(resolve_secret(chosen.key), chosen.model, said, feature=FEATURE).text

    return ask


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
