"""How the routing policy is learned, in the worker and on the command line; never on the request path.

records     what learning is told and what it keeps; what it asks of the store
rewards     signals about an answer to what it is worth
scorers     what judges answers besides people; shape checks JSON, labels hold judges against people, scoring asks them
learner     the job: rewards, the moving posterior, snapshots
prior       a policy before its first outcome; prior_fit computes what is expected, prior_file keeps it; starting puts it in service
online      a posterior moved by one outcome at a time; guard and drift hold it
table       outcomes: prompts by models
fit         outcomes to a policy; trunk, heads and forest are its parts
embedding   what words or prompts mean, folded into a trunk; vectors reads a table of words, embedded asks a model in batches
calibrate   every model on a sample of prompts, resumable; warm fits what came of it
evaluate    from logged traffic, what a candidate would have earned; replay where every outcome is known
promotion   a candidate serves when it has proved better
"""
