"""What can be searched: collections of documents, how each is searched, what is judged and made of it, and what its upkeep did."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Json, count, flag, metadata, text, time

knowledge_collections = sa.Table(
    "knowledge_collections",
    metadata,
    text("tenant", key=True),
    text("name", key=True),
    count("latest"),  # number of its last change; whoever writes locks the row, so they are committed in their order
    count("pruned"),  # number of the last deletion that is no longer told
    sa.Column("snapshot", sa.BigInteger, nullable=True),  # the one that serves; empty: the first configuration
    text("generation"),
    time("created_us"),
    time("dropped_us", null=True),  # the row stays, so that its numbers go on and no index takes a new one for the old
)

knowledge_documents = sa.Table(
    "knowledge_documents",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("id", key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    text("hash"),
    text("state"),  # live, quarantined, archived
    sa.Column("marks", Json, nullable=True),
    text("title"),
    text("text"),
    text("source"),
    text("category"),
    text("language"),
    text("user_id", null=True),
    sa.Column("metadata", Json, nullable=True),
    time("added_us"),
    time("updated_us"),
    time("accessed_us", null=True),
    count("accesses"),
    sa.Index("ix_knowledge_documents_seq", "tenant", "collection", "seq"),
    sa.Index("ix_knowledge_documents_state", "tenant", "collection", "state", "id"),
)
_owned = sa.text("user_id IS NOT NULL")
sa.Index(
    "ix_knowledge_documents_user",
    knowledge_documents.c.tenant,
    knowledge_documents.c.user_id,
    sqlite_where=_owned,
    postgresql_where=_owned,
)

knowledge_deletions = sa.Table(
    "knowledge_deletions",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("id", key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    time("at_us"),
    sa.Index("ix_knowledge_deletions_seq", "tenant", "collection", "seq"),
    sa.Index("ix_knowledge_deletions_at", "at_us"),
)

knowledge_snapshots = sa.Table(
    "knowledge_snapshots",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    text("config"),  # canonical JSON, kept as text: the hash is over these very bytes
    text("sha256"),
    text("made_by"),
    time("made_us"),
)

knowledge_artifacts = sa.Table(
    "knowledge_artifacts",
    metadata,
    text("tenant", key=True),
    text("sha256", key=True),
    text("kind"),  # expansion, reranker, vectors, pruning
    sa.Column("data", sa.LargeBinary, nullable=False),
    time("made_us"),
)

judgment_sets = sa.Table(
    "judgment_sets",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("name", key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    text("sha256"),
    text("made_by"),
    time("made_us"),
    count("queries"),
    count("judgments"),
)

judgments = sa.Table(
    "judgments",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("name", key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    text("query_id", key=True),
    text("document", key=True),
    text("query"),
    sa.Column("grade", sa.Double, nullable=False),
)

knowledge_pairs = sa.Table(
    "knowledge_pairs",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("a", key=True),  # the lesser of the two ids
    text("b", key=True),
    sa.Column("containment", sa.Double, nullable=False),
    sa.Column("ratio", sa.Double, nullable=False),
    text("why"),
    text("said"),
    text("state"),  # open, merged, kept
    time("at_us"),
    text("decided_by", null=True),
    time("decided_us", null=True),
    sa.Index("ix_knowledge_pairs_state", "tenant", "collection", "state", "at_us"),
)

knowledge_comparisons = sa.Table(
    "knowledge_comparisons",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    time("compared_us", null=True),  # empty: never yet
    count("latest"),  # number of the last change that it knew
    count("documents"),
    count("left_out"),
    text("lease_owner", null=True),
    time("lease_until_us", null=True),
)

knowledge_doubles = sa.Table(
    "knowledge_doubles",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("archived", key=True),  # the document that could be
    text("kept"),
    sa.Column("containment", sa.Double, nullable=False),
    sa.Column("ratio", sa.Double, nullable=False),
    sa.Index("ix_knowledge_doubles_kept", "tenant", "collection", "kept"),
)

knowledge_archived = sa.Table(
    "knowledge_archived",
    metadata,
    text("tenant", key=True),
    text("collection", key=True),
    text("change", key=True),
    text("document", key=True),
    text("why"),
    text("kept_instead", null=True),
    time("at_us"),
    time("restored_us", null=True),
    sa.Index("ix_knowledge_archived_document", "tenant", "collection", "document"),
)

augmented_datasets = sa.Table(
    "augmented_datasets",
    metadata,
    text("tenant", key=True),
    text("id", key=True),
    text("collection"),
    time("made_us"),
    text("made_by"),
    sa.Column("methods", Json, nullable=False),
    sa.Column("target_tokens", Json, nullable=False),
    count("examples"),
    sa.Column("quality_score", sa.Double, nullable=False),
    sa.Column("diversity_score", sa.Double, nullable=True),
    text("sha256"),  # of its examples, which stand in a table of their own
    time("searched_us", null=True),  # of the oldest search whose words it has: it goes with those; empty: it has none
    flag("used_for_training"),
    text("used_by", null=True),
    sa.Column("manifest", Json, nullable=False),
    sa.Index("ix_augmented_datasets_collection", "tenant", "collection", "made_us"),
    sa.Index("ix_augmented_datasets_sha256", "tenant", "sha256"),
)

augmented_examples = sa.Table(
    "augmented_examples",
    metadata,
    text("tenant", key=True),
    text("sha256", key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

augmented_people = sa.Table(
    "augmented_people",
    metadata,
    text("tenant", key=True),
    text("subject", key=True),  # keyed hash of a person whose words a data set has
    text("dataset", key=True),
    sa.Index("ix_augmented_people_dataset", "tenant", "dataset"),
)
