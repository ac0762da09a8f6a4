"""A long conversation of two people, in which facts are told once, and questions about them. All of it is made.

A question has the person's name and one more word of its answer in any form; the name alone stands in a tenth of the turns. A question
that has nothing but the name in common with its answer is not among them: memory goes by words.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

PEOPLE = ("Marta", "Jonas", "Ines", "Pavel", "Greta", "Tomas", "Lucia", "Emil", "Nadia", "Oskar")
PLACES = ("Porto", "Gdansk", "Turin", "Bergen", "Lyon", "Split", "Ghent", "Cork", "Tartu", "Graz")
THINGS = (
    "a cello",
    "a kayak",
    "a beehive",
    "a loom",
    "a telescope",
    "a sidecar",
    "a kiln",
    "a sextant",
    "a harp",
    "a drone",
)
MONTHS = ("January", "March", "May", "July", "October")
FACTS = (
    ("{who} moved to {where} in {month}, the flat there is tiny.", "Where does {who} live since the move?"),
    ("Guess what, {who} bought {what} from a neighbour.", "What has {who} bought?"),
    ("{who} is allergic to {food}, so no {food} on Sunday.", "What was {who} allergic to?"),
    ("The train that {who} takes leaves at {time}.", "When does the train of {who} leave?"),
    ("{who} works at the {shop} now.", "Where is {who} working?"),
    ("The dog of {who} is called {dog}.", "What is the name of the dog of {who}?"),
)
FOODS = ("walnuts", "shellfish", "celery", "gluten", "mustard")
SHOPS = ("bakery", "shipyard", "museum", "brewery", "library")
DOGS = ("Rex", "Bruno", "Luna", "Fips", "Olga")
CHATTER = (
    "How was your day?",
    "It rained in {where} again.",
    "I saw {who} at the market, we talked about {what}.",
    "{who} says hello.",
    "Shall we go to {where} in {month}?",
    "The soup needs more salt, {who} would say.",
    "I am tired, the {shop} was full of people today.",
    "Did you read the paper? Something about {where}.",
    "Let us talk about that tomorrow.",
    "A dog barked all night.",
)


@dataclass(frozen=True)
class Talk:
    """What was said, in its order, and what is asked: the question, and the number of the turn that answers it."""

    turns: tuple[dict[str, str], ...]
    questions: tuple[tuple[str, int], ...]


def talk(messages: int, user: str, seed: int = 5) -> Talk:
    """Make a conversation with one fact of each kind about each person, spread over all of it."""
    rng = random.Random(seed)

    def filled(text: str, who: str) -> str:
        return text.format(
            who=who,
            where=rng.choice(PLACES),
            what=rng.choice(THINGS),
            month=rng.choice(MONTHS),
            food=rng.choice(FOODS),
            shop=rng.choice(SHOPS),
            dog=rng.choice(DOGS),
            time=f"{rng.randrange(5, 23)}:{rng.randrange(10, 60)}",
        )

    told = [(filled(fact, who), question.format(who=who)) for who in PEOPLE for fact, question in FACTS]
    at = dict(zip(rng.sample(range(messages), len(told)), told, strict=True))
    turns, questions = [], []
    for number in range(messages):
        fact = at.get(number)
        text = filled(rng.choice(CHATTER), rng.choice(PEOPLE)) if fact is None else fact[0]
        turns.append({"speaker": ("Ada", "Ben")[number % 2], "text": text, "user": user, "message": f"m{number}"})
        if fact is not None:
            questions.append((fact[1], number + 1))
    return Talk(tuple(turns), tuple(questions))
