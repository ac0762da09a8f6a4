"""Documentation is held by the code: commands, settings, routes and links in it exist, and those that exist are in it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from meliora.cli.app import build
from meliora.cli.reference import commands, reference
from meliora.gateway.app import CALLS
from meliora.server.app import _ROUTERS as ROUTERS
from meliora.settings.load import read

ROOT = Path(__file__).parents[1]
TRACKED = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
PAGES = sorted({ROOT / name for name in TRACKED} | set((ROOT / "docs").glob("*.md")))
PAGES = [page for page in PAGES if page.is_file()]
BLOCK = re.compile(r"(?ms)^([ \t]*)```([a-z]*)[^\n]*\n(.*?)^\1```")


def blocks(*kinds: str) -> list[Any]:
    return [
        pytest.param(match[3], id=f"{page.name}-{number}")
        for page in PAGES
        for number, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), 1)
        if match[2] in kinds
    ]


def known_commands() -> dict[tuple[str, ...], Any]:
    return dict(commands(build()))


def make_targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))


def typed(text: str) -> list[list[str]]:
    """Give the commands of a shell block as words, comments and continuations gone."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("text", blocks("toml"))
def test_a_toml_block_is_toml_and_its_settings_exist(text: str, tmp_path: Path) -> None:
    tomllib.loads(text)
    file = tmp_path / "meliora.toml"
    file.write_text(text)
    strangers = [problem for problem in read(file, {}).errors if "is not a setting" in problem.what]
    assert not strangers, strangers


@pytest.mark.parametrize("text", blocks("python", "py"))
def test_a_python_block_compiles(text: str) -> None:
    compile(text, "block", "exec")


@pytest.mark.parametrize("text", blocks("sh", "bash", "shell", "console"))
def test_a_shell_block_runs_commands_and_options_that_exist(text: str) -> None:
    known, targets = known_commands(), make_targets()
    for words in typed(text):
        words = [word for word in words if not re.match(r"^[A-Z_]+=", word)]
        if words[:1] == ["make"]:
            assert {word for word in words[1:] if re.fullmatch(r"[a-z]+", word)} <= targets, words
        if words[:1] == ["meliora"]:
            _check(words[1:], known)


def _check(words: list[str], known: dict[tuple[str, ...], Any]) -> None:
    path = next((path for path in known if tuple(words[: len(path)]) == path), None)
    assert path is not None, f"there is no command {' '.join(words)}"
    options = {name for parameter in known[path].params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--"}
    assert given <= options | {"--config", "--help"}, f"{' '.join(path)} has no {given - options}"


def test_commands_in_running_text_exist() -> None:
    known = known_commands()
    groups = {path[:1] for path in known}
    for page in PAGES:
        for command in re.findall(r"`meliora ([a-z][^`\n]*)`", page.read_text(encoding="utf-8")):
            words = command.split()
            assert (words[0],) in groups, f"{page.name}: meliora {command}"
            if any(len(path) > 1 and path[0] == words[0] for path in known) and len(words) > 1 and words[1].isalpha():
                assert any(tuple(words[: len(path)]) == path for path in known), f"{page.name}: meliora {command}"


def test_make_targets_in_running_text_exist() -> None:
    targets = make_targets()
    for page in PAGES:
        for target in re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")):
            assert target in targets, f"{page.name}: make {target}"


def test_variables_in_the_documentation_exist() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"\bMELIORA_[A-Z0-9]+__[A-Z0-9_]+", text):
            if "NAME" in name or name.endswith("__"):
                continue
            value = {"STATE_DIR": "x", "HOST": "h", "URL": "", "MODE": "serve"}.get(name.partition("__")[2], "1")
            unknown = [p for p in read("/dev/null", {name: value}).errors if "is not a setting" in p.what]
            assert not unknown, f"{page.name}: {name}"


def test_the_command_reference_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == reference(), "run: meliora config document --write"


def test_every_dependency_is_accounted_for() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [name for names in project["project"]["optional-dependencies"].values() for name in names]
    for requirement in [*project["project"]["dependencies"], *extras, *project["dependency-groups"]["dev"]]:
        name = re.split(r"[\[<>=;~! ]", requirement)[0]
        assert name in text.lower().replace("pyyaml", "pyyaml"), f"docs/dependencies.md does not say why {name}"


def test_every_route_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for module in ROUTERS:
        for route in module.router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                assert f" {route.path_format}`" in text, f"no page has `{sorted(route.methods)[0]} {route.path_format}`"
    for path in CALLS:
        assert path in text, f"no page has {path}"


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"(?m)^#+ +(.+?)\s*$", BLOCK.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_shell_scripts_parse() -> None:
    for name in (".ci/run", "scripts/make-venv"):
        subprocess.run(["sh", "-n", str(ROOT / name)], check=True, timeout=10)


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "meliora.cli", "-h"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "serve" in done.stdout
