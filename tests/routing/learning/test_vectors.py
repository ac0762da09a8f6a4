"""A table of word vectors is read as a stream, keeps what is asked for, and says where it is wrong."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learning.vectors import read_table, spelling


def table(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "words.vec"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(tmp_path: Path, content: str | bytes, *wanted: str) -> dict[str, list[float]]:
    return {word: vector.tolist() for word, vector in read_table(table(tmp_path, content), set(wanted)).items()}


@pytest.mark.parametrize("head", ["", "3 2\n", "99 2\n"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
def test_a_table_is_read_with_and_without_a_first_line_of_counts(tmp_path: Path, head: str, end: str) -> None:
    content = head + "".join(line + end for line in ("cat 1 2", "dog\t3 -4e-1", "the 0 0"))
    assert read(tmp_path, content, "dog", "cat", "bird") == {"cat": [1, 2], "dog": [3, pytest.approx(-0.4)]}


def test_words_are_compared_in_lower_case_without_marks_and_the_first_one_counts(tmp_path: Path) -> None:
    content = "Cat 1 2\ncat 3 4\n“École” 5 6\n42 7 8\n"
    assert read(tmp_path, content, "cat", "école", "42") == {"cat": [1, 2], "école": [5, 6], "42": [7, 8]}
    assert spelling("„Straße!".encode()) == "straße"


def test_entries_of_several_words_and_of_controls_are_passed_over(tmp_path: Path) -> None:
    content = "cat 1 2\nat name@domain.com 3 4\n. . . 5 6\n\r 7 8\n\xa0 7 8\n"
    assert read(tmp_path, content, "cat", "at", ".") == {"cat": [1, 2]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no word vectors"),
        ("\n\n", "holds no word vectors"),
        ("10 300\n", "holds no word vectors"),
        ("cat 1 2\ndog 3\n", r"words\.vec:2 has 1 numbers where the lines before have 2"),
        ("cat 1 2\ndog 3 4 5\n", r":2 has 3 numbers"),
        ("2 3\ncat 1 2\n", r":2 has 2 numbers where the lines before have 3"),
        ("cat 1 2\n\ndog nan 4\n", r":3 has 'nan'"),
        ("dog 3 inf\n", r":1 has 'inf'"),
        ("dog 3 1e39\n", r":1 has '1e39'"),
        ("dog 3 four\n", r":1 has 'four'"),
        ("dog\n", r":1 has 0 numbers, and 1 to"),
        ("1 99999\ndog 1\n", r":2 has 99999 numbers, and 1 to"),
        (b"PK\x03\x04" + bytes(2 << 20), r":1 is longer than"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read(tmp_path, content, "dog")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"none\.vec cannot be read"):
        read_table(tmp_path / "none.vec", {"cat"})


def test_a_large_table_is_not_held_in_memory(tmp_path: Path) -> None:
    numbers = " ".join(["0.125"] * 100)
    path = table(tmp_path, "".join(f"word{number} {numbers}\n" for number in range(20_000)))
    tracemalloc.start()
    found = read_table(path, {"word7", "word19999"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(found) == {"word7", "word19999"}
    assert peak < path.stat().st_size / 10
