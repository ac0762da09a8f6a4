"""The examples of docs/clients.md run as they stand, against a gateway that nobody has configured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.settings.models import Server, Settings
from meliora.testing.gateway import SECRET, RunningGateway
from tests.clients.older import run_older

DOCS = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
[YAML] = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("unconfigured")
    with RunningGateway(Settings(server=Server(state_dir=folder / "state"))) as running:
        yield running


def test_the_python_examples_run(gateway: RunningGateway, tmp_path: Path) -> None:
    """One process for all of them, each in a namespace of its own."""
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": gateway.base_url,
        "ANTHROPIC_BASE_URL": gateway.url,
        "OPENAI_API_KEY": SECRET,
        "ANTHROPIC_API_KEY": SECRET,
    }
    code = f"for block in {BLOCKS!r}: exec(compile(block, block, 'exec'), {{'__name__': '__main__'}})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 0, run.stderr
    assert "Paris" in run.stdout and "84" in run.stdout
    records = gateway.finished()
    assert {record.outcome for record in records} == {"ok"}
    assert {"search", "chat", "chain"} <= {record.feature for record in records}
    assert {("jane", "s-1", "m-17"), ("jane", "s-1", None)} <= {(r.user, r.session, r.message_id) for r in records}


def test_the_file_for_llm_is_read(gateway: RunningGateway, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(YAML.replace("http://127.0.0.1:8700", gateway.url))
    (tmp_path / "keys.json").write_text(f'{{"meliora": "{SECRET}"}}')
    run = run_older("-m", "llm", "-m", "meliora", "What is 12*7?", LLM_USER_PATH=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert "84" in run.stdout
    assert "shell" in {record.feature for record in gateway.finished()}
