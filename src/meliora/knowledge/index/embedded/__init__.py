"""The default index: words and character n-grams in tantivy, vectors in files beside it. One directory a collection.

    index     the index: apply, build, switch, under one lock
    making    a new state of a generation: made aside, renamed whole
    view      what is searched: one state, mapped into memory
    view_base what a view answers alike wherever its rows lie: the store's own index has it too
    layout    the directory: CURRENT, generations, states, manifests, the lock
    entries   from a document to what is kept and indexed of its passages
    rows      the passages as kept: files that only grow
    words     the two legs that tantivy answers
    columns   the fields of documents by row: what filters are held against
    counts    words and terms with their passages
    lsa       the vector model: fitted, folded in
    vectors   vectors by row, searched one by one

    DIRECTORY/CURRENT              "GENERATION/STATE": what serves, replaced atomically
    DIRECTORY/GENERATION/*         files that only grow, or never change; a state says how much of them is its own
    DIRECTORY/GENERATION/STATE/    manifest, dead rows, and a tantivy index whose segments are hard links of the state before

A state never changes, so a reader needs no lock, and a killed writer leaves nothing but a folder that the next one removes.
"""

from __future__ import annotations

from meliora.knowledge.index.embedded.index import Chunk, Embed, Embedded, Settings

__all__ = ["Chunk", "Embed", "Embedded", "Settings"]
