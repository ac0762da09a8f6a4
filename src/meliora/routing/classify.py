"""How hard a prompt looks, and what kind of task it is, from its words and its length. Refuses to read more than 8 KB of it."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import Literal

import msgspec
import re2

from meliora.settings.models import Routing, Tier

Task = Literal["chat", "code", "reasoning", "research", "creative", "system", "simple"]

_END = 4096
"""Characters read at either end of a long prompt."""

_SIMPLE = (
    r"\b(hi|hello|hey|good (morning|afternoon|evening)|thanks|thank you)\b",
    r"\bwhat (is|are|was|were) (the |a |an )?\w+( \w+)?\s*\?",
    r"\b(define|definition of|meaning of|synonyms? (for|of)|how do you (say|spell))\b",
    r"\btranslate\b",
    r"\b(when|where|who) (is|are|was|were|did|do|does)\b",
    r"\b(list|name|give me) (a few|some|two|three|four|five|\d+)\b",
    r"\b(yes or no|true or false|in one (word|sentence|line)|briefly|tl;?dr)\b",
    r"\b(convert|how (many|much)|what time|what day|capital of|weather)\b",
)
_COMPLEX = (
    r"\b(analy[sz]e|analysis|evaluate|assess|critique|critically)\b",
    r"\b(compare|contrast|trade-?offs?|pros and cons|advantages and disadvantages)\b",
    r"\b(step[- ]by[- ]step|think (carefully|through)|show your (work|reasoning)|chain of thought)\b",
    r"\b(prove|proof|derive|derivation|theorem|lemma|integral|differential equation|eigenvalue)\b",
    r"\b(design|architect|architecture|strategy|roadmap|comprehensive|in[- ]depth|in detail|thorough(ly)?)\b",
    r"\b(why (does|do|did|is|are|would)|explain (why|how)|root cause|implications?|consequences?)\b",
    r"\b(optimi[sz]e|minimi[sz]e|maximi[sz]e|constraints?|assumptions?|hypothes[ie]s|probabilit(y|ies))\b",
    r"\b(research|literature|synthesi[sz]e|multiple (sources|perspectives|factors)|interdisciplinary|nuanced?)\b",
)
_CODE = (
    "```",
    r"\b(def|class|func|fn|function)\s+\w+\s*[({:<]|\bfunction\s*\(|#include\s*<|=>\s*\{|\bpublic (static|class|void)\b",
    (
        r"\b(write|implement|create|refactor|debug|fix|review|optimi[sz]e|port|test)\b[^.?!\n]*"
        r"\b(function|method|script|code|program|unit tests?|api|endpoint|regex|sql|query|decorator|algorithm|class)\b"
    ),
    (
        r"\b(python|javascript|typescript|golang|kotlin|node\.?js|bash|powershell|django|numpy|pandas|kubernetes|webpack)\b"
        r"|\bc\+\+|\bin (rust|go|java|swift|ruby|php|perl|scala|haskell|sql|c#)\b"
    ),
    r"\b(traceback|stack ?trace|segfault|segmentation fault|null ?pointer|\w+error:|\w+exception\b|compil(er|ation) error)",
    r"\b(git (commit|rebase|merge|push|clone|diff)|dockerfile|docker (run|build)|kubectl|npm (install|run)|pip install|makefile)\b",
    r"\bselect\b[^;]*\bfrom\b[^;]*\b(where|join|group by|order by|limit)\b|\b(insert into|create table|alter table)\b",
    r"\b(refactor(ing)?|codebase|pull request|unit tests?|source code|code review|regular expression|regex|linter|stack overflow)\b",
)
_TASKS: tuple[tuple[Task, str], ...] = (
    (
        "system",
        r"\b(server|cpu|gpu|ram|memory usage|disk|deploy(ment)?|cluster|systemd|linux|nginx|firewall|logs?|latency|backup)\b",
    ),
    (
        "research",
        r"\b(research|literature|sources?|cite|citations?|papers?|stud(y|ies)|survey|evidence|find out|look up)\b",
    ),
    (
        "creative",
        (
            r"\b(write|compose|invent|imagine)\b[^.?!\n]*\b(story|poem|song|lyrics|haiku|novel|script|tale|slogan|joke|limerick)\b"
            r"|\b(brainstorm|creative|fiction|storytelling|once upon a time)\b"
        ),
    ),
    (
        "reasoning",
        (
            r"\b(why|prove|proof|solve|calculate|derive|logic(al)?|reason(ing)?|deduce|infer|puzzle|step[- ]by[- ]step"
            r"|analy[sz]e|analysis|compare|evaluate|trade-?offs?|probability|equation)\b"
        ),
    ),
)
_FIRST_COMPLEX = len(_SIMPLE)
_FIRST_CODE = _FIRST_COMPLEX + len(_COMPLEX)
_FIRST_TASK = _FIRST_CODE + len(_CODE)


class Classification(msgspec.Struct, frozen=True):
    """What the classifier makes of a prompt."""

    tier: Tier
    complexity: float
    """0 to 1."""
    confidence: float
    """0.5 (a coin toss: right at the threshold, or nothing to go by) to 1; 0.85 for code."""
    reason: str
    """`classifier:TIER`, or `default:TIER` where there was nothing to go by."""
    task: Task


def classify(
    prompt: str,
    system_prompt: str = "",
    *,
    prefer_quality: bool = False,
    prefer_speed: bool = False,
    settings: Routing,
) -> Classification:
    """Choose a tier for a prompt.

    complexity = 0.5 p + 0.3 min(tokens / 1000, 1) + 0.2 min(0.2 q, 0.5), where p is the share of complex among the simple and
    complex patterns that were found (0.5 where none was), tokens a quarter of the characters, and q the number of question
    marks. Over `token_threshold` tokens 0.15 is added; a wish for quality adds 0.2, one for speed takes 0.2; cut to 0..1.
    One code pattern is enough for `code`, with confidence 0.85. Otherwise `deep` from `complexity_threshold` on, `fast` below;
    `default_tier` where no pattern was found, the prompt is short and no wish was uttered.
    Confidence is 0.5 at the threshold and grows with the distance from it to 1 at the farther end of the scale.
    """
    text = f"{system_prompt}\n{prompt}" if system_prompt else prompt
    tokens = len(text) / 4
    if len(text) > 2 * _END:
        text = f"{text[:_END]}\n{text[-_END:]}"
    found = sorted(_patterns().Match(text.encode("utf-8", "replace")) or ())
    simple = bisect_left(found, _FIRST_COMPLEX)
    hard = bisect_left(found, _FIRST_CODE) - simple
    tasks = bisect_left(found, _FIRST_TASK)
    code = tasks - simple - hard
    pattern = hard / (simple + hard) if simple + hard else 0.5
    complexity = 0.5 * pattern + 0.3 * min(tokens / 1000, 1.0) + 0.2 * min(0.2 * text.count("?"), 0.5)
    is_long = tokens > settings.token_threshold
    complexity += 0.15 * is_long + 0.2 * prefer_quality - 0.2 * prefer_speed
    complexity = min(max(complexity, 0.0), 1.0)
    if code:
        return Classification("code", complexity, 0.85, "classifier:code", "code")
    is_simple = simple > 0 and not hard and not is_long
    task = _TASKS[found[tasks] - _FIRST_TASK][0] if tasks < len(found) else "simple" if is_simple else "chat"
    if not (simple or hard or is_long or prefer_quality or prefer_speed):
        tier = settings.default_tier
        return Classification(tier, complexity, 0.5, f"default:{tier}", task)
    threshold = settings.complexity_threshold
    tier: Tier = "deep" if complexity >= threshold else "fast"
    confidence = 0.5 + 0.5 * abs(complexity - threshold) / max(threshold, 1.0 - threshold)
    return Classification(tier, complexity, confidence, f"classifier:{tier}", task)


@cache
def _patterns() -> re2.Set:
    """Compile all patterns into one set: a prompt is read once, in time linear in its length."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = False
    patterns = re2.Set.SearchSet(options)
    for pattern in (*_SIMPLE, *_COMPLEX, *_CODE, *(pattern for _, pattern in _TASKS)):
        patterns.Add(pattern)
    patterns.Compile()
    return patterns
