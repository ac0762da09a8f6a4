"""Documents and conversations: kept, indexed, searched, looked after. Works alone, with the loop switched off.

    front        the plane as one object for whoever talks to it: read this first
    service      a search with an id that feedback can be given on; serving says by which snapshot
    library      documents in and out
    indexes      the indexes of this machine, kept up to date with the documents
    shelf        what the plane asks of the store, as protocols
    documents    what is kept: documents, passages, marks
    config       how searches are configured: the content of a numbered snapshot
    answers      what a search gives, and how each result came there
    filters      which documents a search may give
    text/        from text to terms and passages: languages, stop words, identifiers, code, chunking
    reading/     from files, addresses and JSON lines to documents
    index/       the index protocol, and the embedded one: tantivy, vectors, generations
    search/      the stages of a search, fusion, explanation, results of other engines
    repair/      spelling and expansion of queries
    ranking/     the reranker: features, training, model files
    quality/     judgments, figures, feedback as evidence
    augment/     made queries and their manifest
    forgetting   takes erased people out of what was learned
    upkeep/      stale, redundant and useless documents; pruning and its archive
    memory/      conversations: append, recall, summary

The truth is in the store, asked for by protocols that stand here; an index is derived from it and can always be built again.
"""
