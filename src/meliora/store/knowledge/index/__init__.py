"""The index of documents in PostgreSQL: one for all machines. Implements `knowledge.index.base.Index`.

    index      the index: apply, build, switch, each one transaction under one lock
    catalog    generations and states: which serves, what is swept
    making     a new state of a generation
    postings   words and character n-grams with their passages, as bytes; written, joined and searched (BM25)
    models     the vectors of a state: fitted, folded in, joined
    files      the other things that never change, and the process's copy of them
    view       what is searched: one state
    driver     PostgreSQL's driver, spoken to directly

A state never changes: it names parts of the postings, which are written once, and says by a bit which rows live. So a reader sees
one moment without a lock, whatever is written beside it; what no state names any more is removed an hour later. The scores are made
in the process, of the bytes of a query's own terms, so that they are those of the embedded index, filters included.
"""

from __future__ import annotations

from meliora.store.knowledge.index.index import PostgresIndex, indexed

__all__ = ["PostgresIndex", "indexed"]
