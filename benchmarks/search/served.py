"""A collection served as the product serves it: kept in a store, cut into passages, indexed and followed, searched by a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.search.sets import Judged
from meliora.clock import SystemClock
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.documents import Document
from meliora.knowledge.index.base import View
from meliora.knowledge.indexes import Indexes
from meliora.knowledge.library import Library
from meliora.knowledge.search.parts import Parts
from meliora.knowledge.search.searcher import Request, search
from meliora.knowledge.text.marks import marks
from meliora.runtime.knowledge.parts import Loading
from meliora.runtime.knowledge.plane import opener
from meliora.settings import Settings
from meliora.store.engine import connect, database_url
from meliora.store.migrate import upgrade
from meliora.store.store import Store

TENANT = "t"
SHOWN = 10
COUNTED = 100
"""Results that are scored at most."""


@dataclass(frozen=True)
class Served:
    """One collection, its store and its indexes."""

    judged: Judged
    store: Store
    indexes: Indexes
    name: str = "c"

    @property
    def view(self) -> View:
        """Give the index as it stands."""
        return self.indexes.view(TENANT, self.name)

    def loaded(self, config: SearchConfig) -> Parts:
        """Load what a configuration takes over the index as it stands; what cannot be loaded fails the benchmark."""
        parts = Loading(self.store.knowledge_snapshots)(TENANT, config, self.view)
        if parts.missing:
            raise RuntimeError(f"a part of the search is missing: {parts.missing}")
        return parts


class Asking:
    """Searches by one configuration."""

    def __init__(self, served: Served, config: SearchConfig | None = None) -> None:
        """Load the configuration's parts, once."""
        self._view = served.view
        self._snapshot = Snapshot(number=0, config=config or SearchConfig())
        self._parts = served.loaded(self._snapshot.config)

    def __call__(self, text: str, limit: int = SHOWN) -> Sequence[str]:
        """Give documents, best first. A stage that was left out fails the benchmark."""
        found = search(Request(text, limit), self._view, self._snapshot, self._parts)
        if found.skipped:
            raise RuntimeError(f"a stage of a search was left out: {found.skipped}")
        return [one.document for one in found.results]


@contextmanager
def serving(judged: Judged) -> Iterator[Served]:
    """Keep a collection's documents and index them, in a temporary directory."""
    with TemporaryDirectory(prefix="meliora-search-") as directory:
        folder = Path(directory)
        engine = connect(database_url("", folder))
        upgrade(engine)
        clock = SystemClock()
        with Store(engine, clock_us=clock.now_us) as store:
            shelf = store.knowledge_documents
            Library(shelf, marks).put(
                TENANT,
                "c",
                (Document(id=id, title=title, text=text) for id, (title, text) in judged.documents.items()),
            )
            indexes = Indexes(folder / "indexes", shelf, opener(Settings(), store, clock))
            indexes.build(TENANT, "c", "1")
            indexes.of(TENANT, "c").switch("1")
            yield Served(judged, store, indexes)
