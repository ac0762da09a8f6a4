"""A reply as the bytes of each dialect: one whole body, or the events of a stream. Decides nothing about what is said.

wire         events, ids, errors: what the dialects have in common
chat, responses, messages, embeddings
"""
