"""What a run of H2O LLM Studio tells: `logs.log` line by line, `flags.json` (one a GPU: `flags?*.json`), the end of its console.

`train.py` writes a flag only when it has finished; a run that fails logs its exception and kills itself with all that it started, so
that an exit code of a failure is the same as that of a process that the system killed. The log tells them apart.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import msgspec

from meliora.knowledge.augment.trainers import Progress, RunState

LOG = "logs.log"
CHECKPOINT = "checkpoint.pth"
_STATES: dict[str, RunState] = {
    "queued": "queued",
    "running": "running",
    "finished": "finished",
    "failed": "failed",
    "stopped": "stopped",
}
_BLOCK = 1 << 20
"""Bytes that are read at once."""
_LONGEST = 10_000
"""Letters of a line that are looked at."""
_ERRORS = 3
"""Errors that are told, the last ones."""
_FLAGS = 200_000
"""Bytes of a flag file."""
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - ([A-Z]{1,10}): (.*)")
_EPOCH = re.compile(r"Training Epoch: (\d{1,6}) / (\d{1,6})$")
_BAR = re.compile(
    r"(train loss|validation progress)(?:: ([^\s:]{1,30}))?: +\d{1,3}%\|[^|]{0,200}\| (\d{1,9})/(\d{1,9}) \["
)
_FIGURE = re.compile(r"(?:Validation|Mean (?=validation)) ?([A-Za-z][\w&/ -]{0,40}): (\S{1,30})$")
_RAISED = re.compile(r"[A-Za-z_][\w.]{0,200}(?:Error|Exception|Interrupt|Exit)\b.{0,400}")


class Output:
    """Reads the log of a run as it grows. A line is read when it is whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at = 0
        self._rest = b""
        self._epoch = (0, 0)
        self._errors: list[str] = []
        self._raising = False
        self.share: float | None = None
        self.said = "it prepares its data and its model"
        """The last line that told how it goes on."""
        self.metrics: dict[str, float] = {}
        """The last figure of each name; one that was no number last is not there."""

    @property
    def failure(self) -> str:
        """Give what the log tells of errors, the last ones; empty: it tells of none."""
        return _short("; ".join(self._errors[-_ERRORS:]))

    def read(self) -> bool:
        """Read what is new, and say whether anything was."""
        grown = False
        try:
            with (self._folder / LOG).open("rb") as log:
                log.seek(self._at)
                while block := log.read(_BLOCK):
                    grown = True
                    self._at += len(block)
                    *lines, self._rest = (self._rest + block).split(b"\n")
                    self._rest = self._rest[-_LONGEST:]
                    for line in lines:
                        self._line(line[:_LONGEST].decode("utf-8", "replace").rstrip())
        except OSError:  # it is not there yet
            return grown
        return grown

    def _line(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            if self._raising and _RAISED.match(line):
                self._errors[-1] = line
            return
        level, said = found[1], found[2]
        self._raising = False
        if level in ("ERROR", "CRITICAL"):
            self._raising = True
            self._errors = [*self._errors, said][-_ERRORS:]
        elif epoch := _EPOCH.match(said):
            self._epoch = (int(epoch[1]), int(epoch[2]))
            self.said = said
        elif bar := _BAR.match(said):
            self._bar(bar[1], bar[2], int(bar[3]), int(bar[4]))
        elif figure := _FIGURE.match(said):
            self._figure(figure[1].strip(), figure[2])

    def _bar(self, what: str, loss: str | None, done: int, total: int) -> None:
        if what == "train loss":
            epoch, epochs = self._epoch
            if loss:
                self._figure(what, loss)
            if 0 < epoch <= epochs and total:
                self.share = (epoch - 1 + min(1.0, done / total)) / epochs
                self.said = f"epoch {epoch} of {epochs}, step {done} of {total}"
        else:
            self.said = f"validation, step {done} of {total}"

    def _figure(self, name: str, said: str) -> None:
        value = _number(said)
        if value is None:
            self.metrics.pop(name, None)
        else:
            self.metrics[name] = value


def flagged(folder: Path) -> Progress:
    """Say what the flags of an output folder say: unknown where it has no readable one; failed where one of a GPU is."""
    flags = [_flags(path) for path in sorted(folder.glob("flags?*.json"))]
    own = _flags(folder / "flags.json")
    state = _STATES.get(str((own or {}).get("status")), "unknown")
    if any((flag or {}).get("status") == "failed" for flag in flags):
        state = "failed"
    return Progress(state=state, said=_short(str((own or {}).get("info") or "")))


def raised(console: Path) -> str:
    """Give what the end of a console says was raised; its last line where it says none, empty where it has none."""
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - _LONGEST))
            lines = file.read(_LONGEST).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    told = [line.strip() for line in lines if line.strip()]
    errors = [line for line in told if _RAISED.match(line)]
    return _short((errors or told or [""])[-1])


def _flags(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _FLAGS:
            return None
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _short(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in " ".join(text.split()))[:300]
