"""When a gateway serves the baselines: the kill switch of the state, a file that stands in for it, or a lease that ran out.

The file works where database and control process are dead. Nothing of this waits or reads a file's content.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from meliora.gateway.arms import Safety

log = structlog.get_logger(__name__)

KILL_FILE = "kill"
"""In the state directory: while it is there, this machine's gateways are halted."""
LOOK_SECONDS = 0.2


class Guard:
    """Judge the safety of one gateway. Times are monotonic seconds."""

    def __init__(self, state_dir: Path, now: float, age: float) -> None:
        """Begin with a state that is `age` seconds old."""
        self._file = state_dir / KILL_FILE
        self._is_there = False
        self._looked = float("-inf")
        self._trouble = ""
        self._renewed = now - max(0.0, age)
        self._heard = False
        self._judged = Safety()

    @property
    def by_file(self) -> bool:
        """Whether the file is there."""
        return self._is_there

    def renew(self, now: float) -> None:
        """Begin the lease anew: the control process has said what to serve by."""
        self._renewed = now
        self._heard = True

    def judge(self, now: float, *, halted: bool, lease_seconds: float) -> Safety:
        """Give what holds now; every change is logged. `halted` and the lease are the state's."""
        if not 0 <= now - self._looked < LOOK_SECONDS:
            self._looked = now
            self._is_there = self._look()
        found = Safety(halted or self._is_there, now - self._renewed > lease_seconds)
        before, self._judged = self._judged, found
        if found.halted != before.halted:
            say = log.critical if found.halted else log.warning
            say("halted: the baselines serve" if found.halted else "no longer halted", by_file=self._is_there)
        if found.lapsed and not before.lapsed and not self._heard:
            log.info("nothing heard of the control process yet: the baselines serve")
        elif found.lapsed and not before.lapsed:
            log.error("the control process is silent: the baselines serve", seconds=lease_seconds)
        elif before.lapsed and not found.lapsed:
            log.warning("the control process speaks again: trials go on")
        return found

    def _look(self) -> bool:
        try:
            self._file.stat()
        except FileNotFoundError:
            self._trouble = ""
            return False
        except OSError as error:
            # Who cannot look does not know: it stays as it was.
            if self._trouble != str(error):
                log.error("the kill file cannot be looked for", path=str(self._file), error=str(error))
            self._trouble = str(error)
            return self._is_there
        self._trouble = ""
        return True
