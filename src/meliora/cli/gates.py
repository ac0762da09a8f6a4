"""Gates from the command line: how each stands, and the bound it holds to."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.loop import cli_actor, opened_loop
from meliora.cli.shared import Json, Tenant, paint, say, show, table, when

app = typer.Typer(no_args_is_help=True, help="Gates: what must hold, and whether it does.")

Gate = Annotated[str, typer.Argument(help="Name of the gate, or its metric where one gate is on it.", metavar="GATE")]


@app.command("list")
def list_(tenant: Tenant = "default", json: Json = False) -> None:
    """List the gates: state, last value with its interval, the bound, and since when."""
    with opened_loop() as loop:
        rows = loop.board.status(tenant)
    if json:
        for row in rows:
            show(row)
        return
    lines = []
    for row in rows:
        last, gate = row.last, row.definition
        value = "-" if last is None or last.value is None else f"{last.value:.4g}"
        ends = "" if last is None or last.low is None or last.high is None else f" ({last.low:.4g} to {last.high:.4g})"
        bound = gate.threshold if gate.threshold is not None else f"{gate.change:+.1%} of the baseline"
        state = row.standing.state.replace("_", " ")
        lines.append(
            [
                row.name,
                paint(state, _STYLES.get(row.standing.state, "")),
                value + ends,
                f"{'at most' if gate.direction == 'max' else 'at least'} {bound}",
                str(0 if last is None else last.n),
                when(row.standing.changed_us or None),
                "" if last is None else last.reason,
            ]
        )
    table(lines, ("gate", "state", "value", "bound", "n", "since", "why"))


@app.command("set")
def set_(
    gate: Gate,
    threshold: Annotated[float, typer.Argument(help="The new bound, in the metric's unit.")],
    tenant: Tenant = "default",
) -> None:
    """Set the bound of a gate; it keeps its direction, and what was remembered of it begins anew."""
    with opened_loop() as loop:
        row = loop.desk.set_threshold(tenant, cli_actor(tenant), gate, threshold)
    say(f"{row.name} holds to {row.definition.threshold:g} now.")


@app.command()
def freeze(gate: Gate, tenant: Tenant = "default", json: Json = False) -> None:
    """Freeze what a gate's metric is now as the baseline that it is compared with."""
    from meliora.clock import SystemClock

    with opened_loop() as loop:
        baseline = loop.board.freeze(tenant, gate, SystemClock().now_us(), "cli")
    if json:
        show(baseline)
    else:
        say(f"Baseline {baseline.id} of {gate}: {baseline.value:.4g}, of {baseline.n} observations.")


_STYLES = {"pass": "ok", "near": "yellow", "fail": "error"}
