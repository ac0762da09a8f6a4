"""Where passages are found: the protocol in `base`, the embedded index in `embedded/`.

An index is derived from the documents in the store. It follows them by `seq`, says how far it has come, and can be thrown away.
"""
