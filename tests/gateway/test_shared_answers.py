"""An answer that is given again is given only where the same one would have come: same tenant, same rights, same wishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meliora.settings.models import Cache
from meliora.testing import FakeProvider
from meliora.testing.gateway import RunningGateway, key
from tests.gateway.asking import QUICK, chat, post, settings

CACHED = QUICK.model_copy(update={"cache": Cache(enabled=True)})
PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("limits", "headers", "hit"),
    [
        ({}, {}, True),
        ({"tenant": "other"}, {}, False),
        ({"allow_loss": True}, {}, False),
        ({}, {"openai_beta": "assistants=v2"}, False),
        ({}, {"cache_control": "no-cache"}, False),
    ],
)
def test_a_cached_answer_stays_with_those_who_would_get_the_same(
    tmp_path: Path, limits: dict[str, Any], headers: dict[str, str], hit: bool
) -> None:
    """Another key of the tenant may have it; another tenant, other rights or other wishes may not."""
    keys = (key("first", "mel_first"), key("second", "mel_second", **limits))
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider, gateway=CACHED), keys=keys) as gateway:
        post(gateway, PATH, chat(), secret="mel_first")
        again = post(gateway, PATH, chat(), secret="mel_second", **headers)
    assert again.status == 200
    assert (again.headers.get("x-meliora-cache") == "cache") is hit


def test_an_idempotency_key_is_that_of_its_virtual_key_alone(tmp_path: Path) -> None:
    """Two tenants may use the same word; neither meets the other's answer, or its conflict."""
    keys = (key("first", "mel_first"), key("second", "mel_second", tenant="other"))
    with FakeProvider() as provider, RunningGateway(settings(tmp_path, provider), keys=keys) as gateway:
        answers = [
            post(gateway, PATH, chat(text), secret=secret, idempotency_key="k")
            for text, secret in (("one", "mel_first"), ("two", "mel_second"), ("two", "mel_first"))
        ]
    assert [answer.status for answer in answers] == [200, 200, 409]
    assert all("x-meliora-cache" not in answer.headers for answer in answers[:2])
