"""Records that a gateway loses show in the health of the deployment at once, and so does that it loses none any more."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from meliora.gateway import sync
from meliora.settings.models import Server, Settings
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import chat, get, post
from tests.gateway.test_trials_from_control import parts_of


def test_a_gateway_on_a_full_disk_does_not_wait_for_its_next_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "BEAT_SECONDS", 3600)
    with RunningMeliora(Settings(server=Server(state_dir=tmp_path / "state"))) as meliora:

        def spool() -> dict[str, Any]:
            return get(meliora.gateway, "/health").json["parts"]["spool"]

        def full(file: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def call() -> None:
            assert post(meliora.gateway, "/v1/chat/completions", chat(model="simulated-small")).status == 200

        meliora.wait(lambda: spool()["status"] == "healthy", 30)
        with monkeypatch.context() as patch:
            patch.setattr(parts_of(meliora)._spool, "_write", full)
            call()
            meliora.wait(lambda: spool()["status"] == "unhealthy", 30)
            assert "ENOSPC" in spool()["reason"]

        def again() -> bool:
            call()
            return spool()["status"] == "degraded"

        meliora.wait(again, 30)
