"""Documents and searches from the command line, on this machine's index, whether the server runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.knowledge_answers import filter_of, tell_answer
from meliora.cli.shared import Json, Tenant, paint, plain, say, settings, show, store, table, when

if TYPE_CHECKING:
    from meliora.knowledge.documents import Document
    from meliora.knowledge.front import Plane
    from meliora.knowledge.library import Taken

app = typer.Typer(no_args_is_help=True, help="Documents: keep them, search them, see how they are found.")

Collection = Annotated[str, typer.Option("--collection", "-c", help="Set of documents that is searched as one.")]
PATIENCE = 120.0
"""Seconds for which a command waits for another process that writes the same index."""
_SHOWN = 20
"""Refused documents that are named."""


@contextmanager
def opened_plane() -> Iterator[Plane]:
    """Open the plane of these settings over the local store. Raises `MissingExtra`, `StoreError`."""
    from meliora.clock import SystemClock
    from meliora.runtime.knowledge.plane import plane_of

    chosen = settings()
    with store() as opened:
        plane = plane_of(chosen, opened, SystemClock())
        try:
            yield plane
        finally:
            plane.close()


@app.command()
def index(
    source: Annotated[
        str, typer.Argument(help="File, folder, JSON lines, or a list of addresses (`urls.txt`).", metavar="PATH")
    ],
    collection: Collection = "default",
    category: Annotated[str, typer.Option(help="Category of all of them: how soon they are stale.")] = "",
    export: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="KIND",
            help="Read another memory, its export or its address: "
            "letta_archival, qdrant_vector, session_memory, learnings_md or knowledge_files.",
        ),
    ] = "",
    key: Annotated[
        str, typer.Option(metavar="REF", help="Reference (`env:NAME`, `file:PATH`) to a key of Qdrant or Letta.")
    ] = "",
    own_network: Annotated[
        bool, typer.Option("--own-network", help="Go to addresses of one's own network, too.")
    ] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Keep documents and make them searchable. The same source again takes up what is new or has changed."""
    from meliora.knowledge.reading.base import Limits, Refused
    from meliora.knowledge.reading.sources import read_any, read_export
    from meliora.settings.secret import resolve_secret

    refused: list[Refused] = []
    seen: set[int] = set()
    again: dict[str, str] = {}
    limits = Limits(file_bytes=settings().knowledge.document_bytes)

    def documents() -> Iterator[Document]:
        import msgspec

        secret = resolve_secret(key) if key else ""
        found = (
            read_export(export, source, limits, private=own_network, key=secret)
            if export
            else read_any(source, limits, private=own_network)
        )
        for one in found:
            if isinstance(one, Refused):
                refused.append(one)
                continue
            if hash(one.id) in seen:
                again[one.id] = one.source
            seen.add(hash(one.id))
            yield msgspec.structs.replace(one, category=category) if category and not one.category else one

    with opened_plane() as plane:
        taken = plane.library.put(tenant, collection, documents())
        ready = not taken.latest or plane.bring_up(tenant, collection, taken.latest, PATIENCE)
    said = {
        "added": taken.added,
        "updated": taken.updated,
        "unchanged": taken.unchanged,
        "again": [{"id": id, "source": place} for id, place in again.items()],
        "refused": [*({"id": one.source, "reason": one.reason, "hint": one.hint} for one in refused), *taken.refused],
        "marked": taken.marked,
        "searchable": ready,
    }
    if json:
        show(said)
        return
    _tell(taken, [(one.source, one.reason, one.hint) for one in refused], ready)
    for id, place in list(again.items())[:_SHOWN]:
        say(
            f"  {paint('again', 'yellow')} {plain(id)}: it was given more than once, and stands as {plain(place)} has it."
        )
    if len(again) > _SHOWN:
        say(f"  and {len(again) - _SHOWN} more ids were given more than once.")


def _tell(taken: Taken, refused: list[tuple[str, str, str]], ready: bool) -> None:
    parts = [f"{taken.added} added", f"{taken.updated} updated", f"{taken.unchanged} unchanged"]
    say(", ".join(parts) + ("." if ready else "; the index is still behind: the worker goes on with it."))
    refused += [(one.id, one.reason, one.hint) for one in taken.refused]
    for name, reason, hint in refused[:_SHOWN]:
        say(f"  {paint('refused', 'error')} {plain(name)}: {plain(reason).rstrip('.')}. {plain(hint)}".rstrip())
    if len(refused) > _SHOWN:
        say(f"  and {len(refused) - _SHOWN} more were refused.")
    for mark, count in sorted(taken.marked.items()):
        say(f"  {paint('marked', 'yellow')} {mark}: {count}")


@app.command()
def search(
    query: Annotated[list[str], typer.Argument(help="What is looked for.")],
    collection: Collection = "default",
    limit: Annotated[int, typer.Option(help="Results.")] = 5,
    where: Annotated[
        list[str], typer.Option("--where", help="FIELD=VALUE, or with >=, >, <=, <; may be given again.")
    ] = [],  # noqa: B006
    explain: Annotated[bool, typer.Option(help="Tell what each stage contributed.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Search. Not recorded as a search of your users'."""
    from meliora.knowledge.filters import read_filter
    from meliora.knowledge.search.searcher import Request

    asked = Request(" ".join(query), limit, read_filter(filter_of(where)), explain=explain)
    with opened_plane() as plane:
        plane.shelf.collection(tenant, collection)
        answer = plane.look(tenant, collection, asked)
    if json:
        show(answer)
        return
    tell_answer(answer)


@app.command("list")
def list_(tenant: Tenant = "default", json: Json = False) -> None:
    """List the collections."""
    with opened_plane() as plane:
        kept = plane.shelf.collections(tenant)
    if json:
        for one in kept:
            show(one)
        return
    lines = [
        [one.name, str(one.documents), str(one.snapshot or 0), one.generation, when(one.created_us)] for one in kept
    ]
    table(lines, ("collection", "documents", "snapshot", "generation", "since"))


@app.command("show")
def show_(collection: Collection = "default", tenant: Tenant = "default", json: Json = False) -> None:
    """Show how a collection stands: its configuration, and how far its index has come."""
    with opened_plane() as plane:
        status = plane.status(tenant, collection)
    if json:
        show(status)
        return
    fusion, config = status.configuration.fusion, status.configuration
    say(
        f"{collection}: {status.collection.documents} documents, {status.indexed} indexed as {status.passages} passages"
    )
    say(
        f"  index      generation {status.generation}, {'up to date' if not status.behind else f'{status.behind} behind'}"
    )
    say(f"  snapshot   {status.collection.snapshot or 0}")
    say(f"  fusion     words {fusion.words:g}, n-grams {fusion.grams:g}, vectors {fusion.dense:g} (k {fusion.k:g})")
    say(f"  spelling   {'on' if config.spelling else 'off'}")
    say(f"  expansion  {config.expansion.table[:12] if config.expansion else 'off'}")
    say(f"  reranking  {config.reranking.model[:12] if config.reranking else 'off'}")


@app.command()
def audit(collection: Collection = "default", tenant: Tenant = "default", json: Json = False) -> None:
    """Hold this machine's index against the documents that it should have."""
    with opened_plane() as plane:
        found = plane.audit(tenant, collection)
    if json:
        show(found)
        return
    counts = f"{len(found.missing)} missing, {len(found.stale)} stale, {len(found.extra)} extra"
    say(f"{found.indexed} of {found.documents} documents are indexed: {counts}, {found.behind} to come.")
    if found.faults:
        say("`meliora knowledge rebuild` builds the index again.")


@app.command()
def rebuild(collection: Collection = "default", tenant: Tenant = "default") -> None:
    """Build the index again from its documents, beside the one that serves, and switch when it is whole."""
    with opened_plane() as plane:
        generation = plane.rebuild(tenant, collection, PATIENCE)
    say(f"Generation {generation} of {collection} serves.")


@app.command()
def delete(
    ids: Annotated[list[str], typer.Argument(help="Ids of documents.", metavar="ID...")],
    collection: Collection = "default",
    tenant: Tenant = "default",
) -> None:
    """Delete documents for good."""
    with opened_plane() as plane:
        gone = plane.delete(tenant, collection, ids)
        ready = plane.bring_up(tenant, collection, plane.shelf.latest(tenant, collection), PATIENCE)
    say(f"{gone} deleted." if ready else f"{gone} deleted; the index is still behind.")
