"""Data sets of made queries from the command line: made, listed, read, written as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meliora.cli.knowledge import opened_plane
from meliora.cli.knowledge_upkeep import app
from meliora.cli.shared import Json, Tenant, paint, plain, say, show, table, when
from meliora.errors import InvalidRequest

if TYPE_CHECKING:
    from meliora.knowledge.augment.shelf import DataSet
    from meliora.knowledge.augment.workshop import MadeSet

__all__ = ["app"]

_SHOWN = 10
"""Examples of each method that are shown."""


@app.command()
def augment(
    collection: Annotated[str, typer.Argument(help="Collection of which queries are made.")] = "default",
    method: Annotated[
        list[str], typer.Option(help="A method; may be given again. Left out: all without a model.")
    ] = [],  # noqa: B006
    token: Annotated[
        list[str], typer.Option(help="A word to aim at; may be given again. Left out: those searches are weak at.")
    ] = [],  # noqa: B006
    count: Annotated[int, typer.Option(help="Most examples.")] = 200,
    seed: Annotated[int, typer.Option(help="The same one makes the same set.")] = 1,
    everything: Annotated[
        bool, typer.Option("--all-words", help="Aim at no word, whatever searches are weak at.")
    ] = False,
    searches: Annotated[bool, typer.Option("--searches", help="Also of what people searched for and found.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Make a data set of queries that a collection answers: misspelled, shortened, in other words, or made of its documents."""
    from meliora.knowledge.augment.workshop import FREE, Wish

    if token and everything:
        raise InvalidRequest("--token and --all-words exclude each other.", field="token")
    tokens = tuple(token) if token else () if everything else None
    wish = Wish(methods=_methods(method) if method else FREE, tokens=tokens, count=count, seed=seed, searches=searches)
    with opened_plane() as plane:
        made = plane.workshop.make(tenant, collection, wish, "cli")
        rows = plane.workshop.sets.examples(tenant, made.dataset.id)
    if json:
        show(made)
        return
    _told(made)
    _tell_examples([(one.method, one.query, one.document) for one in rows])


def _methods(said: list[str]) -> tuple:
    from meliora.knowledge.augment.examples import METHODS

    for one in said:
        if one not in METHODS:
            raise InvalidRequest(f"{one!r} is no method.", hint=f"There are: {', '.join(METHODS)}.", field="method")
    return tuple(one for one in METHODS if one in said)


def _told(made: MadeSet) -> None:
    _tell(made.dataset)
    if not made.fresh:
        say("  It was there already: the same wish over the same documents makes the same set.")
    for reason, number in sorted(made.refused.items()):
        said = "near a judged query" if reason == "test_set" else reason
        say(f"  refused    {number} {plain(said)}")
    if made.lacking:
        say(f"  nothing has {plain(', '.join(made.lacking))}")
    for one in made.notes:
        say(f"  {paint('note', 'yellow')}       {plain(one)}")


def _tell(one: DataSet) -> None:
    used = f"; {plain(one.used_by or '')} was trained on it" if one.used_for_training else ""
    varied = "-" if one.diversity_score is None else f"{one.diversity_score:.2f}"
    say(f"{one.id}: {one.examples} examples of {plain(one.collection)}{used}")
    say(f"  methods    {', '.join(one.methods)}")
    say(f"  words      {plain(', '.join(one.target_tokens)) or 'all'}")
    say(f"  quality    {one.quality_score:.2f}, diversity {varied}")
    dvc = one.described.dvc
    if dvc.path is not None:
        say(f"  dvc        {plain(dvc.path)}, {dvc.hash}")


def _tell_examples(rows: list[tuple[str, str, str]]) -> None:
    shown: dict[str, int] = {}
    lines: list[list[str]] = []
    for method, query, document in sorted(rows, key=lambda one: one[0]):
        shown[method] = shown.get(method, 0) + 1
        if shown[method] <= _SHOWN:
            lines.append([method, query, document])
    table(lines, ("method", "query", "is answered by"))
    left = len(rows) - len(lines)
    if left:
        say(f"and {left} more; `meliora knowledge datasets ID --out FOLDER` writes them all.")


@app.command()
def datasets(
    dataset: Annotated[str, typer.Argument(help="Id of a data set; left out: all are listed.", metavar="[ID]")] = "",
    collection: Annotated[str, typer.Option("--collection", "-c", help="Only those of this collection.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder to write its manifest, CSV and JSON lines to.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it for good.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """List data sets, or show one with its examples; write it as files, or delete it."""
    if not dataset and (out is not None or delete):
        raise InvalidRequest("No data set is named.", hint="`meliora knowledge datasets` lists them.", field="dataset")
    with opened_plane() as plane:
        sets = plane.workshop.sets
        if not dataset:
            if collection:
                plane.check(tenant, collection)
            _list(list(sets.list(tenant, collection or None)), json)
            return
        found = sets.get(tenant, dataset)
        rows = () if delete else sets.examples(tenant, dataset)
        if delete:
            sets.delete(tenant, dataset)
    if delete:
        say(f"{dataset} is deleted.")
    elif out is not None:
        from meliora.knowledge.augment.manifest import files
        from meliora.loop.artifacts.plain import to_yaml

        _write(out, files(found.described, rows, to_yaml))
    elif json:
        show(found)
    else:
        _tell(found)
        _tell_examples([(one.method, one.query, one.document) for one in rows])


def _list(found: list[DataSet], json: bool) -> None:
    if json:
        for one in found:
            show(one)
        return
    lines = [
        [
            one.id,
            one.collection,
            str(one.examples),
            f"{one.quality_score:.2f}",
            ", ".join(one.methods),
            one.used_by or "-",
            when(one.made_us),
        ]
        for one in found
    ]
    table(lines, ("data set", "collection", "examples", "quality", "methods", "trained", "made"))


def _write(folder: Path, named: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in named.items():
            (folder / name).write_bytes(body)
            say(str(folder / name))
    except OSError as error:
        raise InvalidRequest(f"The files cannot be written: {error}.", field="out") from error
