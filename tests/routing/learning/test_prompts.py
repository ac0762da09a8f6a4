"""Prompts are read with their line in every complaint; a sample is the same whenever it is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import InvalidRequest
from meliora.routing.learning.prompts import read_prompts, sample


def written(folder: Path, text: str, name: str = "p.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def test_prompts_messages_and_expected_answers_are_read(tmp_path: Path) -> None:
    lines = (
        '{"prompt": "Скільки буде 6 x 7?", "expected": "42", "task": "reasoning"}\n\n'
        '{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},'
        ' {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": [{"type": "text", "text": "Why?"}]}]}\n'
        '{"prompt": "Скільки буде 6 x 7?"}\n'
    )
    first, second = read_prompts(written(tmp_path, lines))
    assert (first.text, first.expected, first.task) == ("Скільки буде 6 x 7?", "42", "reasoning")
    assert second.text == "Be brief.\nWhy?" and len(second.messages) == 4


def test_a_text_file_has_a_prompt_a_line(tmp_path: Path) -> None:
    found = read_prompts(written(tmp_path, "\ufeffOne?\r\n\n  Two?  \nOne?\n", "p.txt"))
    assert [prompt.text for prompt in found] == ["One?", "Two?"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"prompt": "a"}\n{"prompt": 1}', "p.jsonl:2"),
        ('{"prompt": "a", "anser": "b"}', "p.jsonl:1"),
        ("{}", "either"),
        ('{"prompt": "a", "messages": []}', "either"),
        ('{"prompt": "  "}', "asks nothing"),
        ("not json", "p.jsonl:1"),
        ("", "no prompts"),
    ],
)
def test_what_does_not_read_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        read_prompts(written(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_prompts(tmp_path / "none.jsonl")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read_prompts(tmp_path / "b.txt")


def test_a_sample_does_not_depend_on_the_order_and_keeps_most_when_prompts_are_added(tmp_path: Path) -> None:
    prompts = read_prompts(written(tmp_path, "\n".join(f"Question {number}?" for number in range(200)), "p.txt"))
    drawn = sample(prompts, 50)
    assert drawn == sample(prompts[::-1], 50)
    assert len({prompt.id for prompt in drawn}) == 50
    assert sample(prompts, 50, seed=1) != drawn
    more = read_prompts(written(tmp_path, "\n".join(f"Question {number}?" for number in range(220)), "p.txt"))
    assert len({prompt.id for prompt in sample(more, 50)} & {prompt.id for prompt in drawn}) > 35
    assert len(sample(prompts, 1000)) == 200
