"""Other gateways, installed by name into a folder aside and pointed at the same upstream: one worker, one core, no logging.

They run with an environment of their own, without ours. Refuses to guess: what cannot be installed or does not answer
is reported as missing, with the reason.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.gateway.processes import Child, free_port
from benchmarks.load import canned
from benchmarks.load.canned import Target

TENSORZERO = "tensorzero==2026.6.0"
PORTKEY = "@portkey-ai/gateway@1.15.2"
LITELLM = "litellm[proxy]==1.106.2"
"""Named exactly: two releases of 2026-03 stole credentials, and a benchmark has to be repeatable."""

_INSTALL_SECONDS = 600


class NotInstalled(Exception):
    """A peer could not be installed; says why."""


@dataclass(frozen=True)
class Peer:
    """A gateway to compare with: its process (not started yet) and where calls go."""

    name: str
    version: str
    child: Child
    target: Target

    def wait(self) -> None:
        """Wait for its first answer. Raises `ControlFailed`."""
        self.child.wait_for(canned.requests(self.target, canned.CHAT, 0)[0], self.target.port, 120)


def tensorzero(base_url: str, core: int, folder: Path) -> Peer:
    """The embedded server of TensorZero's Python package, observability off."""
    python = _venv(folder / "tensorzero", TENSORZERO)
    config = folder / "tensorzero.toml"
    models = "\n".join(_TENSORZERO_MODEL.format(model=model, base_url=base_url) for model in canned.MODELS)
    config.write_text(_TENSORZERO_TOML + models)
    script = folder / "tensorzero_server.py"
    script.write_text(_TENSORZERO_SERVER)
    child = Child((str(python), str(script), str(config)), core, folder / "tensorzero.log", piped=True)
    # It takes any free port and prints it: the port is put in once it runs.
    return Peer("tensorzero", TENSORZERO, child, Target("127.0.0.1", 0, _OPENAI_PATH, "tensorzero::model_name::"))


def portkey(base_url: str, core: int, folder: Path) -> Peer:
    """Portkey's gateway under Node."""
    package = _npm(folder / "portkey", PORTKEY)
    node = shutil.which("node")
    if node is None:
        raise NotInstalled("there is no node")
    port = free_port()
    command = (node, str(package / "build" / "start-server.js"), "--headless", f"--port={port}")
    headers = (
        ("authorization", "Bearer sk-benchmark"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", base_url),
    )
    child = Child(command, core, folder / "portkey.log", {"NODE_ENV": "production", "PORT": str(port)}, cwd=package)
    return Peer("portkey", PORTKEY, child, Target("127.0.0.1", port, headers=headers))


def litellm(base_url: str, core: int, folder: Path) -> Peer:
    """LiteLLM's proxy, one worker, no database."""
    python = _venv(folder / "litellm", LITELLM)
    served = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": base_url, "api_key": "sk-benchmark"},
        }
        for model in canned.MODELS
    ]
    config = folder / "litellm.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"model_list": served, "litellm_settings": {"telemetry": False, "num_retries": 0}}))
    port = free_port()
    key = f"sk-{secrets.token_hex(32)}"
    command = (
        *(str(python.parent / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)),
        *("--num_workers", "1", "--telemetry", "False"),
    )
    environ = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_MASTER_KEY": key,
    }
    child = Child(command, core, folder / "litellm.log", environ, cwd=folder)
    return Peer("litellm", LITELLM, child, Target("127.0.0.1", port, headers=(("authorization", f"Bearer {key}"),)))


PEERS: dict[str, Callable[[str, int, Path], Peer]] = {"tensorzero": tensorzero, "portkey": portkey, "litellm": litellm}


def started(peer: Peer) -> Peer:
    """Give the peer, whose child runs, once it answers; its port is filled in where it chose one itself."""
    if peer.target.port == 0:
        port = int(peer.child.first_line().rsplit(":", 1)[-1].strip("/"))
        peer = replace(peer, target=replace(peer.target, port=port))
    peer.wait()
    return peer


def _venv(folder: Path, package: str) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        _run((sys.executable, "-m", "venv", str(folder)), folder.parent)
    # Asked again each time: quick where it is there, and it repairs an installation that was cut.
    _run((str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", package), folder.parent)
    return python


def _npm(folder: Path, package: str) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("there is no npm")
    folder.mkdir(parents=True, exist_ok=True)
    installed = folder / "node_modules" / package.rsplit("@", 1)[0]
    if not installed.exists():
        _run((npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", package), folder)
    return installed


def _run(command: Sequence[str], cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{' '.join(command[-2:])}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(f"{' '.join(command[-2:])}: {said[-1] if said else done.returncode}")


_OPENAI_PATH = "/openai/v1/chat/completions"

_TENSORZERO_TOML = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
fetch_and_encode_input_files_before_inference = false
"""
_TENSORZERO_MODEL = """
[models.{model}]
routing = ["bench"]

[models.{model}.providers.bench]
type = "openai"
model_name = "{model}"
api_base = "{base_url}/"
api_key_location = "none"
"""
_TENSORZERO_SERVER = '''"""Start the embedded gateway, print its address, and wait. Its own log goes to standard error."""
import os
import sys
import threading

told = os.dup(1)
os.dup2(2, 1)

from tensorzero import _start_http_gateway

gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
os.write(told, gateway.base_url.split("/openai")[0].encode() + b"\\n")
threading.Event().wait()
'''
