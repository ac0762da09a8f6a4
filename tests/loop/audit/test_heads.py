"""Heads outside the database survive kills and several writers, and show when somebody was at them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from meliora.loop.audit.heads import FOLDER, Head, Heads

SECRET = "ab" * 32


def head(seq: int) -> Head:
    return Head(seq, f"{seq:064x}", seq)


def lines(state: Path) -> Path:
    return state / FOLDER / "heads.jsonl"


def test_nothing_is_there_before_the_first_head(tmp_path: Path) -> None:
    assert Heads(tmp_path, SECRET).read().heads == ()
    assert not list(tmp_path.iterdir())


def test_what_is_noted_is_read_and_the_highest_is_signed(tmp_path: Path) -> None:
    heads = Heads(tmp_path, SECRET)
    heads.note(head(1), head(2))
    heads.note(head(4))
    heads.note(head(3))  # committed before, and written later
    found = heads.read()
    assert [one.seq for one in found.heads] == [1, 2, 4, 3]
    assert found.signed is not None and found.signed.seq == 4
    assert found.signature == "" and not found.torn and not found.unreadable
    assert lines(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_kill_cut_short_is_told_and_then_written_over(tmp_path: Path) -> None:
    heads = Heads(tmp_path, SECRET)
    heads.note(head(1), head(2))
    with lines(tmp_path).open("ab") as file:
        file.write(b'{"seq":3,"ha')
    assert heads.read().torn and len(heads.read().heads) == 2
    heads.note(head(3))
    found = heads.read()
    assert [one.seq for one in found.heads] == [1, 2, 3] and not found.torn and not found.unreadable


def test_the_very_first_line_may_be_torn_too(tmp_path: Path) -> None:
    heads = Heads(tmp_path, SECRET)
    heads.note(head(1))
    lines(tmp_path).write_bytes(b'{"se')
    heads.note(head(2))
    assert [one.seq for one in heads.read().heads] == [2]


def test_a_line_that_is_no_head_is_named(tmp_path: Path) -> None:
    heads = Heads(tmp_path, SECRET)
    heads.note(head(1), head(2))
    lines(tmp_path).write_bytes(lines(tmp_path).read_bytes().replace(b'"seq":1', b'"seq":x'))
    heads.note(head(3))
    assert heads.read().unreadable == (1,)


def test_a_signed_head_that_was_touched_or_taken_away_stays_so_that_it_shows(tmp_path: Path) -> None:
    heads = Heads(tmp_path, SECRET)
    signed = tmp_path / FOLDER / "head.json"
    heads.note(head(1), head(2))
    whole = signed.read_bytes()
    for broken, told in (
        (whole.replace(b'"seq":2', b'"seq":1'), "not signed"),
        (b"{", "cannot be read"),
        (b"", "cannot be read"),
    ):
        signed.write_bytes(broken)
        heads.note(head(3))
        assert told in heads.read().signature
    signed.unlink()
    heads.note(head(4))
    assert "missing" in heads.read().signature
    heads.begin_again(head(5))
    assert heads.read().signature == ""


def test_a_head_signed_with_another_key_is_no_signature(tmp_path: Path) -> None:
    Heads(tmp_path, "cd" * 32).note(head(1))
    assert "not signed" in Heads(tmp_path, SECRET).read().signature


def test_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from meliora.loop.audit.heads import Head, Heads\n"
        "first = int(sys.argv[2])\n"
        "for n in range(first, first + 30): Heads(Path(sys.argv[1]), 'ab' * 32).note(Head(n, f'{n:064x}'))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(first)]) for first in (1, 31, 61)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    found = Heads(tmp_path, SECRET).read()
    assert sorted(one.seq for one in found.heads) == list(range(1, 91))
    assert found.signed is not None and found.signed.seq == 90 and found.signature == ""
