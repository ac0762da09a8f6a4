"""This gateway as a process of its own, recording with redaction, under a key with limits and a rule that is always tried."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from benchmarks.gateway.processes import Child, free_port
from benchmarks.load import canned
from benchmarks.load.canned import Target
from meliora.gateway.policies import file_of
from meliora.gateway.state import KeyHash, KeyState, PolicyRef, RuleState, State

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy

_SECRET = "sk-benchmark"
_PLENTY = 1_000_000_000

_TOML = """
[server]
host = "127.0.0.1"
port = {port}
state_dir = "{state_dir}"
log_level = "warning"

[recording]
content = "redacted"

[providers.bench]
kind = "openai"
base_url = "{base_url}"
models = [{models}]

{prices}
"""
_PRICE = """[models.{model}]
price = {{ input = 0.25, output = 2.0 }}
"""


class GatewayProcess:
    """Writes the settings and the kept state into `folder`, starts the gateway on `core`, waits for it, stops it."""

    name = "meliora"

    def __init__(self, base_url: str, core: int, folder: Path, policy: Policy | None = None) -> None:
        """Prepare. With a `policy` its models are served too, and it chooses for `auto`."""
        port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.state_dir = folder / "var"
        config = folder / "meliora.toml"
        models = (*canned.MODELS, *(policy.models if policy is not None else ()))
        config.write_text(
            _TOML.format(
                port=port,
                state_dir=self.state_dir,
                base_url=base_url,
                models=", ".join(f'"{model}"' for model in models),
                prices="\n".join(_PRICE.format(model=model) for model in models),
            )
        )
        _write_state(self.state_dir, policy)
        command = (sys.executable, "-m", "meliora.cli", "serve", "gateway", "--config", str(config))
        self.child = Child(command, core, folder / "gateway.log", cwd=folder)
        self.target = Target("127.0.0.1", port, headers=(("authorization", f"Bearer {_SECRET}"),))

    def __enter__(self) -> GatewayProcess:
        self.child.__enter__()
        try:
            self.child.wait_for(_LIVE, self.target.port, 30)
            # One call, so that what is built at the first one is not measured.
            self.child.wait_for(canned.requests(self.target, canned.CHAT, 0)[0], self.target.port, 10)
        except BaseException:
            self.child.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.__exit__(kind, error, trace)

    @property
    def spool(self) -> Path:
        """Where it writes its records."""
        return self.state_dir / "spool"


_LIVE = b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"


def _write_state(state_dir: Path, policy: Policy | None) -> None:
    """Keep a state on disk as the control process would have sent it, so that no control process takes part."""
    key = KeyState(
        id="key_benchmark",
        tenant="default",
        name="benchmark",
        hashes=(KeyHash(hashlib.sha256(_SECRET.encode()).hexdigest()),),
        models=("bench*",),
        requests_per_minute=_PLENTY,
        tokens_per_minute=_PLENTY,
        concurrent=100_000,
    )
    rule = RuleState(
        id="rule_benchmark",
        tenant="default",
        pattern="(?i)urgent refund",
        preferred_model=canned.CHAT,
        applies_to="all",
    )
    secret = random.Random("benchmark").randbytes(32).hex()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    refs = {} if policy is None else {"default": _keep_policy(state_dir, policy)}
    state = State(1, time.time_ns() // 1000, secret, keys=(key,), rules=(rule,), policies=refs)
    (state_dir / "state.json").write_bytes(msgspec.json.encode(state))


def _keep_policy(state_dir: Path, policy: Policy) -> PolicyRef:
    from meliora.routing.learned.snapshot import encode

    blob = encode(policy)
    ref = PolicyRef(policy.number, hashlib.sha256(blob).hexdigest())
    path = file_of(state_dir, ref)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(blob)
    return ref
