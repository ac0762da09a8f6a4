"""The learned policy on the request path: numpy and the standard library, imported only where there is a policy.

features    a prompt and its context as numbers
policy      numbers to quality and cost of each model
snapshot    a policy as bytes, and back
dial        the choice, by what a person will pay for quality
explore     how often each candidate is tried
cascade     when two cheap models are asked before a strong one
"""
