"""From files, addresses and exports to documents. What cannot be read is told by name, and the rest goes on.

base         what reading gives and may cost
decoding     from bytes to text; `legacy` knows encodings from before UTF-8
markup       the text and title of HTML
structured   JSON, JSON lines, CSV
pdf          PDF, in a process of its own with a budget
files        a file or a folder
addresses    web addresses; `fetching` goes to them
connectors   exports of other memories: Letta, Qdrant, sessions, learnings; `services` reads those that run
"""
