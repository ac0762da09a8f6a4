"""Words that decide whether two texts say the same: numbers, negations, greetings, and those whose case tells them apart."""

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
"""A mark behind one of these counts: `No, delete it` is not `No delete it`."""
EMPTY = frozenset({"the", "please", "kindly"})
"""Words that may be in one text only."""
OPENERS = _set("hello hi hey dear greetings thanks thank regards cheers fyi")
GREETING = OPENERS | _set("all team everyone everybody folks there you again very much kind best and good morning")
"""A stretch of these alone, one of them an opener, greets and says nothing."""
CASED = _set("""us it who may march mark will bill rose frank polish turkish china apple windows word access teams go rust swift
    chrome edge safari slack notion linear oracle amazon meta bash make ant ray spark flask express vault consul nomad""")
"""Words that are another thing with a capital."""
ORDERED = _set("""first second third then next after afterwards before finally last lastly step steps above below following previous
    former latter later earlier until once when while otherwise else however but instead also again same it its this that
    these those they them their he she him her his such so therefore thus hence""")
"""A sentence with one of these leans on another one: it may not be moved."""
STATING = _set("is are was were has have had will can must should may")
SUBJECTS = _set("the our all each every a an no")
"""A sentence that has one of the former, or begins with one of the latter, states; what does not may be a step among steps."""
CONFUSED = _set("""casual causal trial trail united untied desert dessert expand expend contract contrast formally formerly
    personal personnel through thorough though thought quite quiet except expect adverse averse moral mortal
    altar alter complement compliment discreet discrete stationary stationery principal principle
    enable disable allow deny include exclude import export attach detach mount unmount install uninstall encrypt decrypt
    ascending descending increase decrease maximum minimum internal external inbound outbound public private""")
"""Words that another word looks like, or is the contrary of: never taken for one misspelled."""
