"""The process of a run: started from a checkout, watched, and ended with all that it started.

Of the environment it is given what a training reads (`_PASSED`), Hugging Face's token among it, and no other secret.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from meliora.clock import Clock
from meliora.errors import MissingExtra, UpstreamError
from meliora.integrations.h2o_llm_studio.output import Output
from meliora.loop.artifacts.folder import replace

SOURCE = "https://github.com/h2oai/h2o-llmstudio"
CONSOLE, RUN = "console.log", "run.json"
_POLL = 0.2
_SCRIPTS = ("llm_studio/train.py", "train.py")
"""As it is today, and as it was in older ones."""
_PASSED = (
    *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "CC", "CXX"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE"),
)
_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH_", "PYTORCH_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "XDG_")


class Studio(msgspec.Struct, frozen=True, kw_only=True):
    """A checkout of H2O LLM Studio, and the interpreter that has what it needs."""

    folder: Path
    python: Path
    script: Path


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run may take."""

    seconds: float = 86_400.0
    """In all."""
    silent: float = 3_600.0
    """Without a word in its log: loading a large model takes a while, and so does a step."""
    grace: float = 45.0
    """Between asking it to end and killing it: `torch.distributed.run` takes 30 s to end what it started."""


class Running(msgspec.Struct, frozen=True):
    """A process that was started, so that another process can find it again."""

    pid: int
    born: str
    """When it was started, as the system counts: a pid is given again."""


class Ended(msgspec.Struct, frozen=True):
    """How a process ended."""

    code: int
    why: str = ""
    """Why it was ended, where it did not end by itself."""
    stopped: bool = False
    """Somebody asked for it."""


def studio(folder: Path, python: Path | None = None) -> Studio:
    """Find what a run is started by. Raises `MissingExtra` with the commands that install it."""
    root = folder.expanduser().absolute()
    script = next((root / one for one in _SCRIPTS if (root / one).is_file()), None)
    if script is None:
        raise MissingExtra(
            f"H2O LLM Studio is not in {root}.", hint=f"git clone {SOURCE} {root} && make -C {root} setup"
        )
    found = python or root / ".venv" / "bin" / "python"
    if not os.access(found, os.X_OK):
        raise MissingExtra(
            f"H2O LLM Studio in {root} has no interpreter at {found}.",
            hint=f"make -C {root} setup, or name the interpreter that has what it needs.",
        )
    return Studio(folder=root, python=found, script=script)


def command(where: Studio, config: Path, gpus: int) -> list[str]:
    """Give what starts a run: a process a GPU where there are several."""
    many = ("-m", "torch.distributed.run", f"--nproc_per_node={gpus}") if gpus > 1 else ()
    return [str(where.python), *many, str(where.script), "-Y", str(config)]


def environment(present: Mapping[str, str], gpus: Sequence[str]) -> dict[str, str]:
    """Give the environment of a run, which sees the GPUs that are named, and no others."""
    passed = {name: value for name, value in present.items() if name in _PASSED or name.startswith(_PREFIXES)}
    return passed | {"CUDA_VISIBLE_DEVICES": ",".join(gpus), "PYTHONUNBUFFERED": "1"}


def run(
    said: Sequence[str],
    folder: Path,
    where: Studio,
    given: Mapping[str, str],
    output: Output,
    limits: Limits,
    clock: Clock,
    heard: Callable[[], None],
    stop: Callable[[], bool],
) -> Ended:
    """Start it, call `heard` whenever its log has grown, and wait for its end; end it where `stop` says so or a limit is reached.

    Whatever happens here, nothing of it runs on. Raises `UpstreamError` where it cannot be started.
    """
    try:
        with (folder / CONSOLE).open("ab") as console:
            process = subprocess.Popen(
                said,
                cwd=where.folder,
                env=dict(given),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise UpstreamError(f"H2O LLM Studio could not be started: {error}"[:500]) from error
    try:
        replace(folder / RUN, msgspec.json.encode(Running(process.pid, born(process.pid))))
        return _watched(process, output, limits, clock, heard, stop)
    finally:
        _end(process, limits.grace)
        output.read()


def _watched(
    process: subprocess.Popen[bytes],
    output: Output,
    limits: Limits,
    clock: Clock,
    heard: Callable[[], None],
    stop: Callable[[], bool],
) -> Ended:
    begun = spoken = clock.monotonic()
    while True:
        try:
            return Ended(process.wait(_POLL))
        except subprocess.TimeoutExpired:
            pass
        now = clock.monotonic()
        if output.read():
            spoken = now
            heard()
        if stop():
            return Ended(_end(process, limits.grace), "it was stopped", stopped=True)
        if now - begun > limits.seconds:
            return Ended(_end(process, limits.grace), f"it took longer than {limits.seconds:g} s")
        if now - spoken > limits.silent:
            return Ended(_end(process, limits.grace), f"its log said nothing for {limits.silent:g} s")


def _end(process: subprocess.Popen[bytes], grace: float) -> int:
    """End a process and all that it started, in whatever session: asked first, then killed."""
    started = _descendants(process.pid)
    _signal(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    _signal(process.pid, signal.SIGKILL)  # it may be gone, and others of its group not
    for pid, since in started.items():
        if since and born(pid) == since:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return process.wait()


def _signal(group: int, which: signal.Signals) -> None:
    with suppress(
        ProcessLookupError, PermissionError
    ):  # none of them is left; of a zombie's group some systems say the latter
        os.killpg(group, which)


def _descendants(pid: int) -> dict[int, str]:
    """Give what a process started and what that started, and when each was born; empty where the system does not tell."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: dict[int, str] = {}
    coming = [pid]
    while coming:
        for child in children.get(coming.pop(), []):
            if child not in found:
                found[child] = born(child)
                coming.append(child)
    return found


def born(pid: int) -> str:
    """Give when a process was started; empty for one that is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def alive(folder: Path) -> bool | None:
    """Say whether the process that a folder names still runs; None where it names none, or the system does not tell."""
    try:
        known = msgspec.json.decode((folder / RUN).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None
    return None if not known.born else born(known.pid) == known.born
