"""Lines of settings in a file."""

from __future__ import annotations

from meliora.settings.places import lines_of, place

TEXT = """# a comment with [brackets]
[server]
host = "a]b"  # [not a table]
text = '''
[fake]
port = 1
'''
port = 2
"quoted.key" = 1
a.b = 1
list = [
  # [also.fake]
  "x = 1",
]

[providers."my.name"]
kind = "openai"

[[rules]]
pattern = "a"

[[rules]]
pattern = "b"

[rules.metadata]
x = 1
"""


def test_each_setting_is_found_at_its_line() -> None:
    lines = lines_of(TEXT)
    assert lines["server",] == 2
    assert lines["server", "port"] == 8
    assert lines["server", "quoted.key"] == 9
    assert lines["server", "a", "b"] == 10
    assert lines["providers", "my.name", "kind"] == 17
    assert (lines["rules", 0, "pattern"], lines["rules", 1, "pattern"]) == (20, 23)
    assert lines["rules", 1, "metadata", "x"] == 26


def test_what_only_looks_like_a_setting_has_no_line() -> None:
    assert not {("fake",), ("also", "fake"), ("fake", "port")} & set(lines_of(TEXT))


def test_a_place_that_is_not_written_is_the_nearest_above_it() -> None:
    assert place(("server", "a", "b", "c"), lines_of(TEXT)) == (3, 10)
    assert place(("nothing",), lines_of(TEXT)) == (0, 0)
