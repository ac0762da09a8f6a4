"""The clients that cannot be installed beside the newest ones: OpenAI's 2.x and `llm`, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".clients" / "openai2"
INSTALL = (
    f"{Path(sys.executable).name} -m pip install --target .clients/openai2 --require-hashes -r requirements/openai2.txt"
)


def run_older(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the older clients before the newer ones. Skips where they are not installed; fails in CI."""
    if not (FOLDER / "openai").is_dir():
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"The older clients are not installed: {INSTALL}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "OPENAI_", "LLM_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**kept, **environment, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
