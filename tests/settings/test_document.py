"""The reference and the example are what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from meliora.settings.document import example, reference
from meliora.settings.load import read
from meliora.settings.shapes import BARE_NAMES, walk

DOCS = Path(__file__).parents[2] / "docs"


def test_the_files_are_current() -> None:
    assert (DOCS / "configuration.md").read_text() == reference(), "run: meliora config document --write"
    assert (DOCS / "meliora.example.toml").read_text() == example(), "run: meliora config document --write"


def test_every_setting_has_a_meaning_and_stands_in_both() -> None:
    text = reference()
    for setting in walk():
        if setting.shape.kind != "section":
            assert setting.field.description, setting.name
        if setting.shape.kind in ("text", "value"):
            assert f"| `{setting.path[-1]}` |" in text, setting.name
    assert all(name in text for name in BARE_NAMES)


def test_the_example_holds_together_with_every_line_switched_on(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(re.sub(r"(?m)^#(?=[a-zA-Z_\[])", "", example()))
    loaded = read(file, {"OPENAI_API_KEY": "k"})
    assert loaded.problems == ()
    assert loaded.settings is not None and "openai" in loaded.settings.providers


def test_the_example_as_it_is_changes_nothing() -> None:
    assert tomllib.loads(example()) == {}
