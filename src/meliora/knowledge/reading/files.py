"""A file or a folder as documents. Ids are relative paths, so that the same folder again updates what it gave before."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import MEGABYTE, Limits, Read, Refused, too_large
from meliora.knowledge.reading.decoding import decode, is_binary
from meliora.knowledge.reading.legacy import declared
from meliora.knowledge.reading.markup import text_of_html
from meliora.knowledge.reading.pdf import text_of_pdf
from meliora.knowledge.reading.structured import read_csv, read_json, read_line, read_lines

_LINES = (".jsonl", ".ndjson")
_HTML = (".html", ".htm", ".xhtml")
_SKIPPED = frozenset(["node_modules", "__pycache__", "venv"])


def read_path(path: str | os.PathLike[str], limits: Limits | None = None) -> Iterator[Read]:
    """Read a file, or all files of a folder in the order of their names. Nothing that is wrong with one of them stops the others.

    Hidden files are left out, and so are links that lead to a folder or out of this one: those are told.
    Raises `MissingExtra` for PDF without pypdf.
    """
    limits, root = limits or Limits(), Path(path)
    if not root.is_dir():
        yield from _read_file(root, _named(Path(root.name)), limits)
        return
    home = os.path.realpath(root)
    for number, found in enumerate(_walk(root, home, 0, limits)):
        if isinstance(found, Refused):
            yield found
        elif number >= limits.files:
            yield Refused(str(path), f"it has more than {limits.files:,} files", "Read its folders one by one.")
            return
        else:
            yield from _read_file(found, _named(found.relative_to(root)), limits)


def _named(path: Path) -> str:
    """Give a path as an id: what is no text in it, or cannot be printed, is written as its escape."""
    name = path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name if name.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _walk(folder: Path, home: str, depth: int, limits: Limits) -> Iterator[Path | Refused]:
    if depth > limits.depth:
        yield Refused(_named(folder), f"it is more than {limits.depth} folders deep")
        return
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda one: one.name)
    except OSError as error:
        yield Refused(_named(folder), f"the folder cannot be read: {error.strerror or error}")
        return
    for one in listed:
        if one.name.startswith(".") or one.name in _SKIPPED:
            continue
        if one.is_symlink():
            yield _linked(Path(one.path), home)
        elif one.is_dir(follow_symlinks=False):
            yield from _walk(Path(one.path), home, depth + 1, limits)
        else:
            yield Path(one.path)


def _linked(link: Path, home: str) -> Path | Refused:
    """Give a link to a file of the folder; one that leads to a folder or out of this one is not followed."""
    if not os.path.realpath(link).startswith(home.rstrip(os.sep) + os.sep):
        return Refused(_named(link), "it is a link that leads out of the folder", "Read what it leads to by itself.")
    try:
        led = link.stat().st_mode
    except OSError as error:
        return Refused(_named(link), f"the link leads to nothing: {error.strerror or error}")
    return Refused(_named(link), "it is a link to a folder, which is read as it is") if stat.S_ISDIR(led) else link


def _read_file(path: Path, source: str, limits: Limits) -> Iterator[Read]:
    try:
        # Opened without waiting, and looked at only then: a pipe would wait for ever, and what a name leads to can change.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            told = os.fstat(file.fileno())
            if not stat.S_ISREG(told.st_mode):
                yield Refused(source, "it is no ordinary file")
            elif told.st_size <= limits.file_bytes:
                data = file.read(limits.file_bytes + 1)
                yield from (
                    read_bytes(data, source, limits)
                    if len(data) <= limits.file_bytes
                    else [too_large(source, len(data), limits)]
                )
            elif path.suffix.lower() in _LINES:
                yield from _read_many_lines(file, source, limits)
            else:
                yield too_large(source, told.st_size, limits)
    except OSError as error:
        yield Refused(source, f"it cannot be read: {error.strerror or error}")


def _read_many_lines(file: BinaryIO, source: str, limits: Limits) -> Iterator[Read]:
    """Read JSON lines one by one: together they may have any size, each the size of a document."""
    number = 0
    while line := file.readline(limits.file_bytes + 1):
        number += 1
        if len(line) > limits.file_bytes:
            size = len(line)
            while not line.endswith(b"\n") and (line := file.readline(MEGABYTE)):
                size += len(line)
            yield too_large(f"{source}:{number}", size, limits)
            continue
        text = decode(line)
        if text is None:
            yield Refused(f"{source}:{number}", "the line is no text")
        elif text.strip():
            yield read_line(text, source, number)


def read_bytes(data: bytes, source: str, limits: Limits | None = None, content_type: str = "") -> Iterator[Read]:
    """Read what a file or an address holds; of what kind is told by its type, else by its name, else by its first bytes."""
    limits = limits or Limits()
    kind, suffix = content_type.partition(";")[0].strip().lower(), PurePosixPath(source).suffix.lower()
    if _is_pdf(data, suffix) or kind == "application/pdf":
        read = text_of_pdf(data, source, limits)
        yield read if isinstance(read, Refused) else Document(id=source, text=read[0], title=read[1], source=source)
        return
    text = decode(data, declared(data, content_type))
    if text is None:
        yield _no_text(data, source)
    elif not text.strip():
        yield Refused(source, "it is empty")
    elif suffix in _LINES or kind in ("application/jsonl", "application/x-ndjson"):
        yield from read_lines(text, source)
    elif suffix == ".json" or kind == "application/json":
        yield from read_json(text, source)
    elif suffix in (".csv", ".tsv") or kind in ("text/csv", "text/tab-separated-values"):
        yield from read_csv(text, source, "\t" if suffix == ".tsv" or "tab" in kind else ",")
    elif suffix in _HTML or kind in ("text/html", "application/xhtml+xml"):
        shown, title = text_of_html(text)
        yield (
            Document(id=source, text=shown, title=title, source=source)
            if shown or title
            else Refused(source, "it shows no text")
        )
    else:
        yield Document(id=source, text=text, title=_title(text, source, suffix), source=source)


def _is_pdf(data: bytes, suffix: str) -> bool:
    """Tell a PDF by its first bytes; before them, where the name says it, may stand others (ISO 32000-2, annex I)."""
    return data.lstrip()[:5] == b"%PDF-" or (suffix == ".pdf" and b"%PDF-" in data[:1_024])


def _no_text(data: bytes, source: str) -> Refused:
    if is_binary(data):
        return Refused(source, "it is no text", "Pictures, archives and programs are not read.")
    return Refused(source, "its encoding cannot be told", "Save it as UTF-8.")


def _title(text: str, source: str, suffix: str) -> str:
    """Give the first heading of Markdown; else where the file stands: folders often say more than its name."""
    if suffix in (".md", ".markdown"):
        for line in text[:5_000].split("\n"):
            if line.startswith("# "):
                return line[2:].strip()[:500]
    return source[:500]
