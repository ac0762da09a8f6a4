"""What passes between a gateway and its control process: the state, the budgets' slices, signs of life.

None of it is on a call's path but the first slice of a budget. The last state is kept on disk, so that a gateway starts and
serves while the store is away.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from meliora.clock import Clock
from meliora.errors import MelioraError
from meliora.gateway.budgets import BudgetLedger
from meliora.gateway.forward import Control
from meliora.gateway.state import STATE_FORMAT, LeaseGrant, LeaseWish, State

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5
REFUSED_SECONDS = 5.0
"""Pause after a state that this gateway cannot take."""
BEAT_SECONDS = 2.0
LEASE_PATIENCE = 1.0
"""Longest time a call waits for a slice of its key's budget."""


class LeaseRequest(msgspec.Struct, frozen=True):
    """Body of `POST /internal/leases`."""

    gateway: str
    wishes: tuple[LeaseWish, ...]


class Sync:
    """Keep one gateway in step with the control process."""

    def __init__(
        self,
        control: Control,
        ledger: BudgetLedger,
        state_file: Path,
        swap: Callable[[State], None],
        heartbeat: Callable[[], dict[str, Any]],
        gateway: str,
        clock: Clock,
    ) -> None:
        self._control = control
        self._ledger = ledger
        self._file = state_file
        self._swap = swap
        self._heartbeat = heartbeat
        self._gateway = gateway
        self._clock = clock
        self._version = -1
        self._leasing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.heard = 0.0
        """Loop time of the last answer of the control process; 0 for never."""
        self.on_answer: Callable[[dict[str, Any]], None] = lambda _: None
        self.on_renewal: Callable[[], None] = lambda: None
        """Called whenever the control process has confirmed what this gateway serves by, or given it something newer."""
        self._news = asyncio.Event()
        """There is something to say that does not wait for the next beat."""

    def start(self) -> None:
        """Begin; needs a running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._follow()),
            loop.create_task(self._beat()),
            loop.create_task(self._ahead()),
        ]

    async def stop(self) -> None:
        """End, and report what was spent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.lease()

    async def lease(self) -> bool:
        """Report what was spent and ask for more, within `LEASE_PATIENCE` in all; tell whether anything was granted."""
        try:
            async with asyncio.timeout(LEASE_PATIENCE), self._leasing:
                return await self._lease()
        except (MelioraError, TimeoutError, ValueError, msgspec.DecodeError) as error:
            log.warning("no budget slices could be leased", error=str(error) or "the control process is too slow")
            return False

    async def _lease(self) -> bool:
        wishes = self._ledger.wishes(self._clock.now_us())
        if not wishes:
            return False
        body = msgspec.json.encode(LeaseRequest(self._gateway, tuple(wishes)))
        status, answer = await self._control.ask("POST", "/internal/leases", body)
        if status != 200:
            raise ValueError(f"status {status}")
        grants = msgspec.json.decode(answer, type=list[LeaseGrant])
        self._ledger.grant(grants)
        return any(grant.granted_micros > 0 for grant in grants)

    async def _follow(self) -> None:
        while True:
            try:
                status, body = await self._control.ask("GET", f"/internal/state?have={self._version}")
                self.heard = asyncio.get_running_loop().time()
                if status == 200:
                    # One that was refused comes again at once: nothing else would slow the asking.
                    await asyncio.sleep(0 if self._take(body) else REFUSED_SECONDS)
                elif status == 204:
                    self.on_renewal()
                else:
                    log.warning("the control process gave no state", status=status)
                    await asyncio.sleep(RETRY_SECONDS)
            except MelioraError:
                await asyncio.sleep(RETRY_SECONDS)

    def _take(self, body: bytes) -> bool:
        state = decode_state(body)
        if state is None:
            return False
        try:
            self._swap(state)
        except MelioraError as error:
            log.error("a new state was refused; the old one serves on", version=state.version, error=str(error))
            return False
        self._version = state.version
        self.on_renewal()
        keep(self._file, body)
        return True

    def beat_now(self) -> None:
        """Send a sign of life at once."""
        self._news.set()

    async def _beat(self) -> None:
        while True:
            self._news.clear()
            try:
                status, answer = await self._control.ask(
                    "POST", "/internal/heartbeat", msgspec.json.encode(self._heartbeat())
                )
                if status == 200:
                    told = msgspec.json.decode(answer, type=dict[str, Any])
                    if told.get("state_version") == self._version:
                        self.on_renewal()
                    self.on_answer(told)
            except (MelioraError, msgspec.DecodeError) as error:
                log.debug("no heartbeat", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._news.wait()

    async def _ahead(self) -> None:
        """Ask for the next slices before the present ones are used up."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if self._ledger.urgent:
                await self.lease()


def decode_state(body: bytes) -> State | None:
    """Read a state; None, loudly, for one that this gateway does not understand."""
    try:
        state = msgspec.json.decode(body, type=State)
        bytes.fromhex(state.secret)
    except (msgspec.DecodeError, ValueError) as error:
        log.error("a state does not read; the old one serves on", error=str(error))
        return None
    if state.format > STATE_FORMAT:
        log.error("a state is of a newer format; update this gateway", format=state.format, known=STATE_FORMAT)
        return None
    return state


def keep(path: Path, body: bytes) -> None:
    """Write the state where only its owner reads it, whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
        beside.replace(path)
    except OSError as error:
        log.warning("the state could not be kept on disk", path=str(path), error=str(error))


def kept_state(path: Path) -> State | None:
    """Give the state kept on disk, None where there is none."""
    try:
        return decode_state(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        log.error("the state kept on disk cannot be read", path=str(path), error=str(error))
        return None
