"""Documents that people put, search and delete over the one port while processes die, and what must be so at the end."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.survival.house import House

AWAY = (0, 502, 503, 504)
"""What a client is told while something is down: it may ask again."""
SUBJECTS = ("engine oil piston", "bread flour oven", "star planet orbit", "court judge law", "harbour crane ship")


def documents(count: int, name: str) -> list[dict[str, Any]]:
    """Give documents, each with a word that no other has."""
    chance = random.Random(name)
    return [
        {"id": f"{name}-{at}", "text": f"{chance.choice(SUBJECTS)} {word(f'{name}-{at}')} {chance.choice(SUBJECTS)}"}
        for at in range(count)
    ]


def word(id: str) -> str:
    """Give a document's own word."""
    return "q" + "".join("bcdfghjklm"[int(one)] if one.isdigit() else one for one in id if one.isalnum()) + "q"


@dataclass
class Shelf:
    """A collection as its users see it."""

    house: House

    def ask(self, method: str, path: str, body: Any = None, seconds: float = 30.0) -> tuple[int, Any]:
        """Ask; status 0 where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=seconds)
        sent = {"authorization": f"Bearer {self.house.secret}", "content-type": "application/json"}
        try:
            connection.request(method, f"/api/v1/knowledge{path}", None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def put(self, some: Sequence[Mapping[str, Any]], *, wait: bool = False) -> tuple[int, Any]:
        """Put documents."""
        return self.ask("POST", "/documents", {"documents": list(some), "wait": wait})

    def search(self, query: str, **more: Any) -> tuple[int, Any]:
        """Search."""
        return self.ask("POST", "/search", {"query": query, **more})

    def standing(self) -> dict[str, Any]:
        """Give how the collection stands; empty where nobody says so."""
        status, body = self.ask("GET", "/collections/default")
        return body if status == 200 else {}

    def up_to_date(self) -> bool:
        """Whether the index has come to the last change."""
        return self.standing().get("behind") == 0

    def audit(self) -> dict[str, Any]:
        """Hold the index against the documents."""
        status, body = self.ask("GET", "/collections/default/audit")
        assert status == 200, body
        return body

    def ids(self) -> list[str]:
        """Give the id of every document, a page at a time."""
        found: list[str] = []
        while True:
            status, body = self.ask("GET", f"/documents?limit=500&after={found[-1] if found else ''}")
            assert status == 200, body
            found += [one["document"]["id"] for one in body["items"]]
            if not body["next"]:
                return found


@dataclass
class People:
    """Clients at work until `stop`; `wrong` holds what must not have happened."""

    shelf: Shelf
    old: Sequence[Mapping[str, Any]]
    """Documents that were there before: each must be found all the time."""
    acknowledged: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    indexing: list[subprocess.Popen[str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def putting(self, some: Sequence[Mapping[str, Any]], seed: int) -> None:
        """Put documents some at a time, each until it is acknowledged; delete one of them now and then."""
        chance = random.Random(seed)
        at = 0
        while at < len(some):
            part = some[at : at + chance.randint(1, 25)]
            said = self._until(lambda part=part: self.shelf.put(part, wait=chance.random() < 0.3))
            self.acknowledged.update(one["id"] for one in part)
            if said and said["indexed"] and said["taken"]["latest"]:
                self._found_at_once(part[-1]["id"], said)
            if said and chance.random() < 0.15:
                gone = str(part[0]["id"])
                if self._until(lambda gone=gone: self.shelf.ask("DELETE", "/documents", {"ids": [gone]})):
                    self.deleted.add(gone)
            at += len(part)
            time.sleep(chance.uniform(0, 0.1))

    def searching(self, seed: int) -> None:
        """Search for what was there before anything died."""
        chance = random.Random(seed)
        seen = 0
        while not self.stop.is_set():
            one = chance.choice(self.old)
            status, body = self.shelf.search(word(one["id"]))
            if status == 200:
                self.answered += 1
                if one["id"] not in [result["document"] for result in body["results"][:1]]:
                    self.wrong.append(f"{one['id']} was not found at {body['generation']}/{body['watermark']}")
                if body["watermark"] < seen:
                    self.wrong.append(f"from {seen} back to {body['watermark']} at {body['generation']}")
                seen = body["watermark"]
            elif status not in AWAY:
                self.wrong.append(f"a search: {status} {body}")

    def command(self, *arguments: str) -> str:
        """Run a command, again each time that it is killed; give what it says."""
        line = [sys.executable, "-m", "meliora.cli", "--config", str(self.shelf.house.config), *arguments]
        while not self.stop.is_set():
            process = subprocess.Popen(
                line,
                cwd=self.shelf.house.root,
                env=self.shelf.house.variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self.indexing.append(process)
            out, err = process.communicate()
            self.indexing.remove(process)
            if process.returncode == 0:
                return out
            if process.returncode != -9:
                self.wrong.append(f"{' '.join(arguments)}: {process.returncode} {err[-500:]}")
                return ""
        return ""

    def _until(self, ask: Callable[[], tuple[int, Any]]) -> Any:
        while not self.stop.is_set():
            status, body = ask()
            if status == 200:
                return body
            if status not in AWAY:
                self.wrong.append(f"{status} {body}")
                return None
            time.sleep(0.1)
        return None

    def _found_at_once(self, id: str, said: Any) -> None:
        status, body = self.shelf.search(word(id))
        if status == 200 and id not in [result["document"] for result in body["results"]]:
            self.wrong.append(f"{id} can be found, was said ({said}), and is not ({body['watermark']})")


def check(shelf: Shelf, expected: Iterable[str]) -> None:
    """What was acknowledged is there, once, and found; what was deleted is not."""
    found = shelf.ids()
    assert sorted(found) == sorted(expected), (set(expected) ^ set(found), len(found))
    audit = shelf.audit()
    assert (audit["missing"], audit["stale"], audit["extra"], audit["behind"]) == ([], [], [], 0)
    assert audit["indexed"] == len(found)
