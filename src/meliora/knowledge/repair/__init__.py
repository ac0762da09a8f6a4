"""Spelling and expansion of queries.

channel     how likely one word is typed for another
deletes     words within a few edits of a word
spelling    words that the index does not know, put into those that it does
expansion   the learned table: its form, its bytes, its name
learning    from what people used to a table
contexts    which older words stood where a new one stands now
background  how often words stand in the documents, and beside one another
stage       a query as it is asked after all this
"""
