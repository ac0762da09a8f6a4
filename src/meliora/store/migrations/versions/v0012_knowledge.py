"""Knowledge: collections of documents, searches with what came of them, conversations that are remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _collections()
    _upkeep()
    _searches()
    _memory()


def _collections() -> None:
    """Collections, their documents, and how each is searched."""
    op.create_table(
        "knowledge_artifacts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_knowledge_artifacts")),
    )
    op.create_table(
        "knowledge_collections",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("latest", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("pruned", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("snapshot", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("dropped_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_knowledge_collections")),
    )
    op.create_table(
        "knowledge_deletions",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "id", name=op.f("pk_knowledge_deletions")),
    )
    op.create_index("ix_knowledge_deletions_at", "knowledge_deletions", ["at_us"])
    op.create_index("ix_knowledge_deletions_seq", "knowledge_deletions", ["tenant", "collection", "seq"])
    op.create_table(
        "knowledge_documents",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("marks", _JSON, nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("metadata", _JSON, nullable=True),
        sa.Column("added_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("accessed_us", sa.BigInteger(), nullable=True),
        sa.Column("accesses", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "id", name=op.f("pk_knowledge_documents")),
    )
    op.create_index("ix_knowledge_documents_seq", "knowledge_documents", ["tenant", "collection", "seq"])
    op.create_index("ix_knowledge_documents_state", "knowledge_documents", ["tenant", "collection", "state", "id"])
    op.create_index(
        "ix_knowledge_documents_user",
        "knowledge_documents",
        ["tenant", "user_id"],
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_table(
        "knowledge_snapshots",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "number", name=op.f("pk_knowledge_snapshots")),
    )


def _upkeep() -> None:
    """What is judged, and what upkeep did."""
    op.create_table(
        "judgment_sets",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("queries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("judgments", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "name", "version", name=op.f("pk_judgment_sets")),
    )
    op.create_table(
        "judgments",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("grade", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "collection", "name", "version", "query_id", "document", name=op.f("pk_judgments")
        ),
    )
    op.create_table(
        "knowledge_archived",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("kept_instead", sa.Text(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("restored_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "collection", "change", "document", name=op.f("pk_knowledge_archived")),
    )
    op.create_index("ix_knowledge_archived_document", "knowledge_archived", ["tenant", "collection", "document"])
    op.create_table(
        "knowledge_pairs",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("a", sa.Text(), nullable=False),
        sa.Column("b", sa.Text(), nullable=False),
        sa.Column("containment", sa.Double(), nullable=False),
        sa.Column("ratio", sa.Double(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "collection", "a", "b", name=op.f("pk_knowledge_pairs")),
    )
    op.create_index("ix_knowledge_pairs_state", "knowledge_pairs", ["tenant", "collection", "state", "at_us"])


def _searches() -> None:
    """Searches, and what people did with their results."""
    op.create_table(
        "search_feedback",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("search_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_feedback")),
        sa.UniqueConstraint(
            "tenant", "search_id", "document", "kind", name=op.f("uq_search_feedback_tenant_search_id_document_kind")
        ),
    )
    op.create_index("ix_search_feedback_at", "search_feedback", ["at_us"])
    op.create_index(
        "ix_search_feedback_user",
        "search_feedback",
        ["tenant", "user_id"],
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_table(
        "searches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("snapshot", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("query_hash", sa.Text(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=True),
        sa.Column("terms", _JSON, nullable=True),
        sa.Column("written", _JSON, nullable=True),
        sa.Column("unknown", _JSON, nullable=True),
        sa.Column("shown", _JSON, nullable=False),
        sa.Column("results", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("stages_us", _JSON, nullable=True),
        sa.Column("skipped", _JSON, nullable=True),
        sa.Column("trial", sa.Text(), nullable=True),
        sa.Column("trial_phase", sa.Text(), nullable=True),
        sa.Column("trial_stage", sa.BigInteger(), nullable=True),
        sa.Column("arm", sa.Text(), nullable=True),
        sa.Column("trial_unit", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
    )
    op.create_index("ix_searches_at", "searches", ["at_us"])
    op.create_index("ix_searches_collection", "searches", ["tenant", "collection", "at_us"])
    op.create_index(
        "ix_searches_content",
        "searches",
        ["at_us"],
        sqlite_where=sa.text("content IN ('redacted', 'full')"),
        postgresql_where=sa.text("content IN ('redacted', 'full')"),
    )
    op.create_index(
        "ix_searches_trial",
        "searches",
        ["tenant", "trial", "trial_phase", "trial_stage", "arm", "trial_unit", "ended_us", "outcome", "at_us", "id"],
        sqlite_where=sa.text("trial IS NOT NULL"),
        postgresql_where=sa.text("trial IS NOT NULL"),
    )
    op.create_index(
        "ix_searches_user",
        "searches",
        ["tenant", "user_id"],
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )


def _memory() -> None:
    """Conversations."""
    op.create_table(
        "memory_conversations",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("turns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("kept_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_memory_conversations")),
    )
    op.create_index("ix_memory_conversations_kept", "memory_conversations", ["kept_us"])
    op.create_index("ix_memory_conversations_user", "memory_conversations", ["tenant", "user_id", "id"])
    op.create_table(
        "memory_summaries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("marks", _JSON, nullable=True),
        sa.Column("failed", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "conversation", "first", "last", "method", name=op.f("pk_memory_summaries")),
    )
    op.create_table(
        "memory_turns",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("conversation", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("speaker", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("metadata", _JSON, nullable=True),
        sa.Column("marks", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("tenant", "conversation", "number", name=op.f("pk_memory_turns")),
        sa.UniqueConstraint(
            "tenant", "conversation", "message_id", name=op.f("uq_memory_turns_tenant_conversation_message_id")
        ),
    )
    op.create_index("ix_memory_turns_user", "memory_turns", ["tenant", "user_id", "seq"])
    op.create_table(
        "memory_users",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("erasures", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", name=op.f("pk_memory_users")),
    )
