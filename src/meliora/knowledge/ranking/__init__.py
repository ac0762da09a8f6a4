"""The reranker: a learned order of the first results of the fusion.

ranker         a model as a search uses it
batch          the candidates of one query as arrays
features       what is known of a candidate, documented; the schema that a model is bound to
lexical        features of the query's words
collective     features of a candidate beside the other candidates
examples       from queries with a known answer to candidates with features
heldout        what it gains on queries that it did not see, with intervals
train          LambdaMART from judgments and from clicks; cross-validation by query
model          the model's file, its scores and what each feature contributed to them
surrogate      one score as a linear model of features and words nearby, by the extra of that name
cross_encoder  an optional second look at the first ten
"""
