"""The text of PDF, read in a process of its own: one that is broken, locked or endless costs its budget and nothing else."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import msgspec

from meliora.errors import MissingExtra
from meliora.knowledge.reading.base import Limits, Refused

_MEMORY = 1_500_000_000

_WORKER = """
import io, json, logging, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
except (ImportError, ValueError, OSError):
    pass
logging.disable(logging.CRITICAL)
import warnings
warnings.simplefilter("ignore")
from pypdf import PdfReader
out = {}
try:
    reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        out = {"refused": "it is encrypted"}
    elif len(reader.pages) > PAGES:
        out = {"refused": f"it has {len(reader.pages):,} pages; PAGES are allowed"}
    else:
        texts, size = [], 0
        for page in reader.pages:
            texts.append(page.extract_text() or "")
            size += len(texts[-1])
            if size > MOST:
                break
        title = (reader.metadata or {}).get("/Title")
        out = {"text": "\\n\\n".join(texts)[:MOST], "title": str(title or "")[:500]}
except BaseException as error:
    out = {"refused": f"it is broken: {type(error).__name__}: {str(error)[:200]}"}
sys.stdout.buffer.write(json.dumps(out).encode())
"""


def text_of_pdf(data: bytes, source: str, limits: Limits) -> tuple[str, str] | Refused:
    """Give text and title of a PDF. Raises `MissingExtra` without pypdf."""
    if find_spec("pypdf") is None:
        raise MissingExtra("Reading PDF needs pypdf.", hint="pip install 'meliora[knowledge]'")
    code = _WORKER.replace("MEMORY", str(_MEMORY)).replace("PAGES", str(limits.pdf_pages))
    code = code.replace("MOST", str(limits.file_bytes))
    try:
        # The process inherits neither input nor output, and what it is told to run is ours.
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], input=data, capture_output=True, timeout=limits.pdf_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Refused(source, f"it took longer than {limits.pdf_seconds:g} seconds to read")
    try:
        out = msgspec.json.decode(done.stdout, type=dict[str, str])
    except msgspec.DecodeError:
        return Refused(source, "it is broken, or takes too much memory to read")
    if "refused" in out:
        return Refused(source, out["refused"])
    if not out["text"].strip():
        return Refused(source, "it has no text: its pages may be pictures", "Give it to a recogniser of text first.")
    return out["text"], out["title"]
