"""Models trained on data sets: `meliora knowledge train`, how a run stands, and what is proposed to the loop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from meliora.cli.knowledge import Collection, opened_plane
from meliora.cli.knowledge_datasets import app
from meliora.cli.shared import Json, Tenant, now_us, paint, plain, say, settings, show, table
from meliora.errors import Conflict, InvalidRequest

if TYPE_CHECKING:
    from meliora.knowledge.augment.learning import Learnable
    from meliora.knowledge.augment.trainers import Progress, Report, Trainer
    from meliora.knowledge.config import Snapshot
    from meliora.knowledge.front import Plane
    from meliora.loop.change import Change

__all__ = ["app"]

Kind = Literal["local", "h2o"]
Data = Annotated[Path, typer.Option("--data", metavar="FILE", help="JSON lines of query, document and grade.")]


@app.command()
def train(
    data: Data,
    trainer: Annotated[Kind, typer.Option(help="`local`: a reranker, here. `h2o`: by H2O LLM Studio.")] = "local",
    collection: Collection = "default",
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where it is trained. Default: in the state directory.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=1_000_000, help="The same one gives the same model.")] = 1,
    propose: Annotated[bool, typer.Option("--propose", help="Ask the loop at once to prove and try it.")] = False,
    studio: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A checkout of H2O LLM Studio.")] = None,
    python: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its interpreter. Default: .venv/bin/python of the checkout.")
    ] = None,
    sets: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="Of H2O LLM Studio, such as llm_backbone.")
    ] = [],  # noqa: B006
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Write what H2O LLM Studio is run by, and start nothing.")
    ] = False,
    hours: Annotated[float, typer.Option(min=0.01, help="Longest run of H2O LLM Studio.")] = 24.0,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Train on a data set, and make what was trained a candidate. Nothing is switched on: the loop proves and tries it first.

    Queries of the frozen judgments, and those made of them, are left out: they prove what was trained.
    """
    from meliora.runtime.knowledge.trainers import candidate, data_of

    with opened_plane() as plane:
        learned = data_of(plane, tenant, collection, data)
        if trainer == "h2o" and prepare:
            _prepared(plane, tenant, collection, _set(sets, seed), learned, output or _folder(trainer, learned), json)
            return
        if trainer == "h2o":
            made = _h2o(plane, tenant, collection, studio, python, _set(sets, seed), hours)
        else:
            made = _local(plane, tenant, collection, seed)
        folder = (output or _folder(trainer, learned)).absolute()
        with _stopping() as stop:
            report = made.train(learned, folder, _silent if json else _told(), stop)
        kept = candidate(plane, tenant, collection, folder, report)
    change = None if kept is None or not propose else _proposed(tenant, collection, kept.number)
    if json:
        number = None if kept is None else kept.number
        show({"folder": str(folder), "snapshot": number, "change": change and change.id, "report": report})
    else:
        _reported(data, folder, report, kept, collection)
        if change is not None:
            _changed(change)
    if report.state != "finished":
        raise typer.Exit(1)


@app.command()
def training(
    folder: Annotated[Path, typer.Argument(help="Where a run was begun.", metavar="FOLDER")], json: Json = False
) -> None:
    """Tell how a run of `train` stands."""
    from meliora.integrations.h2o_llm_studio.trainer import progress

    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is no folder.", hint="`meliora knowledge train` tells where it trains.")
    found = progress(folder)
    if json:
        show(found)
        return
    say(_line(found))
    table([[name, f"{value:g}"] for name, value in sorted(found.metrics.items())], ("figure", "value"))


@app.command()
def propose(
    number: Annotated[int, typer.Argument(min=1, help="Number of a snapshot.", metavar="SNAPSHOT")],
    collection: Collection = "default",
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Ask the loop to prove, try and watch a configuration of searches. It serves nobody before that."""
    change = _proposed(tenant, collection, number)
    if json:
        show(change)
        return
    _changed(change)


def _local(plane: Plane, tenant: str, collection: str, seed: int) -> Trainer:
    from meliora.runtime.knowledge.trainers import local

    return local(plane, tenant, collection, seed)


def _h2o(
    plane: Plane,
    tenant: str,
    collection: str,
    studio: Path | None,
    python: Path | None,
    said: dict[str, Any],
    hours: float,
) -> Trainer:
    from meliora.clock import SystemClock
    from meliora.integrations.h2o_llm_studio.process import Limits
    from meliora.runtime.knowledge.trainers import h2o

    if studio is None:
        raise InvalidRequest(
            "H2O LLM Studio is run from a checkout, and none is named.",
            hint="Give it by --studio FOLDER.",
            field="studio",
        )
    limits = Limits(seconds=hours * 3600)
    return h2o(plane, tenant, collection, SystemClock(), said, studio, python, limits, os.environ)


def _prepared(
    plane: Plane, tenant: str, collection: str, said: dict[str, Any], data: Learnable, folder: Path, json: bool
) -> None:
    from meliora.integrations.h2o_llm_studio.trainer import CONFIG
    from meliora.runtime.knowledge.trainers import prepared

    config = folder.absolute() / CONFIG
    rows = prepared(plane, tenant, collection, said, data, config.parent)
    if json:
        show({"configuration": str(config), "rows": rows})
        return
    say(f"{rows['train_rows']:g} rows to learn from, {rows['validation_rows']:g} held out.")
    say(f"In a checkout of H2O LLM Studio: `python llm_studio/train.py -Y {config}`")
    say(f"`meliora knowledge training {config.parent}` tells how it stands.")


def _set(sets: list[str], seed: int) -> dict[str, Any]:
    said: dict[str, Any] = {"seed": seed}
    for one in sets:
        name, mark, value = one.partition("=")
        if not mark or not name:
            raise InvalidRequest(f"{one!r} sets nothing.", hint="Write NAME=VALUE.", field="set")
        said[name] = value
    return said


def _folder(trainer: Kind, learned: Learnable) -> Path:
    stamp = f"-{now_us() // 1_000_000}" if trainer == "h2o" else ""
    return settings().server.state_dir / "training" / f"{trainer}-{learned.name}{stamp}"


def _proposed(tenant: str, collection: str, number: int) -> Change:
    """Begin a change that delivers a snapshot. Raises `NotFound`, and `Conflict` where nothing would prove it."""
    from meliora.cli.loop import cli_actor, opened_loop
    from meliora.knowledge.quality.report import kind_of

    if not settings().loop.enabled:
        raise Conflict(
            f"Snapshot {number} is kept, but the loop is off: nothing would prove it.", hint="Set loop.enabled."
        )
    with opened_plane() as plane:
        plane.check(tenant, collection)
        serving = plane.snapshots.serving(tenant, collection)
        wanted = plane.snapshots.get(tenant, collection, number)
    if serving.number == number:
        raise Conflict(f"Snapshot {number} of {collection} serves already.")
    said = {"collection": collection, "snapshot": number, "forced": False}
    with opened_loop() as loop:
        kind = kind_of(serving.config, wanted.config)
        return loop.asked(tenant, cli_actor(tenant), kind, f"search:{collection}", said)


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Give what tells whether the command was asked to stop; the second time it is asked, it stops where it stands."""
    asked: list[int] = []
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        asked.append(number)
        for one, handler in before.items():
            signal.signal(one, handler)

    for one in before:
        signal.signal(one, note)
    try:
        yield lambda: bool(asked)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _silent(progress: Progress) -> None:
    return None


def _told() -> Callable[[Progress], None]:
    """Give what prints how a run goes on, each word once; on standard error, since it is no part of the answer."""
    last: list[str] = []

    def tell(progress: Progress) -> None:
        line = _line(progress)
        if line not in last:
            last[:] = [line]
            typer.echo(line, err=True)

    return tell


def _line(progress: Progress) -> str:
    share = "" if progress.share is None else f" {progress.share:4.0%}"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted(progress.metrics.items()) if name in _FOLLOWED)
    return " ".join(one for one in (f"{progress.state}{share}", plain(progress.said), figures) if one)


_FOLLOWED = ("train loss", "validation loss", "AUC", "ndcg10_before", "ndcg10_after")


def _reported(data: Path, folder: Path, report: Report, kept: Snapshot | None, collection: str) -> None:
    gone = ", ".join(f"{count} {reason}" for reason, count in report.left_out.items())
    say(f"{report.queries} queries of {data}" + (f"; left out: {gone}." if gone else "."))
    if report.held_out is not None:
        held = report.held_out
        rows = [
            [f"ndcg@{held.k} {name}", _figure(one.value), _reach(one.low, one.high), str(one.n)]
            for name, one in (("before", held.before), ("after", held.after))
        ]
        rows.append(["difference", _signed(held.difference), _reach(held.low, held.high), str(held.queries)])
        table(rows, ("held out", "value", "95%", "queries"))
    else:
        table([[name, f"{value:g}"] for name, value in sorted(report.metrics.items())], ("figure", "value"))
    for one in report.files:
        say(f"  {one.name}: {one.bytes} bytes, sha256 {one.sha256[:16]}")
    if report.features:
        say(f"  features: schema {report.features[:16]}")
    say(f"  all of it is in {folder}")
    if report.state != "finished":
        say(paint(f"The training {report.state}: {plain(report.said)}.", "error"))
    elif kept is not None:
        say(f"Snapshot {kept.number} of {collection} is a candidate: it answers no search yet.")
        say(f"`meliora knowledge propose {kept.number} --collection {collection}` lets the loop prove it and try it.")
    elif report.held_out is not None:
        say(f"It is no candidate: {report.said}.")
    else:
        say(
            "Meliora does not load such a model: no search is answered by it. Its files are the checkpoint of H2O LLM Studio."
        )


def _changed(change: Change) -> None:
    why = f": {change.reason}" if change.reason else ""
    say(f"Change {change.id} is {change.state}{plain(why)}.")
    say(f"`meliora changes show {change.id}` tells how it goes on.")


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f}"


def _reach(low: float | None, high: float | None) -> str:
    return (
        "" if low is None or high is None else f"{low:+.3f} to {high:+.3f}" if low < 0 else f"{low:.3f} to {high:.3f}"
    )
