"""Why searches got worse, and which repair to try first. Reads records; searches nothing and changes nothing.

seen        what is read: searches of two windows, the vocabulary, the corpus, the reranker
records     what each part finds
words       unknown words: slips of known ones, or new ones
weak        words whose searches got worse
queries     single queries that got worse
losses      how much of the lost gain is on which searches
parts       slices, sources of documents, moment, corpus, reranker
latency     the stage that got slower, and what each took
finding     the record of all this, and its report
diagnose    from what was seen to a finding
choose      from a finding to repairs, the likeliest first; none where nothing was found
"""
