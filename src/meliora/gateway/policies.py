"""The learned policies that this gateway serves by: fetched by the state's references, verified, kept on disk, swapped whole.

Refuses what does not match its checksum or does not load, loudly, and serves on with what it has. numpy is imported with the
first policy and not before.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog

from meliora.errors import MelioraError
from meliora.gateway.forward import Control
from meliora.gateway.state import PolicyRef
from meliora.gateway.sync import keep

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0
"""Pause before a policy is asked for again that could not be had."""
FOLDER = "policies"
"""Below the state directory."""


class Refused(Exception):
    """A policy that cannot serve, and why."""


class Policies:
    """Follow the references of the state. `serving` is replaced, never changed."""

    def __init__(self, control: Control, state_dir: Path, swap: Callable[[], None]) -> None:
        """Keep policies below `state_dir`; `swap` is called whenever a policy was fetched and `serving` replaced."""
        self._control = control
        self._state_dir = state_dir
        self._swap = swap
        self._wanted: Mapping[str, PolicyRef] = {}
        self._have: dict[str, PolicyRef] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.serving: Mapping[str, Policy] = {}
        """By tenant."""
        self.troubles: dict[str, str] = {}
        """By tenant: why the policy that the state names does not serve."""
        self.refused = 0
        """How often one was refused since the start."""

    def want(self, refs: Mapping[str, PolicyRef]) -> None:
        """Take the references of a new state. A tenant that is not named any more loses its policy at once."""
        self._wanted = refs
        self.troubles = {tenant: why for tenant, why in self.troubles.items() if tenant in refs}
        gone = [tenant for tenant in self._have if tenant not in refs]
        for tenant in gone:
            del self._have[tenant]
        if gone:
            self.serving = {tenant: policy for tenant, policy in self.serving.items() if tenant in refs}
            log.info("learned policies were withdrawn", tenants=gone)
        self._news.set()

    def restore(self, refs: Mapping[str, PolicyRef]) -> None:
        """Load what lies on the disk, before the control process has answered."""
        self.want(refs)
        for tenant, ref in refs.items():
            try:
                blob = file_of(self._state_dir, ref).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                self._refuse(tenant, ref, f"it cannot be read from the disk: {error}")
                continue
            try:
                self._take(tenant, ref, opened(blob, ref))
            except Refused as error:
                self._refuse(tenant, ref, str(error))

    def start(self) -> None:
        """Begin to follow; needs a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            self._news.clear()
            missing = [(tenant, ref) for tenant, ref in self._wanted.items() if self._have.get(tenant) != ref]
            for tenant, ref in missing:
                await self._fetch(tenant, ref)
            if any(self._have.get(tenant) != ref for tenant, ref in self._wanted.items()):
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._tidy()
                await self._news.wait()

    async def _fetch(self, tenant: str, ref: PolicyRef) -> None:
        try:
            status, blob = await self._control.ask("GET", f"/internal/policies/{quote(tenant, safe='')}/{ref.number}")
        except MelioraError as error:
            self._refuse(tenant, ref, f"it could not be fetched: {error.message}")
            return
        try:
            if status != 200:
                raise Refused(f"it could not be fetched: status {status}")
            # The first one brings numpy in, which takes a while: calls go on meanwhile.
            policy = await asyncio.to_thread(opened, blob, ref)
        except Refused as error:
            self._refuse(tenant, ref, str(error))
            return
        if self._wanted.get(tenant) == ref:
            keep(file_of(self._state_dir, ref), blob)
            self._take(tenant, ref, policy)
            self._swap()

    def _take(self, tenant: str, ref: PolicyRef, policy: Policy) -> None:
        self._have[tenant] = ref
        self.serving = {**self.serving, tenant: policy}
        self.troubles.pop(tenant, None)
        log.info("a learned policy serves", tenant=tenant, number=ref.number, models=len(policy.models))

    def _refuse(self, tenant: str, ref: PolicyRef, why: str) -> None:
        self.refused += 1
        message = f"Routing snapshot {ref.number} does not serve: {why}"
        if self.troubles.get(tenant) != message:
            has = self._have.get(tenant)
            log.error(
                "a learned policy was refused; the old one serves on",
                tenant=tenant,
                number=ref.number,
                serving=None if has is None else has.number,
                problem=why,
            )
        self.troubles[tenant] = message

    def _tidy(self) -> None:
        """Remove what nobody is served by."""
        used = {file_of(self._state_dir, ref) for ref in self._have.values()}
        try:
            for path in (self._state_dir / FOLDER).glob("*.policy"):
                if path not in used:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("old policies could not be removed", error=str(error))


def opened(blob: bytes, ref: PolicyRef) -> Policy:
    """Verify and decode. Raises `Refused`."""
    found = hashlib.sha256(blob).hexdigest()
    if found != ref.sha256:
        raise Refused(f"its checksum is {found[:12]}, and the state says {ref.sha256[:12]}")
    from meliora.routing.learned.snapshot import decode

    try:
        policy = decode(blob)
    except MelioraError as error:
        raise Refused(str(error)) from error
    if policy.number != ref.number:
        raise Refused(f"it says that it is number {policy.number}")
    return policy


def file_of(state_dir: Path, ref: PolicyRef) -> Path:
    """Where a policy lies on the disk: a name that leads nowhere else, whatever the state says."""
    name = ref.sha256 if ref.sha256.isalnum() else hashlib.sha256(ref.sha256.encode()).hexdigest()
    return state_dir / FOLDER / f"{name}.policy"
