"""Requests and answers of the benchmarks."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks.load import canned

_TARGET = canned.Target("127.0.0.1", 1)


def _bodies(*, stream: bool = False, masked: bool = False) -> list[bytes]:
    sent = canned.requests(_TARGET, canned.CHAT, 7, stream=stream, masked=masked)
    return [request.split(b"\r\n\r\n", 1)[1] for request in sent]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_every_request_is_one_kilobyte_of_json_and_unlike_the_others(stream: bool, masked: bool) -> None:
    bodies = _bodies(stream=stream, masked=masked)
    assert {len(body) for body in bodies} == {canned.REQUEST_BYTES}
    assert all(json.loads(body)["model"] == canned.CHAT for body in bodies)
    assert len(set(bodies)) == len(bodies)


def test_a_masked_prompt_holds_a_card_number_that_checks() -> None:
    text = json.loads(_bodies(masked=True)[0])["messages"][1]["content"]
    found = re.search(r"(?:\d{4} ){3}\d{4}", text)
    assert found is not None
    digits = [int(digit) for digit in found.group().replace(" ", "")]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    assert (sum(digits[-1::-2]) + doubled) % 10 == 0


def test_the_same_seed_sends_the_same_requests() -> None:
    assert _bodies() == _bodies()


def test_an_answer_is_five_hundred_bytes_of_json() -> None:
    before, after = canned.answer_parts()
    body = (before + b"000000000001" + after).split(b"\r\n\r\n", 1)[1]
    assert len(body) == canned.ANSWER_BYTES
    assert json.loads(body)["usage"]["total_tokens"] == 250
