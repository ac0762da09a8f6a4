"""References to secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import SettingsError
from meliora.settings.secret import mask_login, resolve_secret


def test_a_variable_and_a_file_are_read_and_trimmed(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(" file-key\n")
    assert resolve_secret("env:K", {"K": "key\n"}) == "key"
    assert resolve_secret(f"file:{tmp_path}/k", {}) == "file-key"


def test_what_is_no_reference_stays_as_it_is() -> None:
    assert resolve_secret("org-1", {}) == "org-1" and resolve_secret("", {}) == ""


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\0b", "a\x7fb"])
def test_a_key_cannot_end_a_header(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve_secret("env:K", {"K": value})
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("reference", ["env:K", "file:/nowhere/key"])
def test_a_reference_that_leads_nowhere_is_an_error_that_names_it(reference: str) -> None:
    with pytest.raises(SettingsError, match=reference.partition(":")[2]):
        resolve_secret(reference, {"K": " "})


def test_an_empty_or_binary_or_huge_file_is_refused(tmp_path: Path) -> None:
    for content in (b"\n", b"\xff\xfe", b"x" * 70_000):
        (tmp_path / "k").write_bytes(content)
        with pytest.raises(SettingsError):
            resolve_secret(f"file:{tmp_path}/k", {})


def test_the_password_of_an_address_is_hidden() -> None:
    assert mask_login("postgresql+psycopg://u:pw@h/d, http://h") == "postgresql+psycopg://u:***@h/d, http://h"
