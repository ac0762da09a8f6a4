"""The index of a directory: what serves, changes taken up, generations built and switched. One writer at a time, any number of readers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from meliora.clock import Clock
from meliora.errors import NotFound, StoreError
from meliora.knowledge.documents import Changed
from meliora.knowledge.index.base import View
from meliora.knowledge.index.embedded.entries import Chunk
from meliora.knowledge.index.embedded.layout import Folder, Manifest, Step, check_generation, is_later, state_name
from meliora.knowledge.index.embedded.making import Making, Means, Settings
from meliora.knowledge.index.embedded.vectors import Embed
from meliora.knowledge.index.embedded.view import EmbeddedView, EmptyView

log = structlog.get_logger(__name__)

FIRST = "1"
"""The generation that changes make where there is none."""
TRIES = 5
"""Of a reader that meets a writer who removes the state that it opens."""

__all__ = ["Chunk", "Embed", "Embedded", "Settings"]


def _no_step(name: str) -> None:
    pass


class Embedded:
    """The index of one directory. Safe to share between threads and processes."""

    def __init__(
        self,
        directory: Path,
        *,
        chunk: Chunk,
        clock: Clock,
        settings: Settings | None = None,
        embed: Embed | None = None,
        step: Step = _no_step,
    ) -> None:
        """`chunk` cuts a document into passages; `embed` gives vectors in the place of the index's own.

        `step` is called with its name before each step of a write; what it raises is as if the step had failed.
        """
        self._folder = Folder(directory)
        self._means = Means(self._folder, chunk, settings or Settings(), embed, clock.now_us, step)
        self._lock = threading.Lock()
        self._opened: tuple[tuple[str, int, int], View] | None = None

    def view(self) -> View:
        """Give what serves now: a look at one small file, and the view that is open where it is the same.

        Raises `StoreError` for a damaged index. One of another version gives what an empty one does: it has to be built again.
        """
        opened = self._opened
        if opened is not None and opened[0] == self._folder.pointed():
            return opened[1]
        with self._lock:
            return self._open()

    def apply(self, changes: Sequence[Changed], generation: str = "") -> int:
        """Take changes up, all or none of them, and give the new watermark. Those that it has already change nothing.

        With `generation` a built one takes them, which goes on not to serve. Raises `NotFound` where there is no whole one of that
        name, `IndexHeld` where another writer has it, `OSError` for a full disk: what served goes on to serve.
        """
        with self._folder.writing("apply"):
            serving = self._folder.current()
            self._folder.sweep(serving)
            before = self._whole(generation) if generation else self._folder.manifest(serving) if serving else None
            if before is None:
                return self._first(changes)
            new = [one for one in changes if one.seq > before.watermark]
            if not new:
                return before.watermark
            heap = self._means.settings.apply_heap
            with self._making(before.generation, before, heap) as making:
                making.take(new)
                name = making.finish()
            if before.generation == serving.partition("/")[0]:
                self._folder.point(name, self._means.step)
            return max(before.watermark, *(one.seq for one in new))

    def build(self, documents: Iterable[Changed], generation: str, upto: int = 0) -> None:
        """Build a whole new generation beside the one that serves; it serves nothing yet. A whole one of that name is left as it is.

        `upto` is the change to which the documents are complete, which may be a deletion that is told no more. Raises `IndexHeld`
        where another writer has it, `OSError` for a full disk.
        """
        check_generation(generation)
        with self._folder.writing(f"build of generation {generation}"):
            self._folder.sweep(self._folder.current())
            if self._folder.latest(generation) is None:
                self._build(documents, generation, upto)

    def built(self, generation: str) -> View:
        """Give a built generation, whether it serves or not. Raises `NotFound` where there is no whole one of that name."""
        return self._opened_state(self._whole(generation), None)

    def switch(self, generation: str) -> None:
        """Let a built generation serve, at once and whole. Older ones but the last that served are removed.

        Raises `NotFound` where there is no whole one of that name.
        """
        check_generation(generation)
        with self._folder.writing(f"switch to generation {generation}"):
            serving = self._folder.current()
            self._folder.sweep(serving)
            latest = self._whole(generation)
            self._folder.point(f"{generation}/{state_name(latest.state)}", self._means.step)
            last = serving.partition("/")[0]
            if last != generation:
                self._retire({generation, last})

    def retire(self) -> None:
        """Remove every generation but the one that serves and those after it: a person's words are to be nowhere."""
        with self._folder.writing("retire what served before"):
            serving = self._folder.current().partition("/")[0]
            for one in self._folder.generations():
                if one.name != serving and not is_later(one.name, serving):
                    shutil.rmtree(one, ignore_errors=True)

    def _whole(self, generation: str) -> Manifest:
        check_generation(generation)
        latest = self._folder.latest(generation)
        if latest is None:
            raise NotFound(
                f"There is no whole generation {generation!r} of this index.",
                hint=f"There are: {', '.join(one.name for one in self._folder.generations()) or 'none'}.",
            )
        return latest

    def _first(self, changes: Sequence[Changed]) -> int:
        self._build(changes, FIRST)
        latest = self._folder.latest(FIRST)
        assert latest is not None
        self._folder.point(f"{FIRST}/{state_name(latest.state)}", self._means.step)
        return latest.watermark

    def _build(self, documents: Iterable[Changed], generation: str, upto: int = 0) -> None:
        # What is left of that name is unusable: half, or of another version.
        shutil.rmtree(self._folder.path / generation, ignore_errors=True)
        with self._making(generation, None, self._means.settings.build_heap) as making:
            making.take(documents)
            making.reach(upto)
            making.finish()

    def _retire(self, kept: set[str]) -> None:
        """Remove generations that are older than those that are kept."""
        made = {one.name: self._folder.latest(one.name) for one in self._folder.generations()}
        oldest = min((one.made_us for name, one in made.items() if one is not None and name in kept), default=0)
        for name, manifest in made.items():
            if name not in kept and (manifest is None or manifest.made_us < oldest):
                shutil.rmtree(self._folder.path / name, ignore_errors=True)

    @contextmanager
    def _making(self, generation: str, before: Manifest | None, heap: int) -> Iterator[Making]:
        making = Making(self._means, generation, before, heap=heap)
        failed = True
        try:
            yield making
            failed = False
        finally:
            making.close(failed=failed)

    def _open(self) -> View:
        for tried in range(TRIES):
            pointed, opened = self._folder.pointed(), self._opened
            if opened is not None and opened[0] == pointed:
                return opened[1]
            name = pointed[0]
            try:
                manifest = self._folder.manifest(name) if name else None
                if manifest is None and pointed != self._folder.pointed():
                    continue
                view: View = EmptyView() if manifest is None else self._opened_state(manifest, opened and opened[1])
            except (FileNotFoundError, StoreError):
                if tried == TRIES - 1 or pointed == self._folder.pointed():
                    raise
                continue
            if name and manifest is None:
                log.warning("an index cannot be used and has to be built again", directory=str(self._folder.path))
            self._opened = (pointed, view)
            return view
        raise StoreError("The index changes faster than it can be opened.", hint="Try again.")

    def _opened_state(self, manifest: Manifest, opened: View | None) -> EmbeddedView:
        folder = self._folder.path / manifest.generation
        before = opened if isinstance(opened, EmbeddedView) and opened.follows(manifest) else None
        return EmbeddedView(folder, manifest, self._means.embed, before)
