"""English words whose forms share no stem: "went" is met where "go" was asked, "children" where "child" was."""

from __future__ import annotations

from functools import lru_cache

from meliora.knowledge.text.analysis import analyse

_FORMS = """
    arise arose arisen|awake awoke awoken|bear bore borne|beat beaten|become became|begin began begun|bend bent
    bite bit bitten|bleed bled|blow blew blown|break broke broken|breed bred|bring brought|build built|burn burnt
    buy bought|catch caught|choose chose chosen|come came|creep crept|deal dealt|dig dug|draw drew drawn|dream dreamt
    drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|find found
    flee fled|fly flew flown|forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven
    freeze froze frozen|get got gotten|give gave given|go went gone|grow grew grown|hang hung|hear heard
    hide hid hidden|hold held|keep kept|kneel knelt|know knew known|lay laid|lead led|leap leapt|learn learnt
    leave left|lend lent|light lit|lose lost|make made|mean meant|meet met|pay paid|prove proven|ride rode ridden
    ring rang rung|rise risen|run ran|say said|see saw seen|seek sought|sell sold|send sent|sew sewn
    shake shook shaken|shine shone|shoot shot|show shown|shrink shrank shrunk|sing sang sung|sink sank sunk|sit sat
    sleep slept|slide slid|speak spoke spoken|spell spelt|spend spent|spin spun|stand stood|steal stole stolen
    stick stuck|sting stung|strike struck|strive strove striven|swear swore sworn|sweep swept|swell swollen
    swim swam swum|swing swung|take took taken|teach taught|tear tore torn|tell told|think thought
    throw threw thrown|understand understood|undertake undertook undertaken|wake woke woken|wear wore worn
    weave wove woven|weep wept|win won|withdraw withdrew withdrawn|write wrote written
    child children|foot feet|goose geese|knife knives|life lives|loaf loaves|man men|mouse mice|person people
    shelf shelves|tooth teeth|wife wives|wolf wolves|woman women
"""
"""A word and its other forms; left out are those that are more often another word ("rose", "wound", "bound")."""


@lru_cache(1)
def base_terms() -> dict[str, str]:
    """Give, for each irregular form, the term of its base word. Raises `MissingExtra`."""
    found: dict[str, str] = {}
    for group in _FORMS.replace("\n", "|").split("|"):
        if group.strip():
            base, *others = group.split()
            found.update(dict.fromkeys(others, analyse(base, "en").terms[0]))
    return found
