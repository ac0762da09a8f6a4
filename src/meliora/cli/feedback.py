"""Feedback on a call, from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from meliora.cli.shared import Json, Tenant, say, show, store

app = typer.Typer(no_args_is_help=True, help="Feedback: what people thought of an answer.")


@app.command()
def give(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="thumbs_up, thumbs_down, or rating_1 to rating_5.")],
    call: Annotated[str | None, typer.Option(help="The call's id (`x-meliora-call`).")] = None,
    message: Annotated[str | None, typer.Option(help="The application's own id of the message.")] = None,
    response: Annotated[str | None, typer.Option(help="The id inside the answer, e.g. chatcmpl-...")] = None,
    user: Annotated[str | None, typer.Option(help="Who thinks so.")] = None,
    task: Annotated[str | None, typer.Option(help="What kind of task it was.")] = None,
    comment: Annotated[str | None, typer.Option(help="In their words.")] = None,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Give feedback on a call. The last word on a call stands; earlier ones are kept as its history."""
    from meliora.store.calls.feedbacks import FeedbackGiven

    given = FeedbackGiven(
        feedback_type=kind,
        call_id=call,
        message_id=message,
        response_id=response,
        user_id=user,
        task_type=task,
        comment=comment,
    )
    with store() as opened:
        kept = opened.feedbacks.give(tenant, given)
    if json:
        show(kept)
        return
    say(
        f"{kept.feedback_type} ({kept.value:g}) on {kept.call_id}{', which is still on its way' if kept.pending else ''}."
    )
