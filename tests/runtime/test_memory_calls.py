"""A model that sums a person's conversation up is asked in that person's name: who is erased is erased from those calls, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from meliora.runtime.asking import OwnGateway
from meliora.settings.knowledge import Knowledge
from meliora.settings.models import Recording, Server, Settings
from meliora.store.calls.calls import CallFilter
from meliora.store.engine import reading
from meliora.store.tables import metadata
from meliora.supervisor.layout import Layout, write_pids
from meliora.testing.gateway import SECRET
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import Answer, get, post

ZOE, BEN = "zoë 4711", "ben-0815"
OWN = "zyxquark"
"""A word that Zoë alone says."""


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningMeliora]:
    monkeypatch.setenv("OWN_KEY", SECRET)
    settings = Settings(
        server=Server(state_dir=tmp_path / "state"),
        recording=Recording(content="full"),
        knowledge=Knowledge.model_validate({"memory": {"summary_model": "simulated-small", "key": "env:OWN_KEY"}}),
    )
    with RunningMeliora(settings) as running:
        write_pids(Layout.of(settings), {"supervisor": os.getpid()}, running.gateway.url)
        yield running


def window(running: RunningMeliora, user: str, conversation: str, word: str) -> Answer:
    """Let somebody talk at length, and give the window of it, whose summary is the model's."""
    turns = [{"speaker": "A", "text": f"The {word} {n} is to stand on shelf {n}.", "user": user} for n in range(100)]
    assert post(running.gateway, f"/api/v1/memory/{conversation}/turns", {"turns": turns}).status == 200
    found = get(running.gateway, f"/api/v1/memory/{conversation}/window?tokens=400")
    assert found.json["summary"]["failed"] == "", found.body
    return found


def holds(running: RunningMeliora, word: str) -> list[str]:
    """Name the tables whose rows hold a word."""
    with reading(running.store.engine) as connection:
        rows = [(table.name, row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    return sorted({name for name, row in rows if word in str(tuple(row))})


def test_calls_for_summaries_are_erased_with_the_person_whose_words_they_hold(running: RunningMeliora) -> None:
    """Those that were stored already, and those that lie in the spool still; another person's stay."""
    window(running, ZOE, "first", OWN)
    window(running, BEN, "bens", "flimsel")
    window(running, "", "nobodys", "quillbor")
    running.settle()
    calls = running.store.calls.list("default", CallFilter()).items
    assert sorted((one.user_id or "", one.feature) for one in calls) == [
        ("", "knowledge"),
        (BEN, "knowledge"),
        (ZOE, "knowledge"),
    ]
    assert "call_contents" in holds(running, OWN)
    window(running, ZOE, "second", OWN)
    erased = post(running.gateway, f"/api/v1/users/{quote(ZOE)}", None, method="DELETE")
    assert (erased.json["counts"]["calls"], erased.json["counts"]["contents"]) == (1, 1)
    running.settle()
    assert (holds(running, OWN), holds(running, ZOE)) == ([], [])
    assert "call_contents" in holds(running, "flimsel")
    calls = running.store.calls.list("default", CallFilter()).items
    assert sorted(one.user_id or "" for one in calls) == ["", "", "", BEN]


def test_calls_for_embeddings_hold_no_text_that_would_have_to_be_erased(running: RunningMeliora) -> None:
    """They hold texts of many people at once: queries, documents, prompts."""
    own = OwnGateway(running.gateway.url)
    assert len(own.embed(SECRET, "simulated-embedding", [f"the {OWN} of Zoë", "a flimsel"], feature="knowledge")) == 2
    running.settle()
    [call] = running.store.calls.list("default", CallFilter()).items
    assert (call.outcome, call.content, call.feature) == ("ok", "off", "knowledge")
    assert (holds(running, OWN), call.prompt_hash) == ([], None)


def test_a_name_that_the_gateway_would_keep_otherwise_is_not_told_and_an_extract_stands_in(
    running: RunningMeliora,
) -> None:
    turns = [{"speaker": "A", "text": f"The {OWN} {n} is to stand on shelf {n}.", "user": " zoë"} for n in range(100)]
    assert post(running.gateway, "/api/v1/memory/c/turns", {"turns": turns}).status == 200
    summary = get(running.gateway, "/api/v1/memory/c/window?tokens=400").json["summary"]
    assert summary["method"] == "extract" and "begins or ends with a space" in summary["failed"]
    running.settle()
    assert running.store.calls.list("default", CallFilter()).items == ()
