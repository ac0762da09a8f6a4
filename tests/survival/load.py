"""Clients that call without retries and count whole answers only, and the comparison of what they saw with the store."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.survival.house import House

MARK = "x-meliora-message-id"


@dataclass
class Load:
    """So many clients in threads, each calling again and again; every third call is a stream, one connection a call."""

    port: int
    secret: str
    clients: int = 4
    pause: float = 0.01
    """Seconds between two calls of a client."""
    text: str = "Write 12 words"
    model: str = "m"
    prefix: str = "mark-"
    answered: dict[str, str] = field(default_factory=dict)
    """Call id of each whole answer with 200, by the client's own mark."""
    cut: set[str] = field(default_factory=set)
    """Marks of calls that were sent and got no whole answer: nobody can say how far they came."""
    unsent: int = 0
    """Calls that found nobody listening."""
    refused: Counter[int] = field(default_factory=Counter)
    """Whole answers of another status."""
    halves: list[str] = field(default_factory=list)
    """What was wrong with answers that had begun."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._numbers = count()
        self._threads: list[threading.Thread] = []

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Call as long as the block runs; at its end every call has come to an end."""
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in self._threads), "a call hangs"

    def _client(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            self.once(f"{self.prefix}{number}", stream=number % 3 == 0)
            time.sleep(self.pause)

    def once(self, mark: str, *, stream: bool) -> None:
        """Make one call and book how it went."""
        body = {"model": self.model, "stream": stream, "messages": [{"role": "user", "content": self.text}]}
        headers = {"authorization": f"Bearer {self.secret}", "content-type": "application/json", MARK: mark}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=45)
        try:
            try:
                connection.connect()
            except OSError:
                self.unsent += 1
                self._stop.wait(0.02)
                return
            begun = False
            try:
                connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
                answer = connection.getresponse()
                begun = True
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.cut.add(mark)
                if begun:
                    self.halves.append(f"{mark}: {error!r}")
                return
            if answer.status != 200:
                self.refused[answer.status] += 1
            elif text.endswith(b"data: [DONE]\n\n") if stream else b'"choices"' in text:
                self.answered[mark] = answer.headers["x-meliora-call"]
            else:
                self.cut.add(mark)
                self.halves.append(f"{mark}: {text[-200:]!r}")
        finally:
            connection.close()


def compare(house: House, *loads: Load, exact: bool = False, lost: int = 0) -> int:
    """Hold what clients saw against the store, and give the number of calls recorded as finished well.

    Every whole answer is recorded once, under its id. What is recorded beyond that was cut on its way to the client;
    with `exact` there is nothing beyond. `lost`: answers that may be missing.
    """
    answered = {mark: call for load in loads for mark, call in load.answered.items()}
    cut = {mark for load in loads for mark in load.cut}
    with house.store() as connection:
        rows = connection.exec_driver_sql("SELECT id, state, outcome, message_id FROM calls").all()
        counted = connection.exec_driver_sql("SELECT SUM(calls) FROM usage_daily").scalar() or 0
        good = connection.exec_driver_sql("SELECT SUM(successes) FROM model_performance").scalar() or 0
    finished = [row for row in rows if row[1] == "finished"]
    times = Counter(row[3] for row in finished)
    assert not [mark for mark, number in times.items() if number > 1], "a call was recorded twice"
    well = {row[3]: row[0] for row in finished if row[2] == "ok"}
    missing = sorted(mark for mark in answered if mark not in well)
    assert len(missing) <= lost, f"{len(missing)} answered calls are not recorded: {missing[:5]}\n{house.logs()}"
    assert all(well[mark] == call for mark, call in answered.items() if mark in well), "an answer is under another id"
    beyond = sorted(set(well) - set(answered))
    assert set(beyond) <= cut, f"calls recorded that nobody made: {[m for m in beyond if m not in cut][:5]}"
    assert not exact or not beyond, f"{len(beyond)} calls were cut"
    assert (counted, good) == (len(finished), len(well)), "the sums say another number than the calls"
    assert len(answered) - len(missing) + len(beyond) == len(well)
    return len(well)
