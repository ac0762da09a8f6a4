"""What the simulated models know: the right answer to a question, and the plausible wrong one a weak model gives.

Wrong answers are of these kinds, so that a judge can tell them: a number that is off by a little, the capital of
another country, code with a mistake in one place, one item too many or too few, or talk about another subject.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from meliora.gateway.simulated.models import Task

READ_CHARS = 4000
"""A question is understood from its first characters alone, so that no prompt can keep the process busy."""

CAPITALS = {
    "argentina": "Buenos Aires",
    "australia": "Canberra",
    "austria": "Vienna",
    "brazil": "Brasília",
    "canada": "Ottawa",
    "china": "Beijing",
    "egypt": "Cairo",
    "finland": "Helsinki",
    "france": "Paris",
    "germany": "Berlin",
    "greece": "Athens",
    "india": "New Delhi",
    "ireland": "Dublin",
    "italy": "Rome",
    "japan": "Tokyo",
    "kenya": "Nairobi",
    "norway": "Oslo",
    "peru": "Lima",
    "poland": "Warsaw",
    "portugal": "Lisbon",
    "spain": "Madrid",
    "sweden": "Stockholm",
    "switzerland": "Bern",
    "turkey": "Ankara",
}

CODE = (
    ("reverse", "def reverse(text):\n    return text[::-1]", "def reverse(text):\n    return text[::1]"),
    ("add", "def add(a, b):\n    return a + b", "def add(a, b):\n    return a - b"),
    (
        "factorial",
        "def factorial(n):\n    return 1 if n < 2 else n * factorial(n - 1)",
        "def factorial(n):\n    return 1 if n < 2 else n * factorial(n - 2)",
    ),
    (
        "fibonacci",
        "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)",
        "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 3)",
    ),
    (
        "prime",
        "def is_prime(n):\n    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))",
        "def is_prime(n):\n    return n > 1 and all(n % d for d in range(2, int(n**0.5)))",
    ),
    ("sort", "def ordered(items):\n    return sorted(items)", "def ordered(items):\n    return items.sort()"),
)

_OPERATORS: dict[str, tuple[str, Callable[[int, int], int | float]]] = {
    "+": ("+", lambda a, b: a + b),
    "plus": ("+", lambda a, b: a + b),
    "-": ("-", lambda a, b: a - b),
    "minus": ("-", lambda a, b: a - b),
    "*": ("*", lambda a, b: a * b),
    "x": ("*", lambda a, b: a * b),
    "times": ("*", lambda a, b: a * b),
    "/": ("/", lambda a, b: a // b if a % b == 0 else round(a / b, 4)),
    "divided by": ("/", lambda a, b: a // b if a % b == 0 else round(a / b, 4)),
}
_ARITHMETIC = re.compile(r"(-?\d{1,9}) ?(\+|-|\*|/|x|plus|minus|times|divided by) ?(-?\d{1,9})\b")
_CAPITAL = re.compile(r"capital of (?:the )?([a-z]{3,20})")
_ECHO = re.compile(r"^(?:please )?(?:say|repeat|echo)(?: exactly| after me)?:? +(.{1,400})", re.IGNORECASE)
_COUNT = re.compile(r"\bcount (?:from 1 )?to (\d{1,4})\b")
_LENGTH = re.compile(r"\bin (\d{1,4}) words\b")
_WORD = re.compile(r"[^\W\d_]{4,30}")

_MARKS: tuple[tuple[Task, tuple[str, ...]], ...] = (
    (
        "code",
        ("```", "function", "python", "javascript", "code", "sql", "regex", "compile", "unit test", "stack trace"),
    ),
    ("reasoning", ("prove", "step by step", "why ", "reason", "logic", "puzzle", "deduce", "how many")),
    ("research", ("research", "compare", "sources", "literature", "survey", "summarise", "summarize", "evidence")),
    ("creative", ("poem", "story", "haiku", "slogan", "song", "imagine", "limerick", "tagline")),
    ("system", ("deploy", "server", "docker", "kubernetes", "nginx", "linux", "restart", "disk", "log file")),
)
_SUBJECTS = ("tides", "beekeeping", "medieval roads", "glass making", "bird migration", "tax law", "violins", "moss")
_FILLER = ("the", "answer", "goes", "on", "at", "the", "length", "that", "was", "asked", "for")
_STOPWORDS = frozenset(("what", "with", "that", "this", "from", "have", "about", "please", "which", "would", "could"))


@dataclass(frozen=True)
class Solution:
    """A question solved: both answers, and the bare value where the right answer is a number or a name."""

    task: Task
    right: str
    wrong: str
    value: int | float | str | None = None


def task_of(question: str) -> Task:
    """Tell the type of a task by a few marks; `simple` for what is looked up or short, `chat` where nothing fits."""
    text = question[:READ_CHARS].lower()
    if _ARITHMETIC.search(text) or _CAPITAL.search(text) or _ECHO.search(text) or _COUNT.search(text):
        return "simple"
    for task, marks in _MARKS:
        if any(mark in text for mark in marks):
            return task
    return "simple" if len(text.split()) <= 3 else "chat"


def solve(question: str, draw: int) -> Solution:
    """Give both answers. `draw` chooses among the ways of being wrong; the right one does not depend on it."""
    text = question[:READ_CHARS]
    for known in (_arithmetic, _capital, _echo, _count, _code):
        found = known(text, draw)
        if found is not None:
            return found
    return _talk(text, draw)


def grade(question: str, text: str) -> bool:
    """Tell whether an answer is the right one to the question. False for one that was cut before its end."""
    return solve(question, 0).right in text


def place_in(question: str) -> str | None:
    """Give the first known place that is named in the text."""
    text = question[:READ_CHARS].lower()
    names = [city for country, city in CAPITALS.items() if city.lower() in text or country in text]
    return names[0] if names else None


def wished_words(question: str) -> int | None:
    """Give the number of words asked for by `in N words`."""
    found = _LENGTH.search(question[:READ_CHARS].lower())
    return int(found[1]) if found else None


def _arithmetic(text: str, draw: int) -> Solution | None:
    found = _ARITHMETIC.search(text.lower())
    if found is None:
        return None
    a, b = int(found[1]), int(found[3])
    sign, apply = _OPERATORS[found[2]]
    if sign == "/" and b == 0:
        return Solution("simple", "Division by zero has no result.", f"{a} / 0 = 0.")
    value = apply(a, b)
    wrong = value + (draw % 9 + 1) * (-1 if draw % 2 else 1)
    return Solution("simple", f"{a} {sign} {b} = {value}.", f"{a} {sign} {b} = {wrong}.", value)


def _capital(text: str, draw: int) -> Solution | None:
    found = _CAPITAL.search(text.lower())
    if found is None or found[1] not in CAPITALS:
        return None
    country, city = found[1].capitalize(), CAPITALS[found[1]]
    others = [other for other in CAPITALS.values() if other != city]
    sentence = f"The capital of {country} is "
    return Solution("simple", f"{sentence}{city}.", f"{sentence}{others[draw % len(others)]}.", city)


def _echo(text: str, draw: int) -> Solution | None:
    found = _ECHO.search(text)
    if found is None:
        return None
    said = found[1].strip().strip("\"'") or found[1].strip()
    shift = draw % max(len(said) - 1, 1) + 1
    return Solution("simple", said, f"{said[shift:]} {said[: max(shift - 1, 0)]}…".strip(), said)


def _count(text: str, draw: int) -> Solution | None:
    found = _COUNT.search(text.lower())
    if found is None:
        return None
    numbers = [str(number) for number in range(1, int(found[1]) + 1)]
    skipped = draw % max(len(numbers), 1)
    wrong = numbers[:skipped] + numbers[skipped + 1 :]
    return Solution("simple", " ".join(numbers) + ".", " ".join(wrong) + ".", int(found[1]))


def _code(text: str, draw: int) -> Solution | None:
    if task_of(text) != "code":
        return None
    low = text.lower()
    for word, right, wrong in CODE:
        if word in low:
            return Solution("code", f"```python\n{right}\n```", f"```python\n{wrong}\n```", right)
    topic = _topic(text)
    body = f'def solve(items):\n    """{topic}."""\n    return [item for item in items if item is not None]'
    wrong = body.replace("is not None", "is None")
    return Solution("code", f"```python\n{body}\n```", f"```python\n{wrong}\n```")


def _talk(text: str, draw: int) -> Solution:
    task, topic = task_of(text), _topic(text)
    other = _SUBJECTS[draw % len(_SUBJECTS)]
    opening = {
        "reasoning": "Step by step, from what is given about",
        "research": "What the sources agree on about",
        "creative": "A small piece about",
        "system": "The commands to run for",
    }.get(task, "In short, about")
    close = "it holds under the conditions you named, and it is worth checking once."
    return Solution(task, f"{opening} {topic}: {close}", f"{opening} {other}: {close}")


def _topic(text: str) -> str:
    words = [word.lower() for word in _WORD.findall(text) if word.lower() not in _STOPWORDS]
    return " ".join(dict.fromkeys(words[:40])) if words else "your message"


def stretch(text: str, words: int) -> str:
    """Lengthen a text to about so many words; one that is longer stays as it is."""
    missing = words - len(text.split())
    if missing <= 0:
        return text
    filler = [_FILLER[i % len(_FILLER)] for i in range(missing)]
    return f"{text} {' '.join(filler)}"
