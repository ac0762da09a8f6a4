"""Things of a tenant that the state names by number and checksum: fetched, verified, kept on disk, swapped whole.

Refuses what does not match its checksum or does not load, loudly, and serves on with what it has.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Generic, TypeVar
from urllib.parse import quote

import structlog

from meliora.errors import MelioraError
from meliora.gateway.forward import Control
from meliora.gateway.state import PolicyRef
from meliora.gateway.sync import keep

T = TypeVar("T")

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0
"""Pause before one is asked for again that could not be had."""


class Refused(Exception):
    """One that cannot serve, and why."""


class Following(Generic[T]):
    """Follow the references of the state. `serving` is replaced, never changed."""

    name: ClassVar[str]
    """What one is called, in logs and troubles."""
    folder: ClassVar[str]
    """Below the state directory, and of the control process's address (`/internal/FOLDER/TENANT/NUMBER`)."""
    kept_in: ClassVar[str] = ""
    """Below the state directory, where that is not `folder`: two that follow share no folder, each tidies its own."""

    def open(self, blob: bytes, ref: PolicyRef) -> T:
        """Decode what was verified. Raises `Refused`."""
        raise NotImplementedError

    def __init__(self, control: Control, state_dir: Path, swap: Callable[[], None]) -> None:
        """Keep them below `state_dir`; `swap` is called whenever one was fetched and `serving` replaced."""
        self._control = control
        self._kept = state_dir / (self.kept_in or self.folder)
        self._swap = swap
        self._wanted: Mapping[str, PolicyRef] = {}
        self._have: dict[str, PolicyRef] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.serving: Mapping[str, T] = {}
        """By tenant."""
        self.troubles: dict[str, str] = {}
        """By tenant: why the one that the state names does not serve."""
        self.refused = 0
        """How often one was refused since the start."""

    def want(self, refs: Mapping[str, PolicyRef]) -> None:
        """Take the references of a new state. A tenant that is not named any more loses its own at once."""
        self._wanted = refs
        # What serves already is no trouble any more: a rollback names the one that never left.
        missing = {tenant for tenant, ref in refs.items() if self._have.get(tenant) != ref}
        self.troubles = {tenant: why for tenant, why in self.troubles.items() if tenant in missing}
        gone = [tenant for tenant in self._have if tenant not in refs]
        for tenant in gone:
            del self._have[tenant]
        if gone:
            self.serving = {tenant: held for tenant, held in self.serving.items() if tenant in refs}
            log.info("withdrawn", what=self.name, tenants=gone)
        self._news.set()

    def restore(self, refs: Mapping[str, PolicyRef]) -> None:
        """Load what lies on the disk, before the control process has answered."""
        self.want(refs)
        for tenant, ref in refs.items():
            try:
                blob = self.file_of(ref).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                self._refuse(tenant, ref, f"it cannot be read from the disk: {error}")
                continue
            try:
                self._take(tenant, ref, self._verified(blob, ref))
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
            status, blob = await self._control.ask(
                "GET", f"/internal/{self.folder}/{quote(tenant, safe='')}/{ref.number}"
            )
        except MelioraError as error:
            self._refuse(tenant, ref, f"it could not be fetched: {error.message}")
            return
        try:
            if status != 200:
                raise Refused(f"it could not be fetched: status {status}")
            # The first may bring a large library in: calls go on meanwhile.
            found = await asyncio.to_thread(self._verified, blob, ref)
        except Refused as error:
            self._refuse(tenant, ref, str(error))
            return
        if self._wanted.get(tenant) == ref:
            keep(self.file_of(ref), blob)
            self._take(tenant, ref, found)
            self._swap()

    def _take(self, tenant: str, ref: PolicyRef, found: T) -> None:
        self._have[tenant] = ref
        self.serving = {**self.serving, tenant: found}
        self.troubles.pop(tenant, None)
        log.info("serves", what=self.name, tenant=tenant, number=ref.number)

    def _refuse(self, tenant: str, ref: PolicyRef, why: str) -> None:
        if self._wanted.get(tenant) != ref:
            return  # another one is wanted by now, or none: what is wrong with this one is nobody's trouble any more
        self.refused += 1
        message = f"{self.name.capitalize()} {ref.number} does not serve: {why}"
        if self.troubles.get(tenant) != message:
            has = self._have.get(tenant)
            log.error(
                "refused; the old one serves on",
                what=self.name,
                tenant=tenant,
                number=ref.number,
                serving=None if has is None else has.number,
                problem=why,
            )
        self.troubles[tenant] = message

    def _tidy(self) -> None:
        """Remove what nobody is served by."""
        used = {self.file_of(ref) for ref in self._have.values()}
        try:
            for path in self._kept.glob(f"*{SUFFIX}"):
                if path not in used:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("old ones could not be removed", what=self.name, error=str(error))

    def _verified(self, blob: bytes, ref: PolicyRef) -> T:
        found = hashlib.sha256(blob).hexdigest()
        if found != ref.sha256:
            raise Refused(f"its checksum is {found[:12]}, and the state says {ref.sha256[:12]}")
        return self.open(blob, ref)

    def file_of(self, ref: PolicyRef) -> Path:
        """Give where one lies on the disk."""
        return file_in(self._kept, ref)


SUFFIX = ".blob"


def file_in(folder: Path, ref: PolicyRef) -> Path:
    """Give the file of one: a name that leads nowhere else, whatever the state says."""
    name = ref.sha256 if ref.sha256.isalnum() else hashlib.sha256(ref.sha256.encode()).hexdigest()
    return folder / f"{name}{SUFFIX}"
