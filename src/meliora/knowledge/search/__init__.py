"""The stages of a search.

asking      from the words of a person to what an index is asked
fusion      legs into one order
searcher    a view and a snapshot: the stages in their order, each timed, what could not run told
parts       what a snapshot takes besides itself, loaded once
foreign     results of another engine, put in order
"""
