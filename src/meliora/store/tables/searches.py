"""What was searched, what it was given, and what people did with it."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, Serial, count, metadata, number, text, time

searches = sa.Table(
    "searches",
    metadata,
    text("id", key=True),
    text("tenant"),
    text("key_id"),
    text("gateway"),  # the process that answered
    text("collection"),
    time("at_us"),
    time("ended_us"),
    text("user_id", null=True),
    text("session_id", null=True),
    text("feature", null=True),
    sa.Column("snapshot", sa.BigInteger, nullable=False),
    text("generation"),
    text("query_hash", null=True),
    text("content"),  # off, redacted, full; erased
    text("query", null=True),
    sa.Column("terms", Json, nullable=True),  # analysed words
    sa.Column("written", Json, nullable=True),  # words as they were written
    sa.Column("unknown", Json, nullable=True),  # analysed words that no passage has
    sa.Column("shown", Json, nullable=False),  # ids of documents, in order
    count("results"),
    text("outcome"),  # ok, error
    text("error_code", null=True),
    sa.Column("stages_us", Json, nullable=True),
    sa.Column("skipped", Json, nullable=True),  # stages that should have run and could not, with the reason
    text("trial", null=True),  # id of the change on trial or under watch
    text("trial_phase", null=True),
    number("trial_stage"),
    text("arm", null=True),  # candidate, baseline
    text("trial_unit", null=True),  # hash of who was put in the arm
    sa.Index("ix_searches_collection", "tenant", "collection", "at_us"),
    sa.Index("ix_searches_at", "at_us"),
)


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    condition = sa.text(where)
    return sa.Index(name, *(searches.c[c] for c in columns), sqlite_where=condition, postgresql_where=condition)


_partial("ix_searches_user", "tenant", "user_id", where="user_id IS NOT NULL")
_partial("ix_searches_content", "at_us", where="content IN ('redacted', 'full')")
# All that an analysis of a trial reads of a search, so that it never goes to the table; in the order in which it is summed.
_partial(
    "ix_searches_trial",
    "tenant",
    "trial",
    "trial_phase",
    "trial_stage",
    "arm",
    "trial_unit",
    "ended_us",
    "outcome",
    "at_us",
    "id",
    where="trial IS NOT NULL",
)

search_feedback = sa.Table(
    "search_feedback",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("search_id"),
    text("document"),  # empty: of the search as a whole
    text("kind"),  # click, accept, reject, rating, reformulated
    sa.Column("value", sa.Double, nullable=False),
    number("position"),
    text("user_id", null=True),
    time("at_us"),
    sa.UniqueConstraint("tenant", "search_id", "document", "kind"),
    sa.Index("ix_search_feedback_at", "at_us"),
)
_told = sa.text("user_id IS NOT NULL")
sa.Index(
    "ix_search_feedback_user",
    search_feedback.c.tenant,
    search_feedback.c.user_id,
    sqlite_where=_told,
    postgresql_where=_told,
)
