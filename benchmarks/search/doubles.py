# ruff: noqa: E501 - pairs stand beside each other
"""Entries of a knowledge base, pairs of them that differ in one fact, and pairs that say the same in other dress."""

from __future__ import annotations

import random
import re
import textwrap
import unicodedata
from collections.abc import Callable


def _list(words: str) -> list[str]:
    return words.split()


HOSTS = _list("atlas borealis castor delta ember falcon granite helix iris juniper krypton lumen")
PEOPLE = _list("Karin Marin Olsen Okafor Tanaka Silva Moreau Novak Haddad Lindgren Petrov Garcia")
PLACES = _list("Frankfurt Dublin Oregon Mumbai Tokyo Sydney Toronto Madrid Warsaw Nairobi Lima Oslo")
SUBJECTS = _list(
    "database cache queue gateway scheduler indexer balancer archive mirror registry proxy collector planner broker"
)
STATES = _list("reachable encrypted replicated monitored compressed isolated available restricted measured documented")
OBJECTS = _list("backups certificates reports snapshots credentials invoices messages sessions metrics permissions")

_TEMPLATES: tuple[Callable[[random.Random], str], ...] = (
    lambda r: (
        f"The {r.choice(SUBJECTS)} service on {_host(r)} is {r.choice(STATES)} and listens on port {r.randrange(1024, 65535)}."
    ),
    lambda r: f"The {r.choice(OBJECTS)} are copied from {_host(r)} to {_host(r)} within {r.randrange(2, 90)} minutes.",
    lambda r: (
        f"Our team in {r.choice(PLACES)} has allowed {r.randrange(10, 900)} GB of {r.choice(OBJECTS)} for {r.choice(PEOPLE)}."
    ),
    lambda r: (
        f"The {r.choice(SUBJECTS)} was upgraded to version {_version(r)} on {_date(r)} and is {r.choice(STATES)}."
    ),
    lambda r: (
        f"Every {r.choice(SUBJECTS)} must enable compression of {r.choice(OBJECTS)} before traffic from {_ip(r)} is accepted."
    ),
    lambda r: (
        f"The {r.choice(OBJECTS)} of the {r.choice(SUBJECTS)} are kept in /srv/{r.choice(HOSTS)}/{r.choice(OBJECTS)} for {_word_number(r)} weeks."
    ),
    lambda r: (
        f"The {r.choice(SUBJECTS)} has a temperature limit of -{r.randrange(2, 40)} degrees and is {r.choice(STATES)} there."
    ),
)


def entry(rng: random.Random, sentences: int = 4) -> str:
    """Make an entry of so many sentences about infrastructure that is not there."""
    return " ".join(make(rng) for make in rng.sample(_TEMPLATES, min(sentences, len(_TEMPLATES))))


def _host(rng: random.Random) -> str:
    return f"{rng.choice(HOSTS)}-{rng.randrange(1, 400)}.example.net"


def _version(rng: random.Random) -> str:
    return f"{rng.randrange(1, 30)}.{rng.randrange(0, 40)}.{rng.randrange(0, 40)}"


def _date(rng: random.Random) -> str:
    return f"20{rng.randrange(18, 27)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def _ip(rng: random.Random) -> str:
    return f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def _word_number(rng: random.Random) -> str:
    return rng.choice(_list("two three four five six seven eight nine ten twelve"))


def _frame(a: str, b: str) -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        before, after = entry(rng, 2), entry(rng, 1)
        return f"{before} {a} {after}", f"{before} {b} {after}"

    return make


def _other(rng: random.Random, pattern: str, replace: Callable[[str], str]) -> tuple[str, str]:
    while True:
        text = entry(rng, 5)
        found = list(re.finditer(pattern, text))
        if found:
            m = rng.choice(found)
            changed = text[: m.start()] + replace(m.group()) + text[m.end() :]
            if changed != text:
                return text, changed


def _bump(text: str) -> str:
    return re.sub(r"\d(?=\D*$)", lambda m: str((int(m.group()) + 1) % 10), text)


_SWAPS: dict[str, tuple[tuple[str, str], ...]] = {
    "unit": (("The limit is 5 GB.", "The limit is 5 MB."), ("It takes 5 ms.", "It takes 5 s."), ("It sends 5 Mb.", "It sends 5 MB."), ("It is 20 °C.", "It is 20 °F."), ("It uses 3 mW.", "It uses 3 MW.")),
    "sign": (("The offset is -5.", "The offset is 5."), ("It needs load < 5.", "It needs load > 5."), ("The fee is $5.", "The fee is €5."), ("It drifts +3 units.", "It drifts -3 units."), ("The value is 10².", "The value is 102.")),
    "number form": (("It has 0x1F slots.", "It has 0x1E slots."), ("It costs 1,000 credits.", "It costs 10,00 credits."), ("It weighs 1.5 tons.", "It weighs 15 tons."), ("Release 1.10 is used.", "Release 1.1 is used."), ("Code 007 is set.", "Code 07 is set."), ("It has 1e5 rows.", "It has 1e6 rows.")),
    "unicode digits": (("It uses port ５４３２ there.", "It uses port ５４３３ there."), ("It uses port ٥٤٣٢ there.", "It uses port 5433 there."), ("It needs ½ of it.", "It needs ¼ of it."), ("Use step ① here.", "Use step ② here.")),
    "number word": (("It has two replicas.", "It has three replicas."), ("It runs twice daily.", "It runs once daily."), ("It is the first node.", "It is the third node."), ("It has a dozen disks.", "It has dozens of disks."), ("It holds half of them.", "It holds all of them."), ("It has thirteen disks.", "It has thirty disks.")),
    "roman": (("It belongs to phase IV.", "It belongs to phase VI."), ("Use chapter XIV here.", "Use chapter XVI here."), ("It is Mark II.", "It is Mark III.")),
    "negated": (("The port is open.", "The port is not open."), ("Restart is allowed.", "Restart is never allowed."), ("It has a backup.", "It has no backup."), ("It doesn't fail.", "It does fail."), ("It works with TLS.", "It works without TLS."), ("No, delete the backups.", "No delete the backups."), ("The host can reach it.", "The host cannot reach it.")),
    "antonym": (("Please enable the firewall.", "Please disable the firewall."), ("You must allow access.", "You must deny access."), ("Stop it before midnight.", "Stop it after midnight."), ("The mode is inbound.", "The mode is outbound."), ("Traffic is increased.", "Traffic is decreased."), ("Upload the bundle there.", "Unload the bundle there."), ("Sort it ascending.", "Sort it descending."), ("It is mandatory.", "It is optional."), ("The minimum is set.", "The maximum is set."), ("It was attached there.", "It was detached there.")),
    "order": (("Copy it from alpha to omega.", "Copy it from omega to alpha."), ("Karin reports to Olsen.", "Olsen reports to Karin."), ("Ember depends on iris.", "Iris depends on ember."), ("It maps 80 to 8080.", "It maps 8080 to 80."), ("Stop the writer. Copy the files.", "Copy the files. Stop the writer."), ("First drain it. Then stop it.", "Then stop it. First drain it.")),
    "name": (("Ask Karin for it.", "Ask Marin for it."), ("The model is gpt-4o-mini.", "The model is gpt-4o-nano."), ("It runs in Oslo.", "It runs in Lima."), ("Write to ops@example.net for it.", "Write to dev@example.net for it."), ('The word is "falcon".', 'The word is "falcun".'), ("Run deploy_all there.", "Run deploy_app there."), ("Edit /etc/hosts there.", "Edit /etc/Hosts there."), ("Use flag -v here.", "Use flag -V here."), ("Set fooBar there.", "Set foobar there."), ("Read .env there.", "Read env there."), ("Choose plan A.", "Choose plan B."), ("The owner is Polish.", "The owner will polish."), ("Give it to US.", "Give it to us.")),
    "modal": (("It must be signed.", "It may be signed."), ("It was deleted.", "It will be deleted."), ("Is it safe? Yes.", "It is safe. Yes."), ("All nodes are down.", "Some nodes are down."), ("The server is full.", "The servers are full."), ("Use a && b there.", "Use a || b there."), ("Check x == y there.", "Check x != y there.")),
    "look-alike word": (("It was a trial run.", "It was a trail run."), ("The effect is casual.", "The effect is causal."), ("They are united there.", "They are untied there."), ("The contract is short.", "The contrast is short.")),
}  # fmt: skip


def adversarial(rng: random.Random, count: int) -> list[tuple[str, str, str]]:
    """Make pairs that are alike and must not be merged: (kind, one, other), the kinds in turn."""
    kinds: dict[str, Callable[[random.Random], tuple[str, str]]] = {
        "port": lambda r: _other(r, r"port \d+", _bump),
        "host": lambda r: _other(r, r"\w+-\d+\.example", lambda t: _bump(t)),
        "host name": lambda r: _other(r, r"\w+(?=-\d+\.example)", lambda t: r.choice(HOSTS)),
        "version": lambda r: _other(r, r"version [\d.]+\d", _bump),
        "date": lambda r: _other(r, r"20\d\d-\d\d-\d\d", _bump),
        "address": lambda r: _other(r, r"10(?:\.\d+){3}", _bump),
        "person": lambda r: _other(r, "|".join(PEOPLE), lambda t: r.choice(PEOPLE)),
        "place": lambda r: _other(r, "|".join(PLACES), lambda t: r.choice(PLACES)),
        "path": lambda r: _other(r, r"/srv/\w+", lambda t: f"/srv/{r.choice(HOSTS)}"),
        "subject": lambda r: _other(r, "|".join(SUBJECTS), lambda t: r.choice(SUBJECTS)),
        "extra number": lambda r: _other(r, r"GB", lambda t: f"GB (of {r.randrange(1000, 2000)})"),
        "word of number": lambda r: _other(
            r, r"(?:two|three|four|five|six|seven|eight|nine|ten|twelve)(?= weeks)", lambda t: _word_number(r)
        ),
        "minus": lambda r: _other(r, r"-(?=\d+ degrees)", lambda t: ""),
        "extra sentence": lambda r: (lambda e: (e, f"{e} {_TEMPLATES[0](r)}"))(entry(r, 5)),
    }
    for name, swaps in _SWAPS.items():
        kinds[name] = (lambda all_: lambda r: _frame(*r.choice(all_))(r))(swaps)
    found: list[tuple[str, str, str]] = []
    while len(found) < count:
        for kind, make in kinds.items():
            a, b = make(rng)
            if a != b:
                found.append((kind, a, b) if rng.random() < 0.5 else (kind, b, a))
    return found[:count]


def typo(rng: random.Random, text: str) -> str:
    """Misspell one word of at least seven small letters, somewhere in it."""
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if word.isalpha() and word.islower() and len(word) >= 7]
    if not long:
        return text
    at = rng.choice(long)
    word = words[at]
    i = rng.randrange(1, len(word) - 1)
    words[at] = rng.choice(
        (
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :],
            word[:i] + rng.choice("aeiourstn") + word[i + 1 :],
        )
    )
    return " ".join(words)


def _shuffled(rng: random.Random, text: str) -> str:
    parts = re.split(r"(?<=\.)\s", text)
    rng.shuffle(parts)
    return " ".join(parts)


DRESSES: dict[str, Callable[[random.Random, str], str]] = {
    "typo": typo,
    "reordered": _shuffled,
    "marks": lambda r, text: re.sub(r"\.(?=\s|$)", lambda m: r.choice(("!", "", " …", ".")), text),
    "case": lambda r, text: " ".join(w.lower() if w.isalpha() or (w.rstrip(".").isalpha() and "GB" not in w) else w for w in text.split(" ")) if "GB" not in text else text[0].lower() + text[1:],
    "greeting": lambda r, text: r.choice(("Hello team, ", "Hi all! ", "Dear all,\n", "FYI: ", "Good morning everyone,\n")) + text,
    "spaces": lambda r, text: text.replace(". ", ".\n\n").replace(" the ", "  the "),
    "copy": lambda r, text: text,
}  # fmt: skip


def twins(rng: random.Random, count: int) -> list[tuple[str, str, str]]:
    """Make pairs that say the same: (dress, one, other), the dresses in turn."""
    names = list(DRESSES)
    found = []
    for at in range(count):
        text = entry(rng, 4)
        found.append((names[at % len(names)], text, DRESSES[names[at % len(names)]](rng, text)))
    return found


_SPELT = (("colour", "color"), ("catalogue", "catalog"), ("behaviour", "behavior"), ("centre", "center"), ("licence", "license"), ("programme", "program"), ("defence", "defense"), ("neighbour", "neighbor"))  # fmt: skip
_SLIPS = {" the ": " teh ", " and ": " adn ", " is ": " si ", " of ": " fo ", " are ": " aer ", " was ": " wsa "}
_ITEMS = _list("oil brakes filters tyres mirrors lamps belts doors")


def _british(rng: random.Random) -> tuple[str, str]:
    text, (one, other) = entry(rng, 4), rng.choice(_SPELT)
    return f"{text} Its {one} is on the list.", f"{text} Its {other} is on the list."


def _slipped(rng: random.Random) -> tuple[str, str]:
    text = entry(rng, 4)
    slip = rng.choice([one for one in _SLIPS if one in text])
    return text, text.replace(slip, _SLIPS[slip], 1)


def _bullets(rng: random.Random) -> tuple[str, str]:
    items = [f"- {one} of the {rng.choice(SUBJECTS)} car" for one in rng.sample(_ITEMS, 5)]
    head = f"{entry(rng, 2)}\n\nTo be checked:\n"
    return head + "\n".join(items), head + "\n".join(items[2:] + items[:2])


def _of(dress: Callable[[random.Random, str], str]) -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        text = entry(rng, 4)
        return text, dress(rng, text)

    return make


LOOSE: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "spelling": _british,
    "slip": _slipped,
    "bullets": _bullets,
    "article": _of(lambda r, text: re.sub(r"\bthe ", "", text, count=1)),
    "word twice": _of(lambda r, text: text.replace(" the ", " the the ", 1)),
    "footer": _of(lambda r, text: f"{text}\n\nThis page belongs to the documentation. For internal use only."),
    "heading": _of(lambda r, text: f"# Note\n\n{text}"),
    "bold": _of(lambda r, text: re.sub(r"^(\w+)", r"**\1**", text)),
    "capitals": _of(lambda r, text: text.upper()),
    "and": _of(lambda r, text: text.replace(" and ", " & ") if " and " in text else text.replace(" is ", " is also ", 1)),
    "wrapped": _of(lambda r, text: "\n".join(textwrap.wrap(text, r.randrange(60, 90), break_on_hyphens=False, break_long_words=False))),
    "accents": lambda r: (lambda text: (text, unicodedata.normalize("NFD", text)))(f"Müller, Škoda: {entry(r, 4)}"),
}  # fmt: skip
"""Ways in which an entry stands in a collection a second time; in some of them a person has to say that it is the same."""


def loose(rng: random.Random, count: int) -> list[tuple[str, str, str]]:
    """Make pairs that mean the same: (way, one, other), the ways in turn."""
    names = list(LOOSE)
    return [(names[at % len(names)], *LOOSE[names[at % len(names)]](rng)) for at in range(count)]
