"""The knowledge plane of these settings over this store.

plane      the plane itself, for the control process, the command line and the worker
arms       which arm of a trial a search is in
recording  what is written of a search
parts      a snapshot's speller, expansion and reranker, loaded
evidence   what is known of how good searches are, for proofs and findings
diagnosing why searches got worse
reranked   what the reranker saw in used results, before and now
augmenting the workshop of data sets
tasks      what the worker does for it
"""
