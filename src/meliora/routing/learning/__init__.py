"""How the routing policy is learned, in the worker and on the command line; never on the request path.

table       outcomes: prompts by models
fit         outcomes to a policy
"""
