"""Calls as they were recorded: list, show, and tail, which is made to be watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from meliora.cli.shared import Json, Tenant, count, moment, now_us, paint, plain, say, show, store, took, usd, when
from meliora.errors import InvalidRequest

if TYPE_CHECKING:
    from meliora.store.calls.calls import Call

app = typer.Typer(no_args_is_help=True, help="Calls: what was asked, what answered, how long and for how much.")

_WIDTHS = {
    "time": 14,
    "model": 24,
    "status": 9,
    "took": 7,
    "first": 7,
    "tokens": 13,
    "cost": 11,
    "reason": 22,
    "user": 14,
}
POLL_SECONDS = 0.5


@app.command()
def tail(
    number: Annotated[int, typer.Option("--lines", "-n", min=1, max=500, help="Calls to begin with.")] = 20,
    follow: Annotated[bool, typer.Option(help="Go on as calls are served.")] = True,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Watch the calls as they are recorded."""
    with store() as opened:
        if not json:
            say(paint(_line({name: name.upper() for name in _WIDTHS}), "bright_black"))
        seen = opened.calls.tail(tenant, None, limit=number)
        while True:
            for call in seen.calls:
                show(call) if json else say(line(call))
            if not follow:
                return
            if not seen.calls:
                time.sleep(POLL_SECONDS)
            seen = opened.calls.tail(tenant, seen.after)


def line(call: Call) -> str:
    """Write a call on one line, in columns that stay where they are."""
    ended = call.outcome or call.state
    status = f"{call.status or '-'} {ended}"
    tokens = f"{count(call.tokens_in)}>{count(call.tokens_out)}"
    simulated = " (simulated)" if call.simulated else ""
    texts = {
        "time": when(call.started_us)[5:],
        "model": call.model or call.model_asked,
        "status": status if ended != "ok" else str(call.status or "ok"),
        "took": took(None if call.ended_us is None else call.ended_us - call.started_us),
        "first": took(call.ttft_us),
        "tokens": tokens,
        "cost": usd(call.cost_micros),
        "reason": "cache" if call.cached else (call.reason or "-"),
        "user": (call.user_id or "-") + simulated,
    }
    style = "ok" if ended == "ok" else ended
    return _line(texts, status_style=style).rstrip()


def _line(texts: dict[str, str], status_style: str = "") -> str:
    cells = []
    for name, width in _WIDTHS.items():
        text = plain(texts[name])
        text = text if len(text) <= width or name == "user" else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
        right = name in ("took", "first", "tokens", "cost")
        padded = text.rjust(width) if right else text.ljust(width)
        cells.append(paint(padded, status_style) if name == "status" and status_style else padded)
    return "  ".join(cells)


@app.command("list")
def list_(
    model: Annotated[str | None, typer.Option(help="Only calls answered by this model.")] = None,
    user: Annotated[str | None, typer.Option(help="Only calls of this user.")] = None,
    session: Annotated[str | None, typer.Option(help="Only calls of this session.")] = None,
    key: Annotated[str | None, typer.Option(help="Only calls under the key of this id.")] = None,
    status: Annotated[int | None, typer.Option(help="Only calls that ended with this status.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only calls with this tag, as NAME=VALUE.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time: 90m or 7d ago, or an ISO date.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """List calls, the newest first."""
    from meliora.store.calls.calls import CallFilter

    now = now_us()
    where = CallFilter(
        model=model,
        user=user,
        session=session,
        key_id=key,
        status=status,
        tag=_tag(tag),
        since_us=moment(since, now),
        until_us=moment(until, now),
    )
    with store() as opened:
        page = opened.calls.list(tenant, where, limit=limit, cursor=cursor)
    if json:
        for call in page.items:
            show(call)
        return
    say(paint(_line({name: name.upper() for name in _WIDTHS}), "bright_black"))
    for call in page.items:
        say(line(call))
    if page.next:
        say(f"More: --cursor {page.next}")


def _tag(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"{text!r} is not a tag.", hint="Write NAME=VALUE.")
    return name, value


@app.command("show")
def show_(
    call_id: str,
    content: Annotated[bool, typer.Option(help="Also show the recorded texts.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Show all that is known of a call."""
    with store() as opened:
        call = opened.calls.get(tenant, call_id)
        texts = opened.calls.content(tenant, call_id) if content else None
    if json:
        show({"call": call, "content": texts} if content else call)
        return
    for name, value in msgspec.structs.asdict(call).items():
        if value in (None, [], {}, ""):
            continue
        if name == "attempts":
            for attempt in value:
                say(f"{'attempt':<18} {plain(_attempt(attempt))}")
            continue
        if name.endswith("_us"):
            value = when(value) if name in ("started_us", "ended_us") else took(value)
        elif name == "cost_micros":
            value = usd(value)
        say(f"{name.removesuffix('_us').removesuffix('_micros'):<18} {plain(str(value))}")
    if call.cost_micros is None:
        say(f"{'cost':<18} {usd(None)}")
    if texts is not None:
        for title, text in (("request", texts.request_text), ("response", texts.response_text)):
            say(f"--- {title}")
            say("\n".join(plain(part) for part in (text or "(not kept)").split("\n")))


def _attempt(attempt: dict[str, object]) -> str:
    begun, ended = attempt.get("started_us"), attempt.get("ended_us")
    lasted = took(ended - begun) if isinstance(begun, int) and isinstance(ended, int) else "-"
    return f"{attempt.get('endpoint')}  {attempt.get('status') or '-'}  {lasted}  {attempt.get('error') or ''}".rstrip()
