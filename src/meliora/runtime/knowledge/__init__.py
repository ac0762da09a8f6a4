"""The knowledge plane of these settings over this store.

plane      the plane itself, for the control process, the command line and the worker
arms       which arm of a trial a search is in
recording  what is written of a search
parts      a snapshot's speller, expansion and reranker, loaded
evidence   what is known of how good searches are, for proofs and findings
diagnosing why searches got worse
learning   learns expansions of queries from what people used
training   trains a reranker; trainers puts a trainer over a collection together
kinds      the kinds of change that act on searches, with all that they need
pruning    carries plans of pruning out
quality    what the worker measures of searches
erasing    erases a person, through to what was derived
reranked   what the reranker saw in used results, before and now
augmenting the workshop of data sets
tasks      what the worker does for it
"""
