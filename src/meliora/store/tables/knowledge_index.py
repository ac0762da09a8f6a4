"""The index of documents where it is kept in the database: made of `knowledge_documents`, never the only copy of anything.

Used on PostgreSQL alone; the tables are portable, so that every database has the same schema. No backup holds what stands in them.
"""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables.columns import Serial, metadata, text, time

DERIVED = {"derived": True}
"""Marks a table that is made of others: no dump holds it, and a restored database begins without."""

index_generations = sa.Table(
    "index_generations",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    text("tenant"),
    text("collection"),
    text("name"),
    text("version"),  # of the format and the analysis: another one is built again
    sa.Column("state", sa.BigInteger, nullable=False),  # the last whole one
    sa.Column("serves", sa.Boolean, nullable=False),
    time("replaced_us", null=True),  # since when another of the same name goes on in its place
    sa.Index("ix_index_generations_name", "tenant", "collection", "name"),
    info=DERIVED,
)

index_states = sa.Table(
    "index_states",
    metadata,
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("state", sa.BigInteger, primary_key=True, autoincrement=False),
    time("made_us"),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("alive", sa.LargeBinary, nullable=False),  # a bit a row
    info=DERIVED,
)

index_postings = sa.Table(
    "index_postings",
    metadata,
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
    text("leg", key=True),  # w: words, g: character n-grams
    sa.Column("term", sa.LargeBinary, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.LargeBinary, nullable=False),  # 4 bytes each, ascending
    sa.Column("times", sa.LargeBinary, nullable=False),  # 1 byte each
    info=DERIVED,  # no second index: there is one plan alone, whatever the database knows of the table
)

index_files = sa.Table(
    "index_files",
    metadata,
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    text("name", key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
    info=DERIVED,
)

index_passages = sa.Table(
    "index_passages",
    metadata,
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("row", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("document", sa.LargeBinary, nullable=False),  # hash of its id
    sa.Column("key", sa.LargeBinary, nullable=False),  # hash of the name
    sa.Column("name", sa.LargeBinary, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("died", sa.BigInteger, nullable=True),  # the state from which on it is not there
    sa.Index("ix_index_passages_document", "generation", "document"),
    sa.Index("ix_index_passages_key", "generation", "key"),
    info=DERIVED,
)
_dead = sa.text("died IS NOT NULL")
sa.Index(
    "ix_index_passages_died",
    index_passages.c.generation,
    index_passages.c.died,
    sqlite_where=_dead,
    postgresql_where=_dead,
)
