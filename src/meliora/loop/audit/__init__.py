"""The audit: an append-only chain by hash of what was decided, by whom, on which evidence. Holds ids and numbers, never content.

- `entry`    an entry, its canonical bytes and its hash; what may not stand in one
- `chain`    walks the chain and says exactly what is wrong with it
- `heads`    the head as it is written outside the database, so that cutting the tail shows
- `replay`   takes decisions again from what was recorded, and compares

`store.loop.audit` keeps it.
"""
