"""A whole gateway in this process, on a port of its own, for tests of applications and of Meliora itself.

Runs without the control process: keys, rules and policies are given to it, as it would find them on its disk. Not for production.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import uvicorn

from meliora.clock import Clock, SystemClock
from meliora.gateway.app import Gateway
from meliora.gateway.http.server import ServerProtocol
from meliora.gateway.policies import Policies, TrialPolicies, file_of
from meliora.gateway.prices import Found
from meliora.gateway.state import ChoiceState, KeyHash, KeyState, PolicyRef, RuleState, State, TrialState
from meliora.settings.models import Settings
from meliora.telemetry.records import CallFinished, Record, Shadow
from meliora.telemetry.spool import SpoolReader

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy

R = TypeVar("R")

SECRET = "mel_test-secret-of-the-default-key"
"""Opens the key that a gateway has when none are given."""


def key(name: str = "test", secret: str = SECRET, **limits: Any) -> KeyState:
    """Make a key that `secret` opens, with all scopes; `limits` are fields of `KeyState`."""
    given: dict[str, Any] = {"tenant": "default", "scopes": ("call", "feedback", "read", "admin"), **limits}
    return KeyState(
        id=f"key_{name}", name=name, hashes=(KeyHash(hashlib.sha256(secret.encode()).hexdigest()),), **given
    )


def ref_of(policy: Policy) -> PolicyRef:
    """Give how a state or an overlay names a policy."""
    from meliora.routing.learned.snapshot import encode

    return PolicyRef(policy.number, hashlib.sha256(encode(policy)).hexdigest())


def no_list(_queries: object, _today: object) -> list[Found]:
    """Stand in for the price list, knowing nothing."""
    return []


@dataclass
class RunningGateway:
    """A gateway at `base_url`, to be used by `with`. Raises `SettingsError` for settings that do not hold together."""

    settings: Settings
    keys: Sequence[KeyState] = field(default_factory=lambda: (key(),))
    rules: Sequence[RuleState] = ()
    clock: Clock = field(default_factory=SystemClock)
    secret: str = "00" * 32
    """The deployment's secret, hex."""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """Learned policies by tenant."""
    trials: Sequence[TrialState] = ()
    trial_policies: Mapping[str, Policy] = field(default_factory=dict)
    """By tenant: what the overlay of its trial names (`ref_of`), as it lies on the disk."""
    choices: Sequence[ChoiceState] = ()
    halted: bool = False
    listed_prices: bool = False
    """Look prices up in the public list, which takes a second; otherwise only those of the settings are known."""

    def __enter__(self) -> RunningGateway:
        from meliora.gateway.sync import keep
        from meliora.runtime.gateway import build
        from meliora.runtime.gateway_parts import STATE_FILE

        refs = {tenant: self._keep_policy(policy) for tenant, policy in self.policies.items()}
        for policy in self.trial_policies.values():
            self._keep_policy(policy, TrialPolicies)
        state = State(
            1,
            self.clock.now_us(),
            self.secret,
            tuple(self.keys),
            tuple(self.rules),
            policies=refs,
            trials=tuple(self.trials),
            choices=tuple(self.choices),
            halted=self.halted,
            kill_epoch=int(self.halted),
        )
        keep(self.state_dir / STATE_FILE, msgspec.json.encode(state))
        self.gateway: Gateway = build(self.settings, self.clock, None if self.listed_prices else no_list)
        config = uvicorn.Config(
            self.gateway,
            host="127.0.0.1",
            port=0,
            loop="uvloop",
            http=ServerProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="gateway", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The gateway did not start.")
            time.sleep(0.005)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def _keep_policy(self, policy: Policy, kind: type[Policies] = Policies) -> PolicyRef:
        from meliora.gateway.sync import keep
        from meliora.routing.learned.snapshot import encode

        ref = ref_of(policy)
        keep(file_of(self.state_dir, ref, kind), encode(policy))
        return ref

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Shut down as at SIGTERM: calls in flight may end."""
        self._server.should_exit = True
        self._thread.join(timeout=30)

    @property
    def state_dir(self) -> Path:
        """Where it keeps its state."""
        return self.settings.server.state_dir

    @property
    def url(self) -> str:
        """The address without a path; Anthropic's client wants this one."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The address with the version; OpenAI's client wants this one."""
        return f"{self.url}/v1"

    def records(self) -> list[Record]:
        """Give every record that is in the spool."""
        reader = SpoolReader(self.state_dir / "spool")
        decoder = msgspec.json.Decoder(Record)
        found: list[Record] = []
        for segment in reader.segments():
            offset = 0
            while True:
                chunk = reader.read(segment, offset, 1 << 24)
                found.extend(decoder.decode(payload) for payload in chunk.payloads)
                if chunk.end <= offset:
                    break
                offset = chunk.end
        return found

    def shadows(self, count: int = 0, seconds: float = 20.0) -> list[Shadow]:
        """Give the shadows that came to an end, waiting until there are at least `count`."""
        return self._of(Shadow, count, seconds)

    def finished(self, count: int = 0, seconds: float = 20.0) -> list[CallFinished]:
        """Give the finish records, waiting until there are at least `count`."""
        return self._of(CallFinished, count, seconds)

    def _of(self, kind: type[R], count: int, seconds: float) -> list[R]:
        deadline = time.monotonic() + seconds
        while True:
            found = [record for record in self.records() if isinstance(record, kind)]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)
