"""All SQL, and the only place that has any: SQLite and PostgreSQL, one repository a concept.

    store                the `Store`: opens the database, hands out the repositories below
    calls                what was called, by id, filter and order of ingest
    feedbacks            what people said about it; the last word stands, the history stays
    metrics              named measurements
    model_performances   successes, latency and cost a model and task, as sums and counts
    rules, keys          routing rules; virtual keys, stored hashed
    budgets              slices of a key's budget, leased to gateways
    states, gateways     what a gateway is told, and what it tells
    analytics            cost, tokens, errors, rankings, percentiles
    slices, findings     calls counted for a diagnosis; what was diagnosed
    activity, deployment who did what; the secret that proves an id was made here

    audit, policy_bundles    the chain of what was decided, and the policies that decided, by hash
    approvals, control       what waits for a person; start, stop, the kill switch and who has heard of it
    flags, learning_events   feature flags; what was learned

    knowledge_documents, knowledge_snapshots   documents by collection; how each is searched
    judgments, knowledge_upkeep                frozen judgments; near-duplicates and what was archived
    knowledge_comparisons                      what was found when a collection was last compared, and who is at it
    datasets                                   made queries as data sets
    searches, search_arms, memory              what was searched and what came of it; conversations

    sink, windows, housekeeping   what `telemetry` asks for: ingest, roll-ups, retention and erasure
    bulk, sums, slots, erasures   parts of ingest: rows, daily sums, where look-ups find them, who is to be left out
    heuristics                    what the improvement manager asks for: rules as heuristics
    tables, migrations, migrate   the schema and how a database gets it
    engine, rows, cursors         connections, transactions, errors; shapes of rows
    backup, dump, afterwards      the whole state directory, out and back; what a restore must not undo

Each method of a repository takes the tenant first. Nothing here is on the request path.
"""

from meliora.store.store import Store

__all__ = ["Store"]
