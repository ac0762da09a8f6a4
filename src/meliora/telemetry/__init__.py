"""What happened: the records of calls and feedback, the spool they pass through, the ingester and the roll-ups.

    records     the shapes: `CallBegun`, `CallFinished`
    spool       append-only segments on disk, one writer each
    ingest      spool to store
    rollups     five-minute windows of mergeable histograms
    redaction   what is masked before anything reaches the disk
    ids         time-ordered identifiers that carry their own proof of origin
    improvement the improvement manager: heuristics, metrics, model performance, and the report over them
    processes   how a worker says that it lives
    clearing    whether an erased person is gone from the spool

Knows `stats` and its own records; never a plane, never the loop.
"""
