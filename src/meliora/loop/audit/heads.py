"""The head of the chain outside the database: a line an entry, and the last one signed. Safe for several processes and for kill -9.

`heads.jsonl` grows by a line after each commit; `head.json` has the highest of them under a keyed hash, so that whoever cuts
the database's tail must also cut the file's and know the key. Whoever can put back all three as they were at one moment
cannot be told from that moment: send the heads elsewhere too where that matters.
"""

from __future__ import annotations

import fcntl
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

FOLDER = "audit"
"""In the state directory."""
_LINES = "heads.jsonl"
_SIGNED = "head.json"


class Head(msgspec.Struct, frozen=True):
    """The number and the hash of an entry."""

    seq: int
    hash: str
    at_us: int = 0


class Signed(Head, frozen=True):
    """A head under the key."""

    mac: str = ""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the files say."""

    heads: tuple[Head, ...] = ()
    signed: Signed | None = None
    torn: bool = False
    """The last line was not finished: a process was killed while it wrote it."""
    unreadable: tuple[int, ...] = ()
    """Numbers of lines that are no heads."""
    signature: str = ""
    """What is wrong with the signed head; empty where nothing is."""


class Heads:
    """Write and read the files of one state directory. `secret` is hex; nothing is made before the first write."""

    def __init__(self, state_dir: Path, secret: str) -> None:
        self._folder = state_dir / FOLDER
        self._secret = secret

    def note(self, *heads: Head) -> None:
        """Append heads, on the disk when this returns.

        A signed head that is newer, damaged, of another key, or gone is left as it is: `chain.verify` has to see it.
        """
        if not heads:
            return
        last = max(heads, key=lambda head: head.seq)
        with self._alone():
            if self._may_sign(last):
                self._sign(last)
            self._append(heads)

    def begin_again(self, head: Head) -> None:
        """Sign this head whatever was signed before: a restore went back, and the chain says so."""
        with self._alone():
            self._sign(head)
            self._append((head,))

    def adopt(self, other: Heads) -> None:
        """Take in the lines of other files before those that are here only: they were written to what a restore replaces."""
        with self._alone():
            lines = dict.fromkeys([*other._read_lines()[:-1], *self._read_lines()[:-1]])
            path = self._folder / f"{_LINES}.new"
            path.write_bytes(b"".join(line + b"\n" for line in lines))
            path.chmod(0o600)
            path.replace(self._folder / _LINES)

    def read(self) -> Outside:
        """Give what the files say; empty where there are none."""
        if not self._folder.exists():
            return Outside()
        with self._alone():
            lines = self._read_lines()
            signature, signed = "", None
            try:
                signed = self._signed()
            except msgspec.DecodeError:
                signature = f"{_SIGNED} cannot be read"
        torn = bool(lines and lines[-1])
        heads: list[Head] = []
        bad: list[int] = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                heads.append(msgspec.json.decode(line, type=Head))
            except msgspec.DecodeError:
                bad.append(number)
        if signed is not None and not self.genuine(signed):
            signature = f"{_SIGNED} is not signed with this deployment's key"
        if signed is None and not signature and heads:
            signature = f"{_SIGNED} is missing"
        return Outside(heads=tuple(heads), signed=signed, torn=torn, unreadable=tuple(bad), signature=signature)

    def genuine(self, signed: Signed) -> bool:
        """Tell whether a signed head was signed with the key."""
        return hmac.compare_digest(signed.mac, self._mac(signed))

    def _mac(self, head: Head) -> str:
        return signature(self._secret, "head", head.seq, head.hash)

    def _sign(self, head: Head) -> None:
        signed = Signed(head.seq, head.hash, head.at_us, self._mac(head))
        new = self._folder / f"{_SIGNED}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(descriptor, msgspec.json.encode(signed) + b"\n")
        finally:
            os.close(descriptor)
        new.replace(self._folder / _SIGNED)

    def _may_sign(self, last: Head) -> bool:
        try:
            known = self._signed()
        except msgspec.DecodeError:
            return False
        if known is None:
            return not (self._folder / _LINES).exists()
        return self.genuine(known) and known.seq < last.seq

    def _append(self, heads: tuple[Head, ...]) -> None:
        data = b"".join(msgspec.json.encode(head) + b"\n" for head in heads)
        descriptor = os.open(self._folder / _LINES, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.lseek(descriptor, _after_last_line(descriptor), os.SEEK_SET)
            os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def _read_lines(self) -> list[bytes]:
        try:
            return (self._folder / _LINES).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []

    def _signed(self) -> Signed | None:
        try:
            return msgspec.json.decode((self._folder / _SIGNED).read_bytes(), type=Signed)
        except FileNotFoundError:
            return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "heads.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def signature(secret: str, what: str, *parts: object) -> str:
    """Give the keyed hash under which the audit's own statements stand."""
    text = "\n".join(["meliora audit", what, *(str(part) for part in parts)])
    return hmac.new(bytes.fromhex(secret), text.encode(), sha256).hexdigest()


def _after_last_line(descriptor: int) -> int:
    """Give where the last whole line ends; what a killed process left behind it was never a head."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    tail = os.pread(descriptor, min(end, 4096), max(0, end - 4096))
    cut = tail.rfind(b"\n") + 1
    return end - len(tail) + cut if cut or end <= 4096 else end


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)
