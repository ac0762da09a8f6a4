"""The shipped prior is small, whole and says where it comes from; one that is not whole is refused and says what is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from meliora.errors import StoreError
from meliora.routing.learned.framed import BadSnapshot
from meliora.routing.learning.prior import begin
from meliora.routing.learning.prior_file import SHIPPED, decode, encode, load
from tests.routing.learning.public import candidates, planted_prior


def signed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def test_the_shipped_file_is_small_and_names_its_sources_with_their_licences() -> None:
    assert SHIPPED.stat().st_size <= 400_000
    notes = load().notes
    assert set(notes) == {"gsm8k", "mmlu", "mmlupro", "pareto", "zeroeval"}
    assert all("Apache-2.0" in note for note in notes.values())


def test_a_prior_comes_back_as_it_was_but_for_rounding() -> None:
    prior = planted_prior()
    again = decode(encode(prior))
    assert (again.ability, again.dependence, again.notes) == (prior.ability, prior.dependence, prior.notes)
    pool = candidates({"cheap": 0.1, "dear": 5.0})
    before, after = (begin(one, pool, "dear").predict("Prove the lemma.") for one in (prior, again))
    assert after.quality == pytest.approx(before.quality, abs=0.01)
    assert after.cost == pytest.approx(before.cost, rel=0.02)
    assert encode(again) == encode(decode(encode(again)))


def test_what_is_torn_altered_or_of_another_kind_is_refused() -> None:
    blob = encode(planted_prior())
    middle = len(blob) // 2
    for bad in (blob[:-1], blob[:100], blob[:middle] + bytes([blob[middle] ^ 1]) + blob[middle + 1 :]):
        with pytest.raises(BadSnapshot, match="torn or was altered"):
            decode(bad)
    for other in (b"", b"something else", b"MELPOL1\n" + blob[8:]):
        with pytest.raises(BadSnapshot, match="no routing prior"):
            decode(other)
    with pytest.raises(BadSnapshot, match=r"cut off|do not fit"):
        decode(signed(blob[:-5000]))
    with pytest.raises(BadSnapshot, match="header cannot be read"):
        decode(signed(b"MELPRI1\n" + (4).to_bytes(4, "little") + b"\xff\xff\xff\xff"))


def test_parts_that_do_not_fit_together_are_refused() -> None:
    from dataclasses import replace

    prior = planted_prior()
    for bad in (
        replace(prior, hard=prior.hard[:-1]),
        replace(prior, tokens=prior.tokens[:-1]),
        replace(prior, noise=0.0),
        replace(prior, prompts=np.zeros((0, prior.trunk.size), np.float32), tokens=np.zeros(0, np.float32)),
    ):
        with pytest.raises(BadSnapshot, match="do not fit together"):
            decode(encode(bad))
    with pytest.raises(BadSnapshot, match="not finite"):
        decode(encode(replace(prior, hard=prior.hard * np.nan)))


def test_features_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = encode(planted_prior())
    monkeypatch.setattr("meliora.routing.learning.prior_file.FEATURES_VERSION", 99)
    with pytest.raises(BadSnapshot, match="this code has 99"):
        decode(blob)


def test_a_file_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.prior cannot be read"):
        load(tmp_path / "none.prior")
