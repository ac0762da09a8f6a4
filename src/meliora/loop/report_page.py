"""A report as Markdown. What comes from outside (names, reasons) is data: it makes no table, link or markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from meliora.loop.improvements import Gain
from meliora.loop.report import LoopReport, Share, Spent

NOT = "not measured"


def markdown(report: LoopReport) -> str:
    """Write it."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: LoopReport) -> Iterator[str]:
    yield f"# The loop from {_day(report.since_us)} to {_day(report.until_us)}"
    yield ""
    yield f"Tenant `{_plain(report.tenant)}`, environment {report.environment}. Times are UTC."
    yield from _head("Cycles")
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.cycles.items())
    yield f"- Cycles: {counts}"
    yield f"- Success rate (improved, of those closed): {_share(report.success)}"
    yield f"- Rollback rate (undone, of those kept or undone): {_share(report.rollbacks)}"
    longest = _hours(report.cycle_seconds_longest)
    yield f"- Time a cycle: median {_hours(report.cycle_seconds_median)}, longest {longest}"
    yield f"- Cost of the loop's own calls (whole days): {_spent(report.loop_cost)}"
    yield from _head("Improvements")
    rows = [
        (one.change, one.kind, one.target, "; ".join(_gain(gain) for gain in one.gains) or NOT)
        for one in report.improvements
    ]
    yield from _table(("change", "kind", "target", "measured in its trial (95% interval)"), rows)
    yield from _head("Cost optimisation")
    costs = report.cost_optimisation
    yield f"- Cost of 1,000 calls: {_usd(costs['cost_per_1k_calls_usd'])}, before: {_usd(costs['cost_per_1k_calls_usd_before'])}"
    yield f"- Changes with a measured effect on cost: {len(costs['measured'])}"
    yield from _head("Actions")
    yield from _table(
        ("change", "kind", "target", "state", "why"),
        [(one.change, one.kind, one.target, str(one.state), one.reason) for one in report.actions],
    )
    yield from _head("Next priorities")
    yield from ([f"{number}. {_plain(line)}" for number, line in enumerate(report.next, 1)] or ["Nothing waits."])
    yield from _head("Operation")
    lags = [f"{name} {NOT if value is None else f'{value:g} s'}" for name, value in report.backlog_seconds.items()]
    yield f"- Backlog: {', '.join(lags) or NOT}"
    yield f"- Uptime: {NOT if report.uptime is None else f'{report.uptime:.3%}'}"
    yield from _head("Aims")
    verdicts = {True: "yes", False: "no", None: "cannot be told"}
    yield from _table(
        ("what", "aim", "measured", "met"),
        [
            (one.name, one.aim, NOT if one.measured is None else f"{one.measured:.3g}", verdicts[one.met])
            for one in report.aims
        ],
    )


def _head(title: str) -> tuple[str, str, str]:
    return "", f"## {title}", ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "None."
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _share(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return NOT
    return f"{share.value:.0%} ({share.hits} of {share.of}; {share.low:.0%} to {share.high:.0%})"


def _gain(gain: Gain) -> str:
    def said(value: float | None) -> str:
        return "?" if value is None else f"{value:+.1%}" if gain.relative else f"{value:+.4g}"

    if gain.effect is None:
        return f"{gain.metric} {NOT}"
    return f"{gain.metric} {said(gain.effect)} ({said(gain.low)} to {said(gain.high)})"


def _spent(spent: Spent) -> str:
    missing = f", without {spent.unpriced} calls of unknown price" if spent.unpriced else ""
    return f"{_usd(spent.cost_micros / 1e6)} in {spent.calls:,} calls{missing}"


def _usd(value: float | None) -> str:
    return NOT if value is None else f"${value:,.4f}"


def _hours(seconds: float | None) -> str:
    return NOT if seconds is None else f"{seconds / 3600:.1f} h"


def _day(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def _plain(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"&#{ord(c)};" if c in "&<>|`[]*_\\!#" else c for c in clean)
