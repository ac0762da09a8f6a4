"""The rest of `meliora knowledge`: why, how good, and what is kept in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from meliora.cli.knowledge import Collection, app, opened_plane
from meliora.cli.knowledge_answers import tell_answer
from meliora.cli.shared import Json, Tenant, now_us, plain, say, show, table, when
from meliora.errors import InvalidRequest

__all__ = ["app"]

judgments = typer.Typer(no_args_is_help=True, help="Judgments: which documents answer a query, and how well.")
upkeep = typer.Typer(no_args_is_help=True, help="How a collection stands.")
app.add_typer(judgments, name="judgments")
app.add_typer(upkeep, name="upkeep")
Now = Annotated[bool, typer.Option("--now", help="Compare all documents first, here and now.")]
Apply = Annotated[bool, typer.Option("--apply", help="Archive them; without it, they are only named.")]


@app.command()
def explain(
    query: Annotated[list[str], typer.Argument(help="What is looked for.")],
    document: Annotated[str, typer.Option(help="Id of a document whose place is to be told.")] = "",
    collection: Collection = "default",
    method: Annotated[
        Literal["shap", "lime"], typer.Option(help="How a reranker's scores are explained; `lime` needs the extra.")
    ] = "shap",
    limit: Annotated[int, typer.Option(help="Results.")] = 5,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Explain a search: what each stage contributed, and where a document stands, be it found or not."""
    from meliora.knowledge.search.searcher import Request

    with opened_plane() as plane:
        plane.check(tenant, collection)
        asked = Request(" ".join(query), limit, explain=True)
        found = plane.explain(tenant, collection, asked, document or None, method)
    if json:
        show(found)
        return
    tell_answer(found.answer)
    if found.document is not None:
        place = found.document
        say(f"{plain(place.document)}: {place.said}")
        say(f"  has: {plain(', '.join(one.term for one in place.matched)) or 'none of the words'}")
        say(f"  lacks: {plain(', '.join(place.lacking)) or 'nothing'}")
        if place.words is not None:
            for side, words in (("query", place.words.query), ("document", place.words.document)):
                say(
                    f"  words of the {side}: {plain(', '.join(f'{word} {worth:+.3f}' for word, worth in words.items()))}"
                )


@app.command()
def feedback(
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    said: Annotated[Literal["click", "accept", "reject"], typer.Argument(help="What became of it.")],
    document: Annotated[str, typer.Option(help="Id of the document; none: the answer as a whole.")] = "",
    tenant: Tenant = "default",
) -> None:
    """Say what became of a search that was made over HTTP."""
    from meliora.knowledge.front import Opinion
    from meliora.knowledge.serving import Who

    with opened_plane() as plane:
        plane.opine(Who(tenant=tenant, key="cli"), Opinion(search=search, said=said, document=document or None))
    say("Noted.")


@judgments.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines of query, document and grade; or of queries, with --qrels.")],
    qrels: Annotated[Path | None, typer.Option(help="Lines QUERY DOCUMENT GRADE, or TREC's.")] = None,
    name: Annotated[str, typer.Option(help="`frozen` is what changes are proved by.")] = "frozen",
    collection: Collection = "default",
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Keep judgments under the next version of their name."""
    from meliora.knowledge.quality.judgments import from_jsonl, from_qrels
    from meliora.knowledge.shelf import Judgment

    try:
        text = file.read_text(encoding="utf-8")
        read = from_jsonl(name, 1, text) if qrels is None else from_qrels(name, 1, text, qrels.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The judgments cannot be read: {error}.") from error
    rows = [Judgment(one.query, read.queries[one.query], one.document, max(0.0, one.grade)) for one in read.judgments]
    with opened_plane() as plane:
        info = plane.judgments.put(tenant, collection, name, rows, "cli")
    if json:
        show(info)
        return
    say(f"{info.name} version {info.version}: {info.judgments} judgments of {info.queries} queries.")


@app.command()
def quality(
    collection: Collection = "default",
    days: Annotated[float, typer.Option(min=0.01, max=3650, help="Of searches that are read.")] = 7.0,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Tell how good searches are: by judgments, and by what people did."""
    from meliora.knowledge.quality.report import quality as report

    with opened_plane() as plane:
        plane.check(tenant, collection)
        until = now_us()
        found = report(plane, tenant, collection, max(0, until - round(days * 86_400_000_000)), until)
    if json:
        show(found)
        return
    rows: list[list[str]] = []
    if found.judged is not None:
        for label in ("ndcg", "recall", "precision", "reciprocal_rank"):
            one = getattr(found.judged, label)
            rows.append([f"{label}@{found.judged.k}", _figure(one.value), _reach(one.low, one.high), str(one.n)])
    for label in ("click_through", "reformulation", "abandonment", "accepted"):
        one = getattr(found.proxies, label)
        rows.append([label, _figure(one.value), _reach(one.low, one.high), str(one.n)])
    table(rows, ("figure", "value", "95%", "n"))
    if found.judged is None:
        say("Nobody has judged any query: `meliora knowledge judgments import` keeps what people say.")


@app.command()
def snapshots(collection: Collection = "default", tenant: Tenant = "default", json: Json = False) -> None:
    """List the configurations of a collection's searches."""
    with opened_plane() as plane:
        plane.check(tenant, collection)
        kept, serving = plane.snapshots.list(tenant, collection), plane.snapshots.serving(tenant, collection).number
    if json:
        for one in kept:
            show(one)
        return
    say(f"Snapshot {serving} serves.")
    table([[str(one.number), one.made_by, when(one.made_us)] for one in kept], ("snapshot", "made by", "at"))


@app.command()
def stale(collection: Collection = "default", tenant: Tenant = "default", json: Json = False) -> None:
    """List documents that are too old for their category."""
    with opened_plane() as plane:
        found = plane.keeper.stale(tenant, collection)
    if json:
        for one in found:
            show(one)
        return
    table([[plain(one.id), f"{one.confidence:.2f}", plain(one.reason)] for one in found], ("document", "sure", "why"))


@app.command()
def redundant(
    collection: Collection = "default", now: Now = False, tenant: Tenant = "default", json: Json = False
) -> None:
    """List near-duplicates: those that may be consolidated, and those that a person has to look at."""
    from meliora.knowledge.upkeep.keeper import COMPARE

    with opened_plane() as plane:
        if now:
            plane.keeper.compare(tenant, collection)
        known = plane.keeper.compared(tenant, collection)
    if json:
        show(known)
        return
    if known is None:
        say(f"They were never compared. {COMPARE}")
        return
    found = known.found
    say(f"Compared {when(known.compared_us)}{', and changed since' if known.changed else ''}.")
    rows = [[plain(one.kept), plain(one.archived), "says the same"] for one in found.pairs]
    rows += [[plain(one.a), plain(one.b), plain(f"{one.why}: {one.said}")] for one in found.queued]
    table(rows, ("document", "other", "what"))


@app.command()
def prune(
    collection: Collection = "default",
    apply: Apply = False,
    now: Now = False,
    confidence: Annotated[float, typer.Option(min=0, max=1, help="How sure it must be.")] = 0.8,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Plan to archive what is stale, double or useless; with --apply, do it. Nothing is deleted."""
    with opened_plane() as plane:
        if now:
            plane.keeper.compare(tenant, collection)
        found = plane.keeper.plan(tenant, collection, least=confidence, apply=apply)
    if json:
        show(found)
        return
    for one in found.pruning.entries:
        say(f"  {plain(one.id)}: {plain(one.said)}")
    if found.applied and not found.archived:
        say("There was nothing to archive.")
    elif found.applied:
        say(f"{found.archived} archived. `meliora knowledge restore {found.plan}` takes it back.")
    else:
        say(f"{len(found.pruning.entries)} would be archived; --apply does it.")


@app.command()
def restore(
    plan: Annotated[str, typer.Argument(help="Hash of the plan, as `prune` told it.")],
    ids: Annotated[list[str] | None, typer.Argument(help="Only these documents.", metavar="[ID]...")] = None,
    collection: Collection = "default",
    tenant: Tenant = "default",
) -> None:
    """Let what a plan archived be found again."""
    with opened_plane() as plane:
        say(f"{plane.keeper.restore(tenant, collection, plan, ids or None)} restored.")


@upkeep.command()
def report(collection: Collection = "default", tenant: Tenant = "default", json: Json = False) -> None:
    """Tell how a collection stands."""
    with opened_plane() as plane:
        found = plane.keeper.health(plane.keeper.look(tenant, collection))
    if json:
        show(found)
        return
    say(f"{collection}: {found.status}, {found.health_score} of 100; {found.total} documents, {found.stale} stale")
    if found.unknown:
        say(f"  not known: {', '.join(found.unknown)}")


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _reach(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
