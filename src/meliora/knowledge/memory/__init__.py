"""Conversations: what was said is kept in its order, recalled by what it says, by whom and when, and summed up where it grows long.

    memory          the entry point: append, recall, window, export, erase
    records         turns and conversations
    shelf           what memory asks of the store
    terms           from what was said to terms, names and kinds of question
    dates           days that a query asks for, and that a turn tells of
    scope           the recall index of one user's turns, in memory
    signals         what speaks for a turn, and how much each of it counts
    wanted          what is asked, and what is given
    choose          from a query to rows of an index
    recall          keeps the indexes up with the shelf, and puts the texts in
    summary         the summarizer protocol, and the extract that needs no model
    model_summary   a summary by a model, with the extract to fall back on
    window          a conversation within a budget: a summary, and the last turns as they were said

A turn is kept when the shelf has it. All else is derived from the shelf, follows it by `seq`, and is void after an erasure.
"""
