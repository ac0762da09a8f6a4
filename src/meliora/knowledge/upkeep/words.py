"""Words that decide whether two texts say the same, or what is told of their difference: numbers, negations, greetings, beginnings."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


NUMBERS = _set("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen
    first second third fourth fifth sixth seventh eighth ninth tenth once twice thrice half quarter double triple single
    both none""")
DAYS = _set("""january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday""")
NEGATIONS = _set("""no not never none neither nor cannot can't don't doesn't didn't won't isn't aren't wasn't weren't shouldn't mustn't
    wouldn't couldn't without stop wait""")
EMPTY = frozenset({"the", "please", "kindly"})
"""Words without which texts are still looked at as of the same words; they count when these are compared."""
OPENERS = _set("hello hi hey dear greetings thanks thank regards cheers fyi")
GREETING = OPENERS | _set("all team everyone everybody folks there you again very much kind best and good morning")
"""A stretch of these alone, one of them an opener, greets and says nothing."""
STARTING = _set("the our every each")
"""Written with a capital, these begin a sentence, whether the one before has its stop or not."""
OPENING = STARTING | _set("""an all any some these those your their its his her my at on by for from with before after if when while where
    because although since as of between during within under over into there it he she we they you is are was were has have
    had does did should would could not and or but""")
"""Words of which no name is written like one: with a capital or without, they begin a sentence alike."""
