"""The learned policy: calibrated, proved, put in service, taken back."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from meliora.cli.shared import Json, Tenant, count, now_us, paint, say, settings, show, store, table, usd, when

if TYPE_CHECKING:
    from meliora.routing.learning.calibrate import ModelPrice, Quote, Step
    from meliora.routing.learning.promotion import Proof
    from meliora.routing.learning.records import Snapshot
    from meliora.routing.learning.scoring import ScorerStatus
    from meliora.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Routing that learns: calibrate a policy, prove it, put it in service.")

Number = Annotated[int, typer.Argument(min=1, help="Number of the snapshot.")]
Days = Annotated[float, typer.Option(min=0.01, help="How many days of traffic to look at.")]
Force = Annotated[bool, typer.Option("--force", help="Also where it has not proved better; its evidence says so.")]


@app.command()
def calibrate(
    prompts: Annotated[
        Path, typer.Option(help="JSON lines with `prompt` or `messages`, and `expected` if known; or a prompt a line.")
    ],
    sample: Annotated[int, typer.Option(min=20, help="Prompts to draw from the file.")] = 300,
    models: Annotated[str, typer.Option(help="Models to ask, with commas between; default: all that write text.")] = "",
    scorer: Annotated[str, typer.Option(help="Registered scorer; default: comparison with the expected answers.")] = "",
    key: Annotated[
        str, typer.Option(help="Key that pays, as env:NAME or file:PATH; default: the admin key of this machine.")
    ] = "",
    reference: Annotated[
        str, typer.Option(help="Model that quality is a share of; default: the declared one, else the best.")
    ] = "",
    url: Annotated[str, typer.Option(help="Gateway to ask; default: the one of these settings.")] = "",
    together: Annotated[int, typer.Option(min=1, max=64, help="Calls at once.")] = 8,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it costs something.")] = False,
    json: Json = False,
) -> None:
    """Let all models answer a sample of prompts, score the answers, and fit a policy to them: a candidate, not in service.

    Shows first what it will cost. Stopped or killed it goes on where it stood, and pays nothing twice.
    """
    from meliora.routing.learning.calibrate import Journal, Run, quotes
    from meliora.routing.learning.embedded import Embedded
    from meliora.routing.learning.prompts import read_prompts
    from meliora.routing.learning.prompts import sample as draw
    from meliora.runtime import calibration
    from meliora.runtime.asking import OwnGateway, gateway_url
    from meliora.runtime.shared import effective
    from meliora.settings.secret import resolve_secret
    from meliora.supervisor.child import THREADS

    for threads in THREADS:
        os.environ.setdefault(threads, "1")
    chosen = effective(settings())
    drawn = draw(read_prompts(prompts), sample)
    secret = resolve_secret(key or f"file:{_admin_key(chosen)}")
    gateway = OwnGateway(url or gateway_url(chosen))
    names = calibration.models_of(chosen, [name.strip() for name in models.split(",") if name.strip()])
    judge = calibration.scorer_of(chosen, scorer, drawn, gateway)
    prices = _prices(chosen, names)
    with store() as opened:
        tenant = calibration.key_of(opened, secret, now_us()).tenant
        path = calibration.journal_of(chosen, tenant, drawn)
        with Journal(path) as journal:
            vectors = calibration.vectors_of(chosen, drawn, gateway, journal)
            missing = quotes(drawn, prices, journal)
            runs: list[Steps] = [Run(drawn, names, journal, calibration.asking(gateway, secret, path), judge, together)]
            if isinstance(vectors, Embedded):
                missing.append(vectors.quote(_prices(chosen, [vectors.name])[vectors.name].input))
                runs.insert(0, vectors)  # costs the least, and fails before anything else is paid
            _agree(missing, judge.name, yes=yes)
            _run(runs)
            found = calibration.fit_and_keep(
                chosen, opened, tenant, drawn, prices, journal, judge.name, reference or None, vectors
            )
    if json:
        show(found)
        return
    held = f"holds {found.quality_share:.1%} of the quality of {found.reference}"
    saved = "; no cost is known" if math.isnan(found.saving) else f" and saves {found.saving:.1%} of its cost"
    say(
        f"Snapshot {found.snapshot.number}, fitted to {found.prompts} prompts: at the dial it {held}{saved}, out of fold."
    )
    say(f"It is {found.verdict}.")
    force = "" if found.verdict.startswith("better") else " --force"
    say(f"`meliora routing promote {found.snapshot.number}{force}` puts it in service.")


def _admin_key(chosen: Settings) -> Path:
    from meliora.supervisor.layout import Layout

    return Layout.of(chosen).admin_key


def _prices(chosen: Settings, names: list[str]) -> dict[str, ModelPrice]:
    from meliora.cli.models import rows
    from meliora.gateway.prices import resolve
    from meliora.routing.learning.calibrate import ModelPrice
    from meliora.runtime.shared import today

    known = {row.name: ModelPrice(row.input, row.output) for row in rows(chosen, resolve(chosen, today()))}
    return {name: known.get(name, ModelPrice()) for name in names}


def _agree(found: list[Quote], scorer: str, *, yes: bool) -> None:
    """Show what is still to be paid, and ask whether it may be."""
    calls = sum(quote.calls for quote in found)
    if not calls:
        return
    rows = [[one.model, str(one.calls), "unknown" if one.usd is None else usd(round(one.usd * 1e6))] for one in found]
    table(rows, ("model", "calls", "about"))
    known = sum(quote.usd for quote in found if quote.usd is not None)
    unpriced = [quote.model for quote in found if quote.usd is None]
    more = f", and what {', '.join(unpriced)} cost, which is not known" if unpriced else ""
    say(f"{calls} calls, about {usd(round(known * 1e6))}{more}; the scorer {scorer} on top, where it asks a model.")
    if not yes:
        typer.confirm("Go on?", abort=True)


class Steps(Protocol):
    """Something that a calibration has to do, step by step."""

    def missing(self) -> int:
        """Count what is left."""
        ...

    def steps(self) -> Iterator[Step]:
        """Do what is left, and tell each step."""
        ...


def _run(runs: list[Steps]) -> None:
    failed: dict[str, str] = {}
    count = 0
    with typer.progressbar(
        length=sum(run.missing() for run in runs), label="answers and scores", file=typer.get_text_stream("stderr")
    ) as bar:
        for step in chain.from_iterable(run.steps() for run in runs):
            bar.update(1)
            if step.error is not None:
                count += 1
                failed.setdefault(step.model, step.error)
    if failed:
        typer.echo(paint(f"{count} steps failed and are left out; run it again to fill them in:", "yellow"), err=True)
        for model, error in failed.items():
            typer.echo(f"  {model}: {error}", err=True)


@app.command()
def start(
    reference: Annotated[
        str, typer.Option(help="Model that answers until another is expected to be as good; default: the declared one.")
    ] = "",
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Begin without any data: a policy by the shipped prior, which serves the reference and learns from what comes."""
    from meliora.clock import SystemClock
    from meliora.runtime.shared import effective
    from meliora.runtime.starting import Offered, starting

    chosen = effective(settings())
    with store() as opened:
        snapshot = starting(chosen, opened, Offered(chosen, SystemClock())).by_hand(tenant, reference, "cli")
        opened.activity.append(
            tenant, "cli", "routing.start", str(snapshot.number), {"reference": snapshot.evidence["reference"]}
        )
    if json:
        show(snapshot)
        return
    say(f"Snapshot {snapshot.number} serves {tenant}: {_known(snapshot)}.")


@app.command()
def evaluate(number: Number, days: Days = 30.0, tenant: Tenant = "default", json: Json = False) -> None:
    """Hold a candidate against what serves, on logged traffic or by its replay. Changes nothing but its evidence."""
    from meliora.clock import SystemClock
    from meliora.runtime.learning import bench

    with store() as opened:
        proof = bench(settings(), opened, SystemClock(), days).prove(tenant, number)
    show(proof.evidence) if json else _proof(proof)


@app.command()
def promote(
    number: Number, force: Force = False, days: Days = 30.0, tenant: Tenant = "default", json: Json = False
) -> None:
    """Put a candidate in service that has proved better than what serves: the lower bound of the difference is above nought.

    With the loop on, by a change: it is tried on traffic first, unless `--force` puts it in service on your word.
    """
    from meliora.clock import SystemClock
    from meliora.runtime.learning import bench

    chosen = settings()
    if chosen.loop.enabled:
        _promoted(number, tenant, days, force=force, json=json)
        return
    with store() as opened:
        snapshot, proof = bench(settings(), opened, SystemClock(), days).promote(
            tenant, number, force=force, actor="cli"
        )
        opened.activity.append(tenant, "cli", "routing.promote", str(number), {"proved": proof.proved, "forced": force})
    if json:
        show(snapshot)
        return
    _proof(proof)
    say(f"Snapshot {number} serves {tenant}.")


@app.command()
def rollback(
    number: Annotated[
        int | None, typer.Argument(min=1, help="Snapshot to go back to; default: what served before.")
    ] = None,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Go back to what served before the present policy, and learn nothing anew of what came in until now."""
    from meliora.routing.learning.promotion import delivered_by

    with store() as opened:
        change = delivered_by(opened.routing_snapshots, tenant) if number is None and settings().loop.enabled else None
    if change is not None:
        _taken_back(change, tenant, json=json)
        return
    with store() as opened:
        snapshot = opened.routing_snapshots.rollback(tenant, number, evidence={"rolled_back_to_by": "cli"})
        serves = None if snapshot is None else snapshot.number
        opened.activity.append(tenant, "cli", "routing.rollback", str(serves or ""))
    if json:
        show(snapshot)
        return
    say(f"Snapshot {serves} serves {tenant}." if serves else f"No learned policy serves {tenant}, as before its first.")


def _promoted(number: int, tenant: str, days: float, *, force: bool, json: bool) -> None:
    from meliora.cli.loop import cli_actor, opened_loop
    from meliora.clock import SystemClock
    from meliora.loop.states import State
    from meliora.runtime.learning import bench

    with store() as opened:
        proof = bench(settings(), opened, SystemClock(), days).passed(tenant, number, force=force)
    with opened_loop() as loop:
        found = loop.asked(
            tenant, cli_actor(tenant), "routing_policy", "routing", {"snapshot": number, "forced": force}
        )
    with store() as opened:
        said = {"proved": proof.proved, "forced": force, "change": found.id}
        opened.activity.append(tenant, "cli", "routing.promote", str(number), said)
        snapshot = opened.routing_snapshots.get(tenant, number)
    if json:
        show({"snapshot": snapshot, "change": found.id, "state": found.state, "reason": found.reason})
        return
    _proof(proof)
    if found.state in (State.WATCHING, State.KEPT):
        say(f"Snapshot {number} serves {tenant} (change {found.id}).")
        return
    why = f": {found.reason}" if found.reason else ""
    say(f"Snapshot {number} does not serve yet. Change {found.id} is {found.state}{why}.")
    say(f"`meliora changes show {found.id}` tells how it goes on.")


def _taken_back(change: str, tenant: str, *, json: bool) -> None:
    from meliora.cli.loop import cli_actor, opened_loop

    with opened_loop() as loop:
        loop.taken_back(tenant, change, cli_actor(tenant), "")
    with store() as opened:
        snapshot = opened.routing_snapshots.serving(tenant)
        serves = None if snapshot is None else snapshot.number
        opened.activity.append(tenant, "cli", "routing.rollback", str(serves or ""), {"change": change})
    if json:
        show(snapshot)
        return
    said = f"Snapshot {serves} serves {tenant}" if serves else f"No learned policy serves {tenant}, as before its first"
    say(f"{said}; change {change} is rolled back.")


@app.command()
def snapshots(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """List the snapshots, the newest first."""
    with store() as opened:
        found = opened.routing_snapshots.list(tenant, limit=limit)
    if json:
        for one in found:
            show(one)
        return
    rows = [
        [str(one.number), one.kind, one.state, _parent(one), when(one.made_us), when(one.served_us), _known(one)]
        for one in found
    ]
    table(rows, ("number", "kind", "state", "from", "made", "serves since", "what is known"))


@app.command()
def status(tenant: Tenant = "default", json: Json = False) -> None:
    """Say what serves, what was learned, and from what."""
    from meliora.routing.learning.scoring import standing

    chosen = settings()
    with store() as opened:
        serving = opened.routing_snapshots.serving(tenant)
        counts = opened.outcomes.counts(tenant)
        scorers = standing(opened.outcomes, tenant, chosen.routing.scorers)
    learning = chosen.learning.enabled
    if json:
        show({"tenant": tenant, "serving": serving, "outcomes": counts, "learning": learning, "scorers": scorers})
        return
    if serving is None:
        say(
            f"No learned policy serves {tenant}; the classifier chooses. `meliora routing calibrate` or `start` makes one."
        )
    else:
        say(f"Snapshot {serving.number} ({serving.kind}) serves {tenant} since {when(serving.served_us)}.")
        say(f"  {_known(serving)}")
    say("Learning is on." if learning else "Learning is frozen (learning.enabled = false).")
    table([[source, count(number)] for source, number in counts.items()], ("outcomes from", "count"))
    if scorers:
        say()
        table(
            [[one.name, one.kind, str(one.labels), _believed(one)] for one in scorers],
            ("scorer", "kind", "labels", "is"),
        )


def _believed(one: ScorerStatus) -> str:
    if one.calibrated is None:
        return "taken at its word"
    if not one.calibrated:
        return f"uncalibrated: {one.needed} labels are needed"
    return f"calibrated: squared error {one.error_before} before, {one.error_after} after"


def _parent(one: Snapshot) -> str:
    return "-" if one.parent is None else str(one.parent)


def _known(one: Snapshot) -> str:
    said = [f"{one.evidence['origin']}; reference {one.evidence['reference']}"] if "origin" in one.evidence else []
    said += [f"{one.evidence[name]} {name}" for name in ("prompts", "outcomes") if name in one.evidence]
    proof = one.evidence.get("proof") or one.evidence.get("replay")
    if isinstance(proof, dict) and proof.get("verdict"):
        said.append(str(proof["verdict"]))
    if one.evidence.get("forced"):
        said.append("forced")
    return "; ".join(said) if one.kept else "; ".join([*said, "bytes let go"])


def _proof(proof: Proof) -> None:
    how = {"logged": "on logged traffic", "replay": "by replay", "none": "nothing to go by"}[proof.method]
    against = "no policy" if proof.running is None else f"snapshot {proof.running}"
    say(
        f"Snapshot {proof.number} against {against}, {how}: {paint(proof.sentence, 'green' if proof.proved else 'yellow')}."
    )
    if proof.method == "logged":
        shares = [f"{proof.evidence['decisions']} decisions"]
        for name, what in (("unsupported_share", "without support"), ("unpriced_share", "without a known cost")):
            share = proof.evidence[name]
            shares.append(f"{'unknown' if share is None else f'{share:.1%}'} {what}")
        say(f"  {', '.join(shares)}; effective sample size {proof.evidence['difference']['ess']}")
