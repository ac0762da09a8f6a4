"""How good searches are: by judgments, and by what people do with the results.

evidence   what a proof asks for: queries with known answers, held apart by halves
records    a search as it was logged, and the protocol by which the store gives them
judgments  frozen, versioned sets of graded documents
figures    NDCG and others over a judgment set, and two searches compared on it
proxies    click-through, reciprocal rank of clicks, reformulation, abandonment, accepted answers
clicks     judgments from clicks, corrected for the place at which a result was shown
"""
