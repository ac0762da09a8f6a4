"""Both sides of a gateway under load, each light enough not to be what is measured.

canned      the requests (1 KB) and the answers (500 B, streams), seeded
upstream    an OpenAI-compatible upstream process that answers from memory
framing     where an HTTP answer ends, and how many stream events it held
client      closed loop (saturating) and open loop (scheduled) clients
"""
