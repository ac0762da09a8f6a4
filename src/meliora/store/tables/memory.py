"""What was said in conversations that an application asked to be remembered."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, count, metadata, text, time

memory_users = sa.Table(
    "memory_users",
    metadata,
    text("tenant", key=True),
    text("subject", key=True),  # keyed hash of tenant and user: it stays when the person is erased
    count("seq"),  # of the last turn; whoever writes locks the row, so they are committed in their order
    count("erasures"),
)

memory_conversations = sa.Table(
    "memory_conversations",
    metadata,
    text("tenant", key=True),
    text("id", key=True),
    text("user_id", null=True),
    count("turns"),
    time("first_us"),
    time("last_us"),
    time("kept_us"),  # when its last turn came
    sa.Index("ix_memory_conversations_user", "tenant", "user_id", "id"),
    sa.Index("ix_memory_conversations_kept", "kept_us"),
)

memory_turns = sa.Table(
    "memory_turns",
    metadata,
    text("tenant", key=True),
    text("conversation", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # from 1, without gaps
    sa.Column("seq", sa.BigInteger, nullable=False),  # order of commit among its user's
    text("message_id", null=True),
    text("user_id", null=True),
    text("session_id", null=True),
    text("speaker"),
    time("at_us"),
    text("text"),
    sa.Column("metadata", Json, nullable=True),
    sa.Column("marks", Json, nullable=True),
    sa.UniqueConstraint("tenant", "conversation", "message_id"),
    sa.Index("ix_memory_turns_user", "tenant", "user_id", "seq"),
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
    sa.Column("marks", Json, nullable=True),
    text("failed"),  # why no model wrote it, where one should have
    time("made_us"),
)
