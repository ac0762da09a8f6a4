"""The house rules that no tool checks: what a process loads, what a file may hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "meliora"
MODULES = sorted(SOURCE.rglob("*.py"))

HEAVY = {
    "alembic",
    "anthropic",
    "cedarpy",
    "fastapi",
    "genai_prices",
    "httpx",
    "httpx2",
    "numpy",
    "openai",
    "pandas",
    "requests",
    "sklearn",
    "sqlalchemy",
    "starlette",
    "typer",
}


def loaded_by(statement: str) -> set[str]:
    code = (
        f"import sys, json\n{statement}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_gateway_process_loads_nothing_heavy() -> None:
    found = loaded_by("import meliora.supervisor.child, meliora.runtime.gateway") & HEAVY
    assert not found, f"the gateway loads {sorted(found)}"


def test_the_supervisor_stays_small() -> None:
    assert not loaded_by("import meliora.supervisor.detach") & (HEAVY | {"uvicorn"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_says_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text, f"{path} has no docstring"


def test_only_the_settings_read_the_environment() -> None:
    reads = re.compile(r"\bos\.(environ\b(?!,)|getenv)|\benviron\.get\(")
    allowed = {"settings", "cli", "supervisor"}
    for path in MODULES:
        part = path.relative_to(SOURCE).parts[0]
        if part not in allowed:
            assert not reads.search(path.read_text()), f"{path} reads the environment; settings do that"


def test_nothing_in_the_repository_names_this_machine() -> None:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    telling = re.compile(
        r"(?<![\w.])/(work|root)/\w|https?://[^\s\"']*(index-url|simple/)|--(extra-)?index-url\s|find-links"
    )
    for name in filter(None, names):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = telling.search(text)
        assert found is None, f"{name} holds {found[0]!r}" if found else ""


def test_the_locked_files_pin_every_package_by_hash() -> None:
    for name in ("core.txt", "container.txt", "dev.txt", "openai2.txt"):
        blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements" / name).read_text())
        pins = [block for block in blocks if re.match(r"[a-z0-9][\w.-]*(\[[\w,-]+\])?==", block)]
        assert pins and all("--hash=sha256:" in block for block in pins), name


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (
            'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi',
            "needs Python 3.11 or newer, and found Python 3.9.2",
        ),
        ('case "$2" in *ensurepip*) exit 1;; *print*) echo 3.11;; esac', "apt install python3.11-venv"),
    ],
)
def test_a_python_that_will_not_do_is_one_sentence(tmp_path: Path, answers: str, sentence: str) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answers}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "make-venv"), str(tmp_path / "venv")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1
