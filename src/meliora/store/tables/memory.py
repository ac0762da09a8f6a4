"""What was said in conversations that an application asked to be remembered."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, metadata, text, time

memory_turns = sa.Table(
    "memory_turns",
    metadata,
    text("tenant", key=True),
    text("conversation", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # from 0 in its conversation
    sa.Column("seq", sa.BigInteger, nullable=False),  # order of commit among all of the tenant's
    text("message_id"),
    text("user_id", null=True),
    text("session_id", null=True),
    text("speaker"),
    time("at_us"),
    text("text"),
    sa.Column("metadata", Json, nullable=True),
    sa.UniqueConstraint("tenant", "conversation", "message_id"),
    sa.Index("ix_memory_turns_seq", "tenant", "seq"),
    sa.Index("ix_memory_turns_at", "at_us"),
)
_owned = sa.text("user_id IS NOT NULL")
sa.Index(
    "ix_memory_turns_user",
    memory_turns.c.tenant,
    memory_turns.c.user_id,
    memory_turns.c.conversation,
    sqlite_where=_owned,
    postgresql_where=_owned,
)

memory_summaries = sa.Table(
    "memory_summaries",
    metadata,
    text("tenant", key=True),
    text("conversation", key=True),
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),  # numbers of the turns, both included
    sa.Column("last", sa.BigInteger, primary_key=True, autoincrement=False),
    text("method", key=True),
    text("text"),
    time("made_us"),
)
