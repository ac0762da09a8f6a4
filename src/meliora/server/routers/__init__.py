"""One router a subject. Each reads the request, calls one function and renders what it gives.

calls, feedback, metrics, analytics   what happened, and what people say of it
route, rules                          which model, and why
learning, preferences                 what each user likes
keys, quotas, users, operations       running the deployment
findings                              what was diagnosed
tools                                 the improvement tools by name, as agents call them
health, docs                          how it is; how to use it
internal                              gateways only
"""
